// WordPiece as BERT cuts it, for units of ASCII letters, digits and punctuation; other units are taught by the caller.
//
// A text is UTF-8. A unit is a run of ordinary characters, one character of ASCII punctuation, or one Chinese character;
// ASCII white space makes no token. Of a run of ASCII letters and digits the tokens are found here, by the longest
// match first (Wu et al. 2016, as in BERT); any other unit is looked up among those that were taught, and named to the
// caller where it is unknown. Offsets are in characters. No function keeps a pointer that it was given.
//
// Plain C functions over plain arrays, called by inference/wordpiece.py; Python's headers are not needed to build this.

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace {

using std::string_view;

enum Kind : std::uint8_t { kWhite, kPunctuation, kLetter, kOther };

constexpr std::array<Kind, 256> kinds() {
    std::array<Kind, 256> table{};
    for (int code = 0; code < 256; ++code) {
        const bool letter = (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
        // Not all white space: BERT deletes \x0b, \x0c and \x1c-\x1f, so the words around them join.
        const bool white = code == ' ' || code == '\t' || code == '\n' || code == '\r';
        table[code] = white ? kWhite : letter ? kLetter : code > 0x20 && code < 0x7f ? kPunctuation : kOther;
    }
    return table;
}

constexpr std::array<Kind, 256> kKinds = kinds();

constexpr bool kLittleEndian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

constexpr std::uint64_t kFnvOffset = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;

std::uint64_t step(std::uint64_t hash, char code) {  // FNV-1a
    return (hash ^ static_cast<std::uint8_t>(code)) * kFnvPrime;
}

// Pieces of the vocabulary by their FNV-1a hash, open addressing; a hit is compared with the piece itself.
class Pieces {
  public:
    void reserve(std::size_t count) {
        std::size_t size = 16;
        while (size < 2 * count + 2) size *= 2;
        slots_.assign(size, Slot{0, -1, 0, 0});
        mask_ = size - 1;
    }

    void add(string_view piece, std::int32_t id) {
        std::uint64_t hash = kFnvOffset;
        for (const char code : piece) hash = step(hash, code);
        std::size_t place = first_place(hash);
        while (slots_[place].id >= 0) place = (place + 1) & mask_;
        slots_[place] = Slot{mark(hash), id, static_cast<std::uint32_t>(text_.size()),
                             static_cast<std::uint32_t>(piece.size())};
        text_.append(piece);
        if (piece.size() > longest_) longest_ = piece.size();
    }

    std::int32_t find(std::uint64_t hash, string_view piece) const {  // -1: not in the vocabulary
        for (std::size_t place = first_place(hash); slots_[place].id >= 0; place = (place + 1) & mask_) {
            const Slot& slot = slots_[place];
            if (slot.mark == mark(hash) && slot.size == piece.size() &&
                std::memcmp(piece.data(), text_.data() + slot.begin, piece.size()) == 0) {
                return slot.id;
            }
        }
        return -1;
    }

    std::size_t longest() const { return longest_; }

  private:
    struct Slot {
        std::uint32_t mark;
        std::int32_t id;
        std::uint32_t begin, size;
    };

    static std::uint32_t mark(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }
    std::size_t first_place(std::uint64_t hash) const { return (hash ^ (hash >> 29)) & mask_; }

    std::vector<Slot> slots_;
    std::size_t mask_ = 0, longest_ = 0;
    std::string text_;
};

struct Taught {
    std::uint32_t first, count;
};

struct Tokens {
    std::int32_t *ids, *starts, *ends;
    std::int64_t count = 0;

    void add(std::int32_t id, std::int64_t start, std::int64_t end) {
        ids[count] = id;
        starts[count] = static_cast<std::int32_t>(start);
        ends[count] = static_cast<std::int32_t>(end);
        ++count;
    }
};

// Words of up to 16 bytes that were cut last, and their tokens: a text has few different ones among its words.
class Recent {
  public:
    static constexpr std::size_t kMostBytes = 16;

    struct Word {
        std::uint64_t first, second;
        bool operator==(const Word& other) const { return first == other.first && second == other.second; }
    };

    struct Slot {
        Word word{0, 0};  // no word has these bytes
        std::uint8_t count = 0, ends[4] = {};
        std::int32_t ids[4] = {};
    };

    Recent() : slots_(std::size_t{1} << kBits) {}
    Slot& slot(const Word& word) {
        return slots_[(word.first * 0x9E3779B97F4A7C15 ^ word.second * 0xBF58476D1CE4E5B9) >> (64 - kBits)];
    }

  private:
    static constexpr int kBits = 12;
    std::vector<Slot> slots_;
};

// The first `size` of eight bytes, the others zero, which are behind them where the machine is little endian.
std::uint64_t first_bytes(std::uint64_t code, std::size_t size) {
    return size >= 8 ? code : code & ((std::uint64_t{1} << 8 * size) - 1);
}

// The bytes of a run of `size` ASCII letters and digits, at most 16, as numbers; letters small if `lowered`.
Recent::Word packed(string_view text, std::size_t at, std::size_t size, bool lowered) {
    constexpr std::uint64_t kSmall = 0x2020202020202020;  // the bit that small letters, and digits anyway, have
    Recent::Word word{0, 0};
    if (kLittleEndian && at + 16 <= text.size()) {
        std::memcpy(&word, text.data() + at, 16);
        const std::uint64_t bits = lowered ? kSmall : 0;
        word.first = first_bytes(word.first | bits, size);
        word.second = size > 8 ? first_bytes(word.second | bits, size - 8) : 0;
        return word;
    }
    char codes[16] = {};
    for (std::size_t n = 0; n < size; ++n) codes[n] = static_cast<char>(lowered ? text[at + n] | 0x20 : text[at + n]);
    std::memcpy(&word, codes, 16);
    return word;
}

struct Table {
    Pieces words, suffixes;
    std::array<std::int32_t, 128> marks;  // ids of the characters of punctuation
    std::int32_t unknown = 0;
    std::size_t most_characters = 0;
    bool lowered = false, chinese_apart = false;
    std::int64_t held = 0;
    std::unordered_map<std::string, Taught> taught;
    std::vector<std::int32_t> ids, starts, ends;
    Recent recent;

    void cut_word(string_view text, std::size_t at, std::size_t size, std::int64_t begin, Tokens& out);
    void cut_pieces(string_view word, std::int64_t begin, Tokens& out) const;
    bool add_taught(string_view unit, std::int64_t begin, Tokens& out) const;
};

// The tokens of `size` ASCII letters and digits at byte `at` of a text, which begin at character `begin`.
void Table::cut_word(string_view text, std::size_t at, std::size_t size, std::int64_t begin, Tokens& out) {
    if (size > Recent::kMostBytes) return cut_pieces(text.substr(at, size), begin, out);
    const Recent::Word word = packed(text, at, size, lowered);
    Recent::Slot& slot = recent.slot(word);
    if (slot.word == word) {
        std::int64_t start = begin;
        for (std::size_t n = 0; n < slot.count; start = begin + slot.ends[n++]) {
            out.add(slot.ids[n], start, begin + slot.ends[n]);
        }
        return;
    }
    const std::int64_t before = out.count;
    cut_pieces(text.substr(at, size), begin, out);
    if (out.count - before > 4) return;
    slot.word = word;
    slot.count = static_cast<std::uint8_t>(out.count - before);
    for (std::size_t n = 0; n < slot.count; ++n) {
        slot.ids[n] = out.ids[before + static_cast<std::int64_t>(n)];
        slot.ends[n] = static_cast<std::uint8_t>(out.ends[before + static_cast<std::int64_t>(n)] - begin);
    }
}

// The same, piece by piece, the longest match first.
void Table::cut_pieces(string_view word, std::int64_t begin, Tokens& out) const {
    const auto whole = static_cast<std::int64_t>(word.size());
    if (word.size() > most_characters) return out.add(unknown, begin, begin + whole);
    char codes[256];
    std::uint64_t hashes[257];
    const std::size_t size = word.size();
    for (std::size_t at = 0; at < size; ++at) {
        const char code = word[at];
        codes[at] = lowered && code >= 'A' && code <= 'Z' ? static_cast<char>(code | 0x20) : code;
    }
    const std::int64_t before = out.count;
    for (std::size_t start = 0; start < size;) {
        const Pieces& pieces = start ? suffixes : words;
        std::size_t length = size - start < pieces.longest() ? size - start : pieces.longest();
        hashes[0] = kFnvOffset;
        for (std::size_t at = 0; at < length; ++at) hashes[at + 1] = step(hashes[at], codes[start + at]);
        std::int32_t id = -1;
        for (; length && (id = pieces.find(hashes[length], string_view(codes + start, length))) < 0; --length) {
        }
        if (id < 0) {
            out.count = before;
            return out.add(unknown, begin, begin + whole);
        }
        out.add(id, begin + static_cast<std::int64_t>(start), begin + static_cast<std::int64_t>(start + length));
        start += length;
    }
}

bool Table::add_taught(string_view unit, std::int64_t begin, Tokens& out) const {
    const auto found = taught.find(std::string(unit));
    if (found == taught.end()) return false;
    const auto [first, count] = found->second;
    for (std::uint32_t at = first; at < first + count; ++at) out.add(ids[at], begin + starts[at], begin + ends[at]);
    return true;
}

bool is_chinese(string_view text, std::size_t at) {  // U+3400 to U+4DBF and U+4E00 to U+9FFF
    if (static_cast<std::uint8_t>(text[at]) >> 4 != 0xe || at + 2 >= text.size()) return false;
    const auto code = (text[at] & 0x0f) << 12 | (text[at + 1] & 0x3f) << 6 | (text[at + 2] & 0x3f);
    return (code >= 0x3400 && code <= 0x4dbf) || (code >= 0x4e00 && code <= 0x9fff);
}

bool begins_character(char code) { return (code & 0xc0) != 0x80; }

// A unit: where it ends, how many characters it has, and whether they are ASCII letters and digits alone.
struct Run {
    std::size_t end;
    std::int64_t characters;
    bool is_plain;
};

Run run_at(string_view text, std::size_t at, bool chinese_apart) {
    Run run{at, 0, true};
    for (; run.end < text.size(); ++run.end) {
        const Kind kind = kKinds[static_cast<std::uint8_t>(text[run.end])];
        if (kind == kLetter) {
            ++run.characters;
            continue;
        }
        if (kind != kOther) break;
        if (chinese_apart && is_chinese(text, run.end)) {
            if (run.end == at) return Run{at + 3, 1, false};
            break;
        }
        run.is_plain = false;
        run.characters += begins_character(text[run.end]);
    }
    return run;
}

}  // namespace

extern "C" {

std::int32_t wordpiece_rules() { return 1; }

// A vocabulary: `count` pieces end to end in `text`, piece i of `sizes[i]` bytes and with the id `ids[i]`; those with
// `is_suffix[i]` continue a word. `most_characters` is at most 256; a longer word is `unknown`. Returns a handle, or null
// where memory runs out.
void* wordpiece_new(const char* text, const std::int32_t* sizes, const std::int32_t* ids, const std::uint8_t* is_suffix,
                    std::int64_t count, std::int32_t unknown, std::int32_t most_characters, std::int32_t lowered,
                    std::int32_t chinese_apart) try {
    auto table = std::make_unique<Table>();
    table->unknown = unknown;
    table->most_characters = static_cast<std::size_t>(most_characters);
    table->lowered = lowered != 0;
    table->chinese_apart = chinese_apart != 0;
    table->marks.fill(unknown);
    std::int64_t suffixes = 0;
    for (std::int64_t number = 0; number < count; ++number) suffixes += is_suffix[number] != 0;
    table->suffixes.reserve(static_cast<std::size_t>(suffixes));
    table->words.reserve(static_cast<std::size_t>(count - suffixes));
    for (std::int64_t number = 0; number < count; text += sizes[number++]) {
        const string_view piece(text, static_cast<std::size_t>(sizes[number]));
        if (!piece.empty()) (is_suffix[number] ? table->suffixes : table->words).add(piece, ids[number]);
        if (piece.size() == 1 && !is_suffix[number]) table->marks[static_cast<std::uint8_t>(piece[0]) & 0x7f] = ids[number];
    }
    return table.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

void wordpiece_free(void* table) { delete static_cast<Table*>(table); }

// About how many bytes of memory what was taught takes.
std::int64_t wordpiece_held(void* table) { return static_cast<Table*>(table)->held; }

// Forget the units that were taught.
void wordpiece_forget(void* handle) {
    auto* table = static_cast<Table*>(handle);
    table->held = 0;
    table->taught.clear();
    for (auto* column : {&table->ids, &table->starts, &table->ends}) std::vector<std::int32_t>().swap(*column);
}

// Teach `count` units, end to end in `text`: unit i has `sizes[i]` bytes and the next `counts[i]` tokens, whose offsets
// are in characters of the unit. Returns 0, or -1 where memory runs out: some are known then.
std::int32_t wordpiece_teach(void* handle, const char* text, const std::int32_t* sizes, const std::int32_t* counts,
                     std::int64_t count, const std::int32_t* ids, const std::int32_t* starts, const std::int32_t* ends) try {
    auto* table = static_cast<Table*>(handle);
    for (std::int64_t number = 0; number < count; text += sizes[number++]) {
        const auto tokens = counts[number];
        const auto first = static_cast<std::uint32_t>(table->starts.size());
        table->held += 80 + sizes[number] + 12 * static_cast<std::int64_t>(tokens);
        table->ids.insert(table->ids.end(), ids, ids + tokens);
        table->starts.insert(table->starts.end(), starts, starts + tokens);
        table->ends.insert(table->ends.end(), ends, ends + tokens);
        table->taught[std::string(text, static_cast<std::size_t>(sizes[number]))] =
            Taught{first, static_cast<std::uint32_t>(tokens)};
        ids += tokens, starts += tokens, ends += tokens;
    }
    return 0;
} catch (const std::bad_alloc&) {
    wordpiece_forget(handle);  // the columns may have grown unevenly
    return -1;
}

// Cut a text of `size` bytes. Each array has room for one entry a byte. Returns how many tokens it has; where a unit is
// unknown, -1 less how many different ones, whose bytes are then [starts[i], ends[i]) of the text; where memory runs out,
// the least number there is.
//
// A taught unit never has more tokens than bytes, so the room is enough.
std::int64_t wordpiece_cut(void* handle, const char* data, std::int64_t size, std::int32_t* ids, std::int32_t* starts,
                           std::int32_t* ends) try {
    auto& table = *static_cast<Table*>(handle);
    const string_view text(data, static_cast<std::size_t>(size));
    Tokens out{ids, starts, ends};
    std::vector<string_view> unknown;
    std::int64_t character = 0;
    for (std::size_t at = 0; at < text.size();) {
        const Kind kind = kKinds[static_cast<std::uint8_t>(text[at])];
        if (kind == kWhite || kind == kPunctuation) {
            if (kind == kPunctuation && unknown.empty()) {
                out.add(table.marks[static_cast<std::uint8_t>(text[at])], character, character + 1);
            }
            ++at, ++character;
            continue;
        }
        const Run run = run_at(text, at, table.chinese_apart);
        const string_view unit = text.substr(at, run.end - at);
        if (!run.is_plain) {
            if (!unknown.empty()) {
                if (!table.taught.count(std::string(unit))) unknown.push_back(unit);
            } else if (!table.add_taught(unit, character, out)) {
                unknown.push_back(unit);
            }
        } else if (unknown.empty()) {
            table.cut_word(text, at, unit.size(), character, out);
        }
        at = run.end, character += run.characters;
    }
    if (unknown.empty()) return out.count;
    std::unordered_set<string_view> named;
    std::int64_t different = 0;
    for (const string_view unit : unknown) {
        if (!named.insert(unit).second) continue;
        starts[different] = static_cast<std::int32_t>(unit.data() - data);
        ends[different++] = static_cast<std::int32_t>(unit.data() - data + static_cast<std::int64_t>(unit.size()));
    }
    return -1 - different;
} catch (const std::bad_alloc&) {
    return std::numeric_limits<std::int64_t>::min();
}

}  // extern "C"

// The terms of many texts as ids: what words.py says of units of ASCII, without a Python object for each.
//
// A text is UTF-8. A unit is a run of word characters with joints (`a.b/c::d`, a suffix `++` or `#`); its terms are the
// whole of it where it has a joint, its parts between slashes, its words, and the parts of those (humps, runs of letters,
// runs of digits), lower-cased and stemmed. A term's id is the upper half of its 64-bit polynomial hash. Units with other
// characters than ASCII are found here and analysed by the caller.
//
// Plain C functions over plain arrays, called by word_batches.py; Python's headers are not needed to build this.

#include <array>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

using std::size_t;
using std::string_view;

enum Kind : std::uint8_t { kOutside, kLower, kUpper, kDigit, kUnderscore, kJoint, kColon, kPlus, kSharp, kHigh };

constexpr std::array<Kind, 256> kinds() {
    std::array<Kind, 256> table{};
    for (int code = 0; code < 256; ++code) {
        table[code] = code >= 'a' && code <= 'z'   ? kLower
                      : code >= 'A' && code <= 'Z' ? kUpper
                      : code >= '0' && code <= '9' ? kDigit
                      : code >= 128                ? kHigh
                                                   : kOutside;
    }
    table['_'] = kUnderscore, table[':'] = kColon, table['+'] = kPlus, table['#'] = kSharp;
    for (const char code : {'.', '-', '/', '@'}) table[static_cast<std::uint8_t>(code)] = kJoint;
    return table;
}

constexpr std::array<Kind, 256> kKinds = kinds();

Kind kind_of(char code) { return kKinds[static_cast<std::uint8_t>(code)]; }
bool is_word(Kind kind) { return kind >= kLower && kind <= kUnderscore; }
char lowered(char code) { return kind_of(code) == kUpper ? static_cast<char>(code | 0x20) : code; }

bool is_vowel(char code) { return string_view("aeiouy").find(code) != string_view::npos; }

bool ends_with(string_view term, string_view ending) {
    return term.size() >= ending.size() && term.substr(term.size() - ending.size()) == ending;
}

// `term` without the participle's ending, as stem.py's `_without_participle`.
void cut_participle(std::string& term) {
    const size_t ending = ends_with(term, "ing") ? 3 : ends_with(term, "ed") ? 2 : 0;
    if (!ending || term.size() - ending < 3) return;
    const size_t base = term.size() - ending;
    bool voiced = false;
    for (size_t at = 0; at < base && !voiced; ++at) voiced = is_vowel(term[at]);
    if (!voiced) return;
    const char last = term[base - 1];
    const bool doubled = last == term[base - 2] && last != 'l' && last != 's' && last != 'z';
    term.resize(base - doubled);
}

// `term`, letters only and in lower case, to its stem, as stem.py's `stem`.
void cut_to_stem(std::string& term) {
    constexpr size_t kShortest = 4;
    if (term.size() < kShortest) return;
    if (term.back() == 's') {
        if (ends_with(term, "ies") && term.size() > 4) {
            term.replace(term.size() - 3, 3, "y");
        } else if (ends_with(term, "sses") || ends_with(term, "shes") || ends_with(term, "ches") ||
                   ends_with(term, "xes") || ends_with(term, "zes")) {
            term.resize(term.size() - 2);
        } else if (!ends_with(term, "us") && !ends_with(term, "ss") && !ends_with(term, "is")) {
            term.pop_back();
        }
    }
    cut_participle(term);
    if (ends_with(term, "ly") && term.size() > 5) term.resize(term.size() - 2);
    if (term.size() >= kShortest && term.back() == 'e') term.pop_back();
    if (term.size() >= kShortest && term.back() == 'y') term.back() = 'i';
}

constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15, kLength = 0xC4CEB9FE1A85EC53;

// What inference.hashing's `hash_of` gives, its upper half.
std::uint32_t id_of(string_view term) {
    std::uint64_t value = term.size() * kLength, power = 1;
    for (const char code : term) {
        value += static_cast<std::uint8_t>(code) * power;
        power *= kBase;
    }
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return static_cast<std::uint32_t>((value ^ (value >> 31)) >> 32);
}

// The terms so far; counted on where there is no room for more.
class Terms {
  public:
    Terms(std::uint32_t* ids, std::int64_t room) : ids_(ids), room_(room) {}

    std::int64_t count() const { return count_; }

    void add(std::uint32_t id) {
        if (count_ < room_) ids_[count_] = id;
        ++count_;
    }

    // A term as it stands, but for the case.
    void add_whole(string_view text) {
        term_.resize(text.size());
        for (size_t at = 0; at < text.size(); ++at) term_[at] = lowered(text[at]);
        add(id_of(term_));
        if (is_version(term_)) add(id_of(string_view(term_).substr(1)));
    }

    // A word or a part of one, stemmed where it is of letters.
    void add_stem(string_view text) {
        term_.resize(text.size());
        bool lettered = true;
        for (size_t at = 0; at < text.size(); ++at) {
            const Kind kind = kind_of(text[at]);
            lettered &= kind == kLower || kind == kUpper;
            term_[at] = lowered(text[at]);
        }
        if (lettered) cut_to_stem(term_);
        add(id_of(term_));
    }

  private:
    static bool is_version(string_view term) {  // v1.2 and what follows
        if (term.size() < 4 || term[0] != 'v') return false;
        size_t at = 1;
        while (at < term.size() && kind_of(term[at]) == kDigit) ++at;
        return at > 1 && at + 1 < term.size() && term[at] == '.' && kind_of(term[at + 1]) == kDigit;
    }

    std::uint32_t* ids_;
    std::int64_t room_, count_ = 0;
    std::string term_;
};

using Parts = std::vector<string_view>;

// Humps, runs of letters and runs of digits: words.py's `_PARTS`.
void find_parts(string_view word, Parts& parts) {
    parts.clear();
    for (size_t at = 0; at < word.size();) {
        const Kind kind = kind_of(word[at]);
        size_t end = at + 1;
        if (kind == kUnderscore) {
            at = end;
            continue;
        }
        while (end < word.size() && kind_of(word[end]) == kind) ++end;
        if (kind == kUpper && end < word.size() && kind_of(word[end]) == kLower) {
            if (end - at > 1) {
                --end;
            } else {
                while (end < word.size() && kind_of(word[end]) == kLower) ++end;
            }
        }
        parts.push_back(word.substr(at, end - at));
        at = end;
    }
}

void add_word(string_view word, Parts& parts, Terms& terms) {
    find_parts(word, parts);
    terms.add_stem(word);
    if (parts.size() > 1) {
        for (const string_view part : parts) {
            if (part.size() > 1 || kind_of(part[0]) == kDigit) terms.add_stem(part);
        }
    } else if (!parts.empty() && parts[0].size() < word.size()) {
        terms.add_stem(parts[0]);
    }
}

size_t word_end(string_view text, size_t at) {
    while (at < text.size() && is_word(kind_of(text[at]))) ++at;
    return at;
}

// How many characters join the word that ends at `at` to the next one; 0 where nothing does.
size_t joint_at(string_view text, size_t at) {
    const auto word_at = [&](size_t place) { return place < text.size() && is_word(kind_of(text[place])); };
    if (at >= text.size()) return 0;
    if (kind_of(text[at]) == kJoint && word_at(at + 1)) return 1;
    return text[at] == ':' && at + 1 < text.size() && text[at + 1] == ':' && word_at(at + 2) ? 2 : 0;
}

// Characters of a suffix, such as `++`, behind the unit that ends at `at`.
size_t suffix_at(string_view text, size_t at) {
    if (text.substr(at, 2) == "++") return 2;
    const bool sharp = at < text.size() && text[at] == '#';
    return sharp && !(at + 1 < text.size() && is_word(kind_of(text[at + 1])));
}

// Terms of the unit of ASCII that begins at `at`; returns where it ends.
size_t add_unit(string_view text, size_t at, Parts& parts, Terms& terms) {
    const size_t begin = at;
    size_t section = at, end = word_end(text, at);
    bool slashed = false, jointed = false;  // of the unit; of the section since the last slash
    bool any = false;
    for (;;) {
        add_word(text.substr(at, end - at), parts, terms);
        const size_t joint = joint_at(text, end);
        if (!joint) break;
        any = true;
        if (text[end] == '/') {
            slashed = true;
            if (jointed) terms.add_whole(text.substr(section, end - section));
            section = end + 1, jointed = false;
        } else {
            jointed = true;
        }
        at = end + joint;
        end = word_end(text, at);
    }
    const size_t suffix = suffix_at(text, end);
    end += suffix;
    if (slashed && (jointed || suffix)) terms.add_whole(text.substr(section, end - section));
    if (any || suffix) terms.add_whole(text.substr(begin, end - begin));
    return end;
}

bool begins_character(char code) { return (code & 0xc0) != 0x80; }

// The run of characters of units that begins at `at`; whether it has others than ASCII.
size_t run_end(string_view text, size_t at, bool& is_high) {
    is_high = false;
    for (; at < text.size(); ++at) {
        const Kind kind = kind_of(text[at]);
        if (kind == kOutside) break;
        is_high |= kind == kHigh;
    }
    return at;
}

}  // namespace

extern "C" {

std::int32_t terms_rules() { return 1; }

// Where runs with other characters than ASCII are, in bytes; `starts` and `ends` have room for half as many entries as
// the text has bytes, and one. Returns how many there are.
std::int64_t terms_others(const char* data, std::int64_t size, std::int64_t* starts, std::int64_t* ends) {
    const string_view text(data, static_cast<size_t>(size));
    std::int64_t count = 0;
    for (size_t at = 0; at < text.size();) {
        bool is_high = false;
        const size_t end = run_end(text, at, is_high);
        if (is_high) {
            starts[count] = static_cast<std::int64_t>(at);
            ends[count++] = static_cast<std::int64_t>(end);
        }
        at = end + 1;
    }
    return count;
}

// Ids of the terms of `texts` texts, which lie in `data` with one space behind each; text i has `lengths[i]` characters.
//
// `others`, `other_counts`, `other_ids`: starts of the runs that `terms_others` found, how many terms each has, and their
// ids end to end. `offsets` has one entry more than there are texts: text i has the terms [offsets[i], offsets[i + 1]).
// Returns how many terms there are, of which no more than `room` are written; -1 where memory runs out.
std::int64_t terms_of(const char* data, std::int64_t size, const std::int64_t* lengths, std::int64_t texts,
                      const std::int64_t* others, const std::int64_t* other_counts, const std::uint32_t* other_ids,
                      std::int64_t other_runs, std::uint32_t* ids, std::int64_t room, std::int64_t* offsets) try {
    const string_view text(data, static_cast<size_t>(size));
    Terms terms(ids, room);
    Parts parts;
    size_t at = 0;
    std::int64_t other = 0;
    for (std::int64_t number = 0; number < texts; ++number) {
        offsets[number] = terms.count();
        size_t end = at;
        for (std::int64_t left = lengths[number] + 1; end < text.size(); ++end) {
            left -= begins_character(text[end]);
            if (!left) break;
        }
        while (at < end) {
            const Kind kind = kind_of(text[at]);
            if (other < other_runs && static_cast<std::int64_t>(at) == others[other]) {
                for (std::int64_t left = other_counts[other++]; left; --left) terms.add(*other_ids++);
                bool is_high = false;
                at = run_end(text, at, is_high);
            } else if (is_word(kind)) {
                at = add_unit(text, at, parts, terms);
            } else {
                ++at;
            }
        }
        at = end + 1;
    }
    offsets[texts] = terms.count();
    return terms.count();
} catch (const std::bad_alloc&) {
    return -1;
}

}  // extern "C"

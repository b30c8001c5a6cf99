// Where a tokenized document is cut: units between blank lines, headings and blocks, and which of them share a piece.
//
// Plain C functions over plain arrays, called by chunks/cut.py; Python's headers are not needed to build this. What the
// numbers mean, and why borders are chosen so, is told in chunks/pack.py, chunks/prose.py and chunks/source.py. No
// function keeps a pointer that it was given. Change cut_rules with whatever may change a number or an argument.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace {

using Number = std::int64_t;
using Hash = std::uint64_t;

constexpr Number kWall = Number{1} << 62;
constexpr Hash kMix1 = 0x9E3779B97F4A7C15, kMix2 = 0xBF58476D1CE4E5B9, kMix3 = 0x94D049BB133111EB;
constexpr Hash kTopHalf = Hash{1} << 63;
constexpr int kHashBits = 40;
constexpr Number kParagraph = 1, kPage = 9, kStrongest = 99;

Hash mixed(Hash value) {  // SplitMix64's finalizer, as inference/hashing.py
    value = (value ^ (value >> 30)) * kMix2;
    value = (value ^ (value >> 27)) * kMix3;
    return value ^ (value >> 31);
}

Hash spread(std::int32_t id) { return mixed(static_cast<Hash>(static_cast<Number>(id)) * kMix1 + kMix2); }

// A hash of the tokens between each bound and the next, see Source.hashes_between.
void hash_units(const std::int32_t* ids, const Number* bounds, Number count, Number* hashes) {
    const Number last = bounds[count];
    if (bounds[0] == last) return std::fill(hashes, hashes + count, 0);
    Hash here = bounds[0] < last ? spread(ids[bounds[0]]) : 0;
    for (Number unit = 0; unit < count; ++unit) {
        Hash least = std::numeric_limits<Hash>::max(), whole = 0;
        for (Number token = bounds[unit]; token < bounds[unit + 1]; ++token) {
            const Hash next = token + 1 < last ? spread(ids[token + 1]) : 0;
            Hash pair = token + 1 < last ? here ^ (next * kMix2) : here;
            if (token + 1 == bounds[unit + 1]) pair |= kTopHalf;
            least = std::min(least, pair);
            whole += here;
            here = next;
        }
        hashes[unit] = static_cast<Number>((mixed(least) >> 40) << 16 | mixed(whole) >> 48);
    }
}

struct Sizes {
    Number most, anchor, alone;
};

// Chooses borders between units, see pack.borders.
class Borders {
  public:
    Borders(const Number* before, const Number* priorities, Number count, Sizes sizes)
        : before_(before), count_(count), sizes_(sizes), ranks_(priorities, priorities + count), radii_(count, 0) {
        for (Number& rank : ranks_) rank = std::min(rank, kWall);  // above it, what is open would be closed
    }

    std::vector<Number> found() {
        if (count_ < 2 || before_[count_] - before_[0] <= std::min(sizes_.anchor, sizes_.most)) {
            for (Number unit = 1; unit < count_; ++unit) {
                if (ranks_[unit] >= kWall) result_.push_back(unit);
            }
            return result_;
        }
        for (Number unit = 0; unit < count_; ++unit) {
            if (before_[unit + 1] - before_[unit] < sizes_.alone) continue;
            ranks_[unit] = kWall;
            if (unit + 1 < count_) ranks_[unit + 1] = kWall;
        }
        measure();
        Number start = 0;
        for (Number unit = 1; unit < count_; ++unit) {
            if (ranks_[unit] < kWall && radii_[unit] <= sizes_.anchor) continue;
            halve(start, unit);
            result_.push_back(unit);
            start = unit;
        }
        halve(start, count_);
        std::sort(result_.begin(), result_.end());
        return result_;
    }

  private:
    // Tokens from each border to the nearest one of a higher rank (equal ranks: the earlier counts as higher).
    void measure() {
        std::vector<Number> open{0};
        ranks_[0] = kWall;
        for (Number unit = 1; unit < count_; ++unit) {
            while (ranks_[open.back()] < ranks_[unit]) {
                const Number lower = open.back();
                open.pop_back();
                radii_[lower] = std::min(radii_[lower], before_[unit] - before_[lower]);
            }
            radii_[unit] = before_[unit] - before_[open.back()];
            open.push_back(unit);
        }
        for (const Number unit : open) radii_[unit] = std::min(radii_[unit], before_[count_] - before_[unit]);
    }

    // Cuts units until each piece is within the bound or a single unit.
    void halve(Number first, Number last) {
        std::vector<std::pair<Number, Number>> pending{{first, last}};
        while (!pending.empty()) {
            const auto [start, end] = pending.back();
            pending.pop_back();
            if (before_[end] - before_[start] <= sizes_.most || end - start < 2) continue;
            const Number border = best(start, end);
            result_.push_back(border);
            pending.push_back({start, border});
            pending.push_back({border, end});
        }
    }

    // The border with the most tokens to the next higher one; of equals the most central, then the first.
    Number best(Number start, Number end) const {
        const Number low = before_[start], high = before_[end];
        const Number floor = high - low <= 8 * sizes_.most ? sizes_.most / 8 : (high - low) / 4;
        Number inside = -1, central = start + 1;
        for (Number unit = start + 1; unit < end; ++unit) {
            if (off(unit, low, high) < off(central, low, high)) central = unit;
            if (before_[unit] - low < floor || high - before_[unit] < floor) continue;
            if (inside < 0 || radii_[unit] > radii_[inside] ||
                (radii_[unit] == radii_[inside] && off(unit, low, high) < off(inside, low, high))) {
                inside = unit;
            }
        }
        return inside < 0 ? central : inside;
    }

    Number off(Number unit, Number low, Number high) const { return std::abs(2 * before_[unit] - low - high); }

    const Number* before_;
    Number count_;
    Sizes sizes_;
    std::vector<Number> ranks_, radii_, result_;
};

struct Unit {
    Number place, token, strength;
};

// A tokenized document as chunks/source.py keeps it; chunks/cut.py has the same fields in the same order.
struct Document {
    Number length, token_count, line_count;
    const std::int32_t* ids;
    const Number *starts, *ends, *newlines, *line_tokens, *weight_before;
};

// What a place may be cut at: starts and strengths, and the blocks' starts and ends in turn, apart and ascending.
struct Edges {
    const Number *places, *strengths;
    Number place_count;
    const Number* blocks;
    Number block_count;
};

// The block that a place is strictly inside of, or that begins there; -1 for none.
Number block_at(const Edges& edges, Number place) {
    Number low = 0, high = edges.block_count;
    while (low < high) {
        const Number middle = (low + high) / 2;
        if (edges.blocks[2 * middle] <= place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && place < edges.blocks[2 * low - 1] ? low - 1 : -1;
}

// Units by their starts: lines below a blank one, and the edges; the strongest of those at one token.
std::vector<Unit> units_of(const Document& document, const Edges& edges) {
    std::vector<Unit> units;
    const Number tokens = document.token_count;
    const auto add = [&](Number place, Number strength) {
        if (place < 0 || place >= document.length) return;
        if (strength < kPage) {
            const Number block = block_at(edges, place);
            if (block >= 0 && edges.blocks[2 * block] < place) return;
        }
        const Number* starts = document.starts;
        const Number token = std::lower_bound(starts, starts + tokens, place) - starts;
        const bool is_within = token > 0 && document.ends[token - 1] > place;
        if (place == 0 || (!is_within && token > 0 && token < tokens)) units.push_back({place, token, strength});
    };
    add(0, kParagraph);
    const Number *lines = document.line_tokens, *newlines = document.newlines;
    const Number inner = document.line_count && newlines[document.line_count - 1] == document.length - 1
                             ? document.line_count - 1
                             : document.line_count;
    for (Number line = 1; line < inner; ++line) {
        const Number next = line + 1 < inner ? lines[line + 1] : tokens;
        if (lines[line] < next && lines[line - 1] == lines[line]) add(newlines[line] + 1, kParagraph);
    }
    for (Number edge = 0; edge < edges.place_count; ++edge) add(edges.places[edge], edges.strengths[edge]);
    std::stable_sort(units.begin(), units.end(), [](const Unit& one, const Unit& two) {
        return one.token != two.token ? one.token < two.token : one.strength > two.strength;
    });
    const auto is_same = [](const Unit& one, const Unit& two) { return one.token == two.token; };
    units.erase(std::unique(units.begin(), units.end(), is_same), units.end());
    if (units.empty()) units.push_back({0, 0, kParagraph});
    units[0].place = 0;
    return units;
}

// Units to choose borders between: where each starts, the weight before it and last of all, its priority.
struct Joined {
    std::vector<Number> places, before, priorities;
};

// A heading that stands alone is joined with the unit below it, unless that is stronger or they do not fit.
Joined joined_units(const Document& document, const std::vector<Unit>& units, Sizes sizes) {
    const std::size_t count = units.size();
    std::vector<Number> tokens, hashes(count);
    for (const Unit& unit : units) tokens.push_back(unit.token);
    tokens.push_back(document.token_count);
    hash_units(document.ids, tokens.data(), static_cast<Number>(count), hashes.data());
    const auto weight = [&](std::size_t unit) {
        return document.weight_before[tokens[unit + 1]] - document.weight_before[tokens[unit]];
    };
    Joined joined;
    bool is_joined = false;
    for (std::size_t unit = 0; unit < count; ++unit) {
        const Number strength = units[unit].strength;
        if (!is_joined) {
            joined.places.push_back(units[unit].place);
            joined.before.push_back(document.weight_before[tokens[unit]]);
            joined.priorities.push_back(strength == kStrongest ? kWall : strength << kHashBits | hashes[unit]);
        }
        is_joined = unit + 1 < count && strength > kParagraph && weight(unit) <= sizes.anchor &&
                    units[unit + 1].strength < strength && weight(unit) + weight(unit + 1) <= sizes.most;
    }
    joined.before.push_back(document.weight_before[document.token_count]);
    return joined;
}

bool is_white(std::uint32_t code) {  // Python's str.isspace
    if (code < 0x80) return (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x20);
    return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool continues(char code) { return (code & 0xc0) == 0x80; }

// A text in UTF-8 by the characters of places that ascend.
class Text {
  public:
    Text(const char* data, Number size, Number length) : data_(data), size_(size), is_ascii_(size == length) {}

    // The byte at which a character begins, not before the one asked for last.
    Number byte_of(Number character) {
        if (is_ascii_) return character;
        while (character - character_ >= kBlock && byte_ + kBlock < size_) {
            const char* here = data_ + byte_;
            character_ += kBlock - std::count_if(here, here + kBlock, continues);
            skip_to(byte_ + kBlock);
        }
        for (; character_ < character && byte_ < size_; ++character_) skip_to(byte_ + 1);
        return byte_;
    }

    // The character at a byte, and how many bytes it has.
    std::pair<std::uint32_t, Number> at(Number byte) const {
        const auto lead = static_cast<std::uint8_t>(data_[byte]);
        if (lead < 0x80) return {lead, 1};
        const Number bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        std::uint32_t code = lead & (0xff >> (bytes + 1));
        for (Number next = 1; next < bytes && byte + next < size_; ++next) code = code << 6 | (data_[byte + next] & 0x3f);
        return {code, bytes};
    }

    // The byte at which the character before a byte begins.
    Number before(Number byte) const {
        do --byte;
        while (byte > 0 && continues(data_[byte]));
        return byte;
    }

    // Whether one of the bytes at both sides of a border is a space, a tab or ends a line; the text's ends count as well.
    bool is_clean(Number byte) const {
        const auto is_plain = [](char code) { return code == ' ' || code == '\t' || code == '\r' || code == '\n'; };
        return byte == 0 || byte == size_ || is_plain(data_[byte - 1]) || is_plain(data_[byte]);
    }

  private:
    static constexpr Number kBlock = 64;

    // Moves on to a byte, or to the next one at which a character begins.
    void skip_to(Number byte) {
        while (byte < size_ && continues(data_[byte])) ++byte;
        byte_ = byte;
    }

    const char* data_;
    Number size_;
    bool is_ascii_;
    Number character_ = 0, byte_ = 0;
};

}  // namespace

extern "C" {

std::int32_t cut_rules() { return 2; }

// Line feeds of a text of `size` bytes of UTF-8 and `length` characters: their offsets in characters and, for each, the
// first token that starts after it; and the weight before each token and that of all, see chunks/source.py. `newlines`
// and `line_tokens` have room for all line feeds, `weight_before` for one number more than there are tokens.
void cut_lines(const char* data, Number size, Number length, const Number* starts, Number token_count, Number shift,
               Number* newlines, Number* line_tokens, Number* weight_before) {
    Number continuing = 0, token = 0, weight = 0;
    for (const char *here = data, *end = data + size; here < end;) {
        const auto* next = static_cast<const char*>(std::memchr(here, '\n', static_cast<std::size_t>(end - here)));
        if (next == nullptr) break;
        if (size != length) {
            continuing += std::count_if(here, next, continues);
        }
        *newlines = next - data - continuing;
        while (token < token_count && starts[token] < *newlines) ++token;
        *line_tokens++ = token;
        ++newlines;
        here = next + 1;
    }
    for (token = 0; token < token_count; ++token) {
        weight_before[token] = weight;
        const Number after = token + 1 < token_count ? starts[token + 1] : length;
        weight += std::max(Number{1}, (after - starts[token]) >> shift);
    }
    weight_before[token_count] = weight;
}

void cut_hashes(const std::int32_t* ids, const Number* bounds, Number count, Number* hashes) {
    hash_units(ids, bounds, count, hashes);
}

// Borders between `count` units into `picked`, which has room for so many; how many, or -1 where memory runs out.
Number cut_borders(const Number* before, const Number* priorities, Number count, const Sizes* sizes, Number* picked) try {
    const std::vector<Number> found = Borders(before, priorities, count, *sizes).found();
    std::copy(found.begin(), found.end(), picked);
    return static_cast<Number>(found.size());
} catch (const std::bad_alloc&) {
    return -1;
}

// The pieces of a document: for each the start, the weight, the block that its first unit stands in (-1: none), and its
// kind: that of its units' blocks, `base` where they are not of one kind. Each array has room for a piece more than there
// are line feeds and edges; returns how many there are, or -1 where memory runs out.
Number cut_pieces(const Document* document, const Edges* edges, const std::int32_t* kinds, std::int32_t base,
                  const Sizes* sizes, Number* starts, Number* weights, Number* blocks, std::int32_t* piece_kinds) try {
    const Joined joined = joined_units(*document, units_of(*document, *edges), *sizes);
    const Number count = static_cast<Number>(joined.places.size());
    std::vector<Number> lasts = Borders(joined.before.data(), joined.priorities.data(), count, *sizes).found();
    lasts.push_back(count);
    const auto kind_at = [&](Number place) {
        const Number block = block_at(*edges, place);
        return block < 0 ? base : kinds[block];
    };
    Number pieces = 0, first = 0;
    for (const Number last : lasts) {
        const Number* places = joined.places.data();
        const std::int32_t kind = kind_at(places[first]);
        const auto same = [&](Number place) { return kind_at(place) == kind; };
        starts[pieces] = places[first];
        weights[pieces] = joined.before[last] - joined.before[first];
        blocks[pieces] = block_at(*edges, places[first]);
        piece_kinds[pieces++] = std::all_of(places + first, places + last, same) ? kind : base;
        first = last;
    }
    return pieces;
} catch (const std::bad_alloc&) {
    return -1;
}

// Spans of a text without blank lines before and white space after; ascending, apart. Of each, six numbers: where it
// starts and ends, its first character that is no white space, its tokens, the lines of its first and last character
// (from 0); and whether its tokens are exactly those of its text, which needs plain white space beside both borders. A
// span of white space ends where it starts.
void cut_places(const char* data, Number size, Number length, const Number* starts, Number token_count,
                const Number* newlines, Number line_count, const Number* spans, Number count, Number* places,
                std::uint8_t* is_exact) {
    Text text(data, size, length);
    const auto index = [](const Number* values, Number number, Number place) {
        return std::lower_bound(values, values + number, place) - values;
    };
    for (Number span = 0; span < count; ++span, places += 6) {
        Number start = spans[2 * span], end = spans[2 * span + 1];
        Number from = text.byte_of(start), to = text.byte_of(end);
        while (to > from) {
            const Number last = text.before(to);
            if (!is_white(text.at(last).first)) break;
            to = last;
            --end;
        }
        Number begin = start;
        for (Number byte = from; byte < to; ++begin) {
            const auto [code, bytes] = text.at(byte);
            if (!is_white(code)) break;
            byte += bytes;
            if (code == '\n') start = begin + 1, from = byte;
        }
        places[0] = start;
        places[1] = end;
        places[2] = begin;
        places[3] = index(starts, token_count, end) - index(starts, token_count, start);
        places[4] = index(newlines, line_count, start);
        places[5] = index(newlines, line_count, std::max(start, end - 1));
        is_exact[span] = text.is_clean(from) && text.is_clean(to);
    }
}

}  // extern "C"

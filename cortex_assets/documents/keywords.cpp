// Where any of some keywords stands in a text, whatever the case of its ASCII letters: one pass over its UTF-8.
//
// Plain C functions over plain arrays, called by documents/keywords.py; Python's headers are not needed to build this.
// No function keeps a pointer that it was given.

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

using std::string_view;

constexpr std::array<std::uint8_t, 256> lowered() {
    std::array<std::uint8_t, 256> table{};
    for (int code = 0; code < 256; ++code) {
        table[code] = static_cast<std::uint8_t>(code >= 'A' && code <= 'Z' ? code | 0x20 : code);
    }
    return table;
}

constexpr std::array<std::uint8_t, 256> kLowered = lowered();

std::uint8_t low(char code) { return kLowered[static_cast<std::uint8_t>(code)]; }

// Keywords by their first two bytes.
struct Keywords {
    std::array<std::uint16_t, 65536> bucket_of{};  // 0: none begins so
    std::vector<std::vector<std::string>> buckets{1};

    bool stands_at(string_view text, std::size_t at) const {
        const auto first = static_cast<std::size_t>(low(text[at])) << 8 | low(text[at + 1]);
        if (bucket_of[first] == 0) return false;
        for (const std::string& word : buckets[bucket_of[first]]) {
            if (word.size() > text.size() - at) continue;
            std::size_t same = 2;
            while (same < word.size() && static_cast<std::uint8_t>(word[same]) == low(text[at + same])) ++same;
            if (same == word.size()) return true;
        }
        return false;
    }
};

}  // namespace

extern "C" {

std::int32_t keywords_rules() { return 1; }

// `count` keywords end to end in `text`, the i-th of `sizes[i]` bytes, two or more, its ASCII letters small. Returns a
// handle, or null where memory runs out.
void* keywords_new(const char* text, const std::int32_t* sizes, std::int32_t count) try {
    auto table = std::make_unique<Keywords>();
    for (std::int32_t number = 0; number < count; text += sizes[number++]) {
        const auto first = static_cast<std::size_t>(low(text[0])) << 8 | low(text[1]);
        if (table->bucket_of[first] == 0) {
            table->bucket_of[first] = static_cast<std::uint16_t>(table->buckets.size());
            table->buckets.emplace_back();
        }
        table->buckets[table->bucket_of[first]].emplace_back(text, static_cast<std::size_t>(sizes[number]));
    }
    return table.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

void keywords_free(void* table) { delete static_cast<Keywords*>(table); }

// Offsets, in characters, at which a keyword stands, ascending, the first `room` of them. Returns how many there are.
std::int64_t keywords_find(const void* handle, const char* data, std::int64_t size, std::int64_t room,
                           std::int64_t* places) {
    const auto& table = *static_cast<const Keywords*>(handle);
    const string_view text(data, static_cast<std::size_t>(size));
    std::int64_t found = 0, continuing = 0;
    for (std::size_t at = 0; at + 1 < text.size(); ++at) {
        if ((text[at] & 0xc0) == 0x80) {
            ++continuing;
        } else if (table.stands_at(text, at)) {
            if (found < room) places[found] = static_cast<std::int64_t>(at) - continuing;
            ++found;
        }
    }
    return found;
}

}  // extern "C"

// The layers of a BERT encoder for one text, in float32, on the weights where they are mapped.
//
// States are columns, one a token. A tile of 8 to 32 tokens stands in registers, so that a weight is read once, as it lies in
// the file, and multiplied with all of them: nothing is packed, turned round or kept. A helping thread begins while the caller
// does something else; from `encoder_finish` on both share the rows of a product, each taking the next few when it is done, so
// that a helper that the system lets wait holds up nothing but its own few.
//
// Plain C functions over plain arrays, called by inference/engines/bert_compiled.py. Compiled for AVX2 and for AVX-512, chosen
// when it is called; on other processors `encoder_level` is 0, and inference/engines/bert_numpy.py computes by itself.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#endif

namespace {

#define HERE __attribute__((always_inline))  // into the function of a kind of processor
#define INLINE inline HERE

constexpr int kBlock = 32;     // rows that a thread takes at a time
constexpr int kStages = 7;     // of a layer
constexpr int kLongest = 512;  // tokens
constexpr int kAligned = 64;   // bytes: a line of the cache

struct Linear {
    const float *weight, *bias;  // (out, in) and (out)
};

struct Norm {
    const float *scale, *shift;
};

struct Layer {
    Linear query, key, value, attended;
    Norm attention_norm;
    Linear inner, outer;
    Norm norm;
};

struct Shape {
    int hidden, inner, heads, layers, length;
    float epsilon;
    int tile;  // tokens side by side
    int tiles() const { return (length + tile - 1) / tile; }
};

// Shares the blocks of one stage after the other among the threads that go through the same stages.
class Crew {
  public:
    explicit Crew(int stages) : stages_(static_cast<std::size_t>(stages)) {}

    template <class Work>
    INLINE void share(int stage, int blocks, const Work& work) {
        Stage& mine = stages_[static_cast<std::size_t>(stage)];
        for (int block; (block = mine.next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
            work(block);
            mine.done.fetch_add(1, std::memory_order_release);
        }
        for (int asked = 0; mine.done.load(std::memory_order_acquire) < blocks; ++asked) {
            if (asked > 1000) std::this_thread::yield();
        }
    }

  private:
    struct alignas(64) Stage {
        std::atomic<int> next{0}, done{0};
    };
    std::vector<Stage> stages_;
};

// What the threads of one call share; the last to leave frees it. All arrays are (tile, row, token of the tile).
struct Call {
    Shape shape;
    std::vector<Layer> layers;
    Crew crew;
    std::vector<float> memory;
    float *states, *query, *key, *value, *attended, *inner;

    Call(const Shape& of, const Layer* first)
        : shape(of), layers(first, first + of.layers), crew(of.layers * kStages),
          memory(static_cast<std::size_t>(5 * of.hidden + of.inner) * width() + kAligned / sizeof(float)) {
        void* start = memory.data();
        std::size_t room = memory.size() * sizeof(float);
        float* at = static_cast<float*>(std::align(kAligned, room - kAligned, start, room));
        for (float** array : {&states, &query, &key, &value, &attended, &inner}) {
            *array = at;
            at += static_cast<std::size_t>(of.hidden) * width();
        }
    }

    std::size_t width() const { return static_cast<std::size_t>(shape.tile) * static_cast<std::size_t>(shape.tiles()); }

    float& state(int token, int row) {
        return states[(static_cast<std::ptrdiff_t>(token / shape.tile) * shape.hidden + row) * shape.tile + token % shape.tile];
    }
};

typedef float Eight __attribute__((vector_size(32)));
typedef float Sixteen __attribute__((vector_size(64)));
typedef std::int32_t EightInts __attribute__((vector_size(32)));
typedef std::int32_t SixteenInts __attribute__((vector_size(64)));

// The computation with registers of type V and I (as many int32): `kParts` of them side by side, `kRows` rows of a product at
// once, so that their sums fill the registers.
template <class V, class I, int kParts, int kRows>
struct Kernel {
    static constexpr int kLanes = sizeof(V) / sizeof(float), kTile = kParts * kLanes;

    static INLINE V load(const float* from) {
        V values;
        std::memcpy(&values, from, sizeof values);
        return values;
    }

    static INLINE void store(float* to, const V& values) { std::memcpy(to, &values, sizeof values); }

    static INLINE V greater(const V& one, const V& other) { return one > other ? one : other; }

    // `kRows` rows of a product of a matrix with one tile.
    struct Sums {
        V of[kRows][kParts];

        INLINE void start(const float* bias) {
            for (int row = 0; row < kRows; ++row) {
                for (int part = 0; part < kParts; ++part) of[row][part] = V{} + (bias ? bias[row] : 0.0F);
            }
        }

        // Adds the products of `width` columns; `by_row` and `by_column` lead to the next row and column of the matrix.
        INLINE void add(const float* matrix, std::ptrdiff_t by_row, std::ptrdiff_t by_column, int width, const float* tile) {
            for (int column = 0; column < width; ++column) {
                V tokens[kParts];
                for (int part = 0; part < kParts; ++part) tokens[part] = load(tile + column * kTile + part * kLanes);
                for (int row = 0; row < kRows; ++row) {
                    const float factor = matrix[row * by_row + column * by_column];
                    for (int part = 0; part < kParts; ++part) of[row][part] += factor * tokens[part];
                }
            }
        }

        // Gives each sum to `take(place, sum)`, place counted in floats from the first.
        template <class Take>
        INLINE void give(const Take& take) const {
            for (int row = 0; row < kRows; ++row) {
                for (int part = 0; part < kParts; ++part) take(row * kTile + part * kLanes, of[row][part]);
            }
        }
    };

    // One block of rows of `weight @ states + bias`, for all tiles; sums go to `take(place in a result of `height` rows, sum)`.
    template <class Take>
    static INLINE void linear(const Linear& layer, int block, int height, int width, int tiles, const float* states,
                              const Take& take) {
        for (int row = block * kBlock; row < std::min(height, (block + 1) * kBlock); row += kRows) {
            for (int tile = 0; tile < tiles; ++tile) {
                Sums sums;
                sums.start(layer.bias + row);
                sums.add(layer.weight + static_cast<std::ptrdiff_t>(row) * width, width, 1, width,
                         states + static_cast<std::ptrdiff_t>(tile) * width * kTile);
                const std::ptrdiff_t first = (static_cast<std::ptrdiff_t>(tile) * height + row) * kTile;
                sums.give([&](int place, const V& sum) HERE { take(first + place, sum); });
            }
        }
    }

    // e^x to 1e-7, for x from -87 to 0 (less counts as -87). Source: Cephes, expf.
    static INLINE V exponential(V x) {
        constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: a small number added to it is rounded to a whole one
        x = greater(x, V{} - 87.0F);
        const V shifted = x * 1.44269504F + kRound;
        const V whole = shifted - kRound;
        x = x - whole * 0.693359375F + whole * 2.12194440e-4F;
        V sum = V{} + 1.9875691500e-4F;
        for (const float coefficient : {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0e-1F}) {
            sum = sum * x + coefficient;
        }
        sum = sum * x * x + x + 1.0F;
        I bits;
        std::memcpy(&bits, &shifted, sizeof bits);
        I power;
        std::memcpy(&power, &sum, sizeof power);
        power += bits << 23;
        std::memcpy(&sum, &power, sizeof sum);
        return sum;
    }

    // The exact (erf) GELU: max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2. Source: Abramowitz and Stegun 7.1.26, to 1.5e-7.
    static INLINE V gelu(const V& x) {
        const V size = greater(x, -x);
        const V fraction = 1.0F / (size * 0.23164189F + 1.0F);
        V tail = fraction * (1.061405429F / 2);
        for (const float coefficient : {-1.453152027F / 2, 1.421413741F / 2, -0.284496736F / 2, 0.254829592F / 2}) {
            tail = (tail + coefficient) * fraction;
        }
        return (x + size) * 0.5F - tail * exponential(size * size * -0.5F) * size;
    }

    // Layer norm of the tokens of a tile, in place.
    static INLINE void normalize(const Norm& norm, int height, float epsilon, float* tile) {
        for (int part = 0; part < kTile; part += kLanes) {
            V mean{}, variance{};
            for (int row = 0; row < height; ++row) mean += load(tile + row * kTile + part);
            mean /= static_cast<float>(height);
            for (int row = 0; row < height; ++row) {
                const V apart = load(tile + row * kTile + part) - mean;
                variance += apart * apart;
            }
            V factor = variance / static_cast<float>(height) + epsilon;
            for (int lane = 0; lane < kLanes; ++lane) factor[lane] = 1.0F / __builtin_sqrtf(factor[lane]);
            for (int row = 0; row < height; ++row) {
                float* at = tile + row * kTile + part;
                store(at, (load(at) - mean) * factor * norm.scale[row] + norm.shift[row]);
            }
        }
    }

    // The attention of one head, for the tokens of one tile.
    static INLINE void attend(const Call& call, int head, int tile) {
        const Shape& shape = call.shape;
        const int width = shape.hidden / shape.heads;
        const std::ptrdiff_t by_tile = static_cast<std::ptrdiff_t>(shape.hidden) * kTile, mine = head * width * kTile;
        alignas(kAligned) float scores[kLongest][kTile];  // of each token with those of the tile
        for (int asked = 0; asked < shape.length; asked += kRows) {
            Sums sums;
            sums.start(nullptr);
            sums.add(call.key + asked / kTile * by_tile + mine + asked % kTile, 1, kTile, width,
                     call.query + tile * by_tile + mine);
            sums.give([&](int place, const V& sum) HERE { store(scores[asked] + place, sum); });
        }
        float shares[kTile];
        for (int part = 0; part < kTile; part += kLanes) {
            V most = load(scores[0] + part), total{};
            for (int asked = 1; asked < shape.length; ++asked) most = greater(most, load(scores[asked] + part));
            const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(width));
            for (int asked = 0; asked < shape.length; ++asked) {
                const V share = exponential((load(scores[asked] + part) - most) * scale);
                total += share;
                store(scores[asked] + part, share);
            }
            store(shares + part, 1.0F / total);
        }
        for (int row = 0; row < width; row += kRows) {
            Sums sums;
            sums.start(nullptr);
            for (int asked = 0; asked < shape.length; asked += kTile) {
                sums.add(call.value + asked / kTile * by_tile + mine + row * kTile, kTile, 1,
                         std::min(kTile, shape.length - asked), scores[asked]);
            }
            float* to = call.attended + tile * by_tile + mine + row * kTile;
            sums.give([&](int place, const V& sum) HERE { store(to + place, sum * load(shares + place % kTile)); });
        }
    }

    // All layers, for every thread of the crew: from `call.states` to `call.states`.
    static INLINE void encode(Call& call) {
        const Shape& shape = call.shape;
        const int hidden = shape.hidden, tiles = shape.tiles(), blocks = (hidden + kBlock - 1) / kBlock;
        int stage = 0;
        const auto residual = [&](std::ptrdiff_t place, const V& sum) HERE {
            store(call.states + place, load(call.states + place) + sum);
        };
        for (const Layer& layer : call.layers) {
            call.crew.share(stage++, 3 * blocks, [&](int block) HERE {
                const int which = block / blocks;
                float* to = which == 0 ? call.query : which == 1 ? call.key : call.value;
                linear((&layer.query)[which], block % blocks, hidden, hidden, tiles, call.states,
                       [&](std::ptrdiff_t place, const V& sum) HERE { store(to + place, sum); });
            });
            call.crew.share(stage++, shape.heads * tiles, [&](int block) HERE { attend(call, block / tiles, block % tiles); });
            call.crew.share(stage++, blocks, [&](int block) HERE {
                linear(layer.attended, block, hidden, hidden, tiles, call.attended, residual);
            });
            const auto norm = [&](const Norm& of, int tile) HERE {
                normalize(of, hidden, shape.epsilon, call.states + static_cast<std::ptrdiff_t>(tile) * hidden * kTile);
            };
            call.crew.share(stage++, tiles, [&](int tile) HERE { norm(layer.attention_norm, tile); });
            call.crew.share(stage++, (shape.inner + kBlock - 1) / kBlock, [&](int block) HERE {
                linear(layer.inner, block, shape.inner, hidden, tiles, call.states,
                       [&](std::ptrdiff_t place, const V& sum) HERE { store(call.inner + place, gelu(sum)); });
            });
            call.crew.share(stage++, blocks, [&](int block) HERE {
                linear(layer.outer, block, hidden, shape.inner, tiles, call.inner, residual);
            });
            call.crew.share(stage++, tiles, [&](int tile) HERE { norm(layer.norm, tile); });
        }
    }
};

using Task = std::function<void()>;

#if defined(__linux__)
// Whether a processor has nothing to do, as far as the system tells. On a busy one a helper only takes from the caller what it
// gives, and a block that it holds while others run is waited for.
bool one_is_idle() {
    const int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    char text[128] = {};
    const auto size = read(file, text, sizeof text - 1);
    close(file);
    int running = 0;  // such as "0.52 0.58 0.59 1/105 4242": the caller runs, of 105 tasks
    return size > 0 && std::sscanf(text, "%*s %*s %*s %d/", &running) == 1 && running < sysconf(_SC_NPROCESSORS_ONLN);
}
#endif

// Runs a task in a thread of its own that is not waited for; where none is to be had or no processor is idle, not at all.
//
// Linux may leave a new thread on its maker's processor for some milliseconds, though another is idle; until then a question
// is embedded. So it is told to run on the others.
void start_elsewhere(Task task) {
#if defined(__linux__)
    cpu_set_t others;
    const int here = sched_getcpu();
    if (!one_is_idle() || here < 0 || sched_getaffinity(0, sizeof others, &others) != 0) return;
    CPU_CLR(here, &others);
    pthread_attr_t asked;
    if (CPU_COUNT(&others) == 0 || pthread_attr_init(&asked) != 0) return;
    pthread_attr_setaffinity_np(&asked, sizeof others, &others);
    pthread_attr_setdetachstate(&asked, PTHREAD_CREATE_DETACHED);
    auto mine = std::make_unique<Task>(std::move(task));
    const auto run = [](void* given) -> void* {
        (*std::unique_ptr<Task>(static_cast<Task*>(given)))();
        return nullptr;
    };
    pthread_t thread;
    if (pthread_create(&thread, &asked, run, mine.get()) == 0) mine.release();
    pthread_attr_destroy(&asked);
#else
    try {
        std::thread(std::move(task)).detach();
    } catch (const std::system_error&) {
    }
#endif
}

using Encode = void (*)(Call&);

struct Kind {
    int tile;
    Encode encode;
};

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma")))
#define AVX2 __attribute__((target("avx2,fma")))
AVX512 void wide_32(Call& call) { Kernel<Sixteen, SixteenInts, 2, 8>::encode(call); }
AVX512 void wide_24(Call& call) { Kernel<Eight, EightInts, 3, 8>::encode(call); }
AVX512 void wide_16(Call& call) { Kernel<Sixteen, SixteenInts, 1, 8>::encode(call); }
AVX512 void wide_8(Call& call) { Kernel<Eight, EightInts, 1, 8>::encode(call); }
AVX2 void narrow_24(Call& call) { Kernel<Eight, EightInts, 3, 4>::encode(call); }
AVX2 void narrow_16(Call& call) { Kernel<Eight, EightInts, 2, 4>::encode(call); }
AVX2 void narrow_8(Call& call) { Kernel<Eight, EightInts, 1, 8>::encode(call); }

// 2 for AVX-512, 1 for AVX2, 0 where neither is there.
int level() {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    const bool is_wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    return is_wide ? 2 : 1;
}

std::vector<Kind> kinds(int most) {
    if (most > 1) return {{32, wide_32}, {24, wide_24}, {16, wide_16}, {8, wide_8}};
    return {{24, narrow_24}, {16, narrow_16}, {8, narrow_8}};
}
#else
int level() { return 0; }

std::vector<Kind> kinds(int) { return {}; }
#endif

// The kind that has the fewest places without a token; of equals the widest.
Kind fitting(int length, int most) {
    const auto places = [&](const Kind& kind) { return (length + kind.tile - 1) / kind.tile * kind.tile; };
    const std::vector<Kind> all = kinds(most);
    return *std::min_element(all.begin(), all.end(), [&](const Kind& a, const Kind& b) { return places(a) < places(b); });
}

struct Begun {
    std::shared_ptr<Call> call;
    Encode encode;
};

}  // namespace

extern "C" {

// Which code this is: the caller wants the number that it was written for.
std::uint32_t encoder_rules() { return 1; }

// How well this processor does it: 2 by AVX-512, 1 by AVX2, 0 not at all.
int encoder_level() { return level(); }

// Begin to turn `states`, (hidden, length), which are copied, into those after the last layer; `encoder_finish` the result.
//
// `tensors` are 16 a layer: weight and bias of query, key, value and attended, scale and shift of the first norm, weight and
// bias of inner and outer, scale and shift of the second norm; they stay where they are until it is finished. Numbers of rows
// are multiples of 8, also those of a head; `length` is 1 to 512. `most` is at most the processor's level. With `helped` a
// thread begins at once. Returns null where memory runs out or the numbers are others.
void* encoder_begin(const float* const* tensors, int layers, int hidden, int inner, int heads, float epsilon, int most,
                    int helped, int length, const float* states) try {
    static_assert(sizeof(Layer) == 16 * sizeof(float*), "a layer is its tensors");
    if (length < 1 || length > kLongest || most < 1 || most > level()) return nullptr;
    if (layers < 1 || heads < 1 || hidden % (8 * heads) || inner % 8) return nullptr;
    std::vector<Layer> all(static_cast<std::size_t>(layers));
    std::memcpy(all.data(), tensors, all.size() * sizeof(Layer));
    const Kind kind = fitting(length, most);
    const Shape shape{hidden, inner, heads, layers, length, epsilon, kind.tile};
    auto begun = std::make_unique<Begun>(Begun{std::make_shared<Call>(shape, all.data()), kind.encode});
    for (int row = 0; row < hidden; ++row) {
        for (int token = 0; token < length; ++token) begun->call->state(token, row) = *states++;
    }
    if (helped) start_elsewhere([call = begun->call, encode = kind.encode] { encode(*call); });
    return begun.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

// Do what is left, put the result into `states` (nowhere where it is null) and forget what was begun.
void encoder_finish(void* handle, float* states) {
    const std::unique_ptr<Begun> begun(static_cast<Begun*>(handle));
    Call& call = *begun->call;
    begun->encode(call);
    for (int row = 0; states && row < call.shape.hidden; ++row) {
        for (int token = 0; token < call.shape.length; ++token) *states++ = call.state(token, row);
    }
}

}  // extern "C"

// Loops that the compiler vectorizes for the instruction set of the file that includes them. Everything lives in
// an unnamed namespace and uses no inline function of the standard library, so that no code for a newer
// processor can be picked up by the rest of the program. That file first defines kLanes, kTileRows and kTileWidth.

#ifdef __SSSE3__
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernels/kernels.h"

namespace cvm {
namespace {

inline int32_t wrap_add(int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); }
inline int32_t wrap_sub(int32_t a, int32_t b) { return int32_t(uint32_t(a) - uint32_t(b)); }
inline int32_t wrap_mul(int32_t a, int32_t b) { return int32_t(uint32_t(a) * uint32_t(b)); }
inline int32_t clamp(int32_t v, int32_t lo, int32_t hi) { return v < lo ? lo : v > hi ? hi : v; }

// ((v >> (s - 1)) + 1) >> 1 without the overflow of + 1.
inline int32_t round_shift(int32_t v, int32_t s) {
    const int32_t t = v >> (s - 1);
    return (t >> 1) + (t & 1);
}

inline int32_t divide(int32_t a, int32_t b) { return b == 0 ? 0 : b == -1 ? wrap_sub(0, a) : a / b; }

inline uint8_t* address(const Operand& o, const Pixels& p, int row, int channel) {
    const int64_t at = o.rows ? o.rows[p.y[row]] + o.columns[p.x[row]] : p.y[row] * o.sy + p.x[row] * o.sx;
    return o.base + p.n[row] * o.sn + at + (o.splat ? 0 : channel * store_bytes(o.type));
}

inline void load_row(const Operand& o, const uint8_t* from, int width, int32_t* __restrict to) {
    if (o.splat) {
        const int32_t value = o.type == Store::U8    ? int32_t(*from) - 128
                              : o.type == Store::I16 ? *reinterpret_cast<const int16_t*>(from)
                                                     : *reinterpret_cast<const int32_t*>(from);
        for (int c = 0; c < width; ++c) to[c] = value;
    } else if (o.type == Store::U8) {
        for (int c = 0; c < width; ++c) to[c] = int32_t(from[c]) - 128;
    } else if (o.type == Store::I16) {
        const int16_t* v = reinterpret_cast<const int16_t*>(from);
        for (int c = 0; c < width; ++c) to[c] = v[c];
    } else {
        const int32_t* v = reinterpret_cast<const int32_t*>(from);
        for (int c = 0; c < width; ++c) to[c] = v[c];
    }
}

inline void store_row(Store type, const int32_t* __restrict from, int width, uint8_t* __restrict to) {
    if (type == Store::U8) {
        for (int c = 0; c < width; ++c) to[c] = uint8_t(from[c] + 128);
    } else if (type == Store::I16) {
        int16_t* v = reinterpret_cast<int16_t*>(to);
        for (int c = 0; c < width; ++c) v[c] = int16_t(from[c]);
    } else {
        int32_t* v = reinterpret_cast<int32_t*>(to);
        for (int c = 0; c < width; ++c) v[c] = from[c];
    }
}

// One instruction over a tile. `binary` walks registers a and b, `each` register a.
template <typename F>
inline void each(int32_t* dst, const int32_t* a, int rows, int width, F f) {
    for (int r = 0; r < rows; ++r, dst += kTileWidth, a += kTileWidth)
        for (int c = 0; c < width; ++c) dst[c] = f(a[c]);
}

template <typename F>
inline void binary(int32_t* dst, const int32_t* a, const int32_t* b, int rows, int width, F f) {
    for (int r = 0; r < rows; ++r, dst += kTileWidth, a += kTileWidth, b += kTileWidth)
        for (int c = 0; c < width; ++c) dst[c] = f(a[c], b[c]);
}

template <typename F>
inline void with_constants(int32_t* dst, const int32_t* a, const int32_t* k, int rows, int width, F f) {
    for (int r = 0; r < rows; ++r, dst += kTileWidth, a += kTileWidth)
        for (int c = 0; c < width; ++c) dst[c] = f(a[c], k[c]);
}

void run_program(const Program& program, const Pixels& pixels, int channel, int width, int32_t* registers) {
    const int rows = pixels.rows;
    constexpr int kSize = kTileRows * kTileWidth;
    for (int i = 0; i < program.length; ++i) {
        const Instruction& in = program.code[i];
        int32_t* dst = registers + in.dst * kSize;
        const int32_t* a = registers + in.a * kSize;
        const int32_t* b = registers + in.b * kSize;
        const int32_t* k = in.constants && in.code != Code::Lut ? in.constants + channel : in.constants;
        const int32_t lo = in.lo, hi = in.hi, shift = in.shift;
        switch (in.code) {
            case Code::Load: {
                const Operand& o = program.operands[in.operand];
                for (int r = 0; r < rows; ++r) load_row(o, address(o, pixels, r, channel), width, dst + r * kTileWidth);
                break;
            }
            case Code::Store: {
                const Operand& o = program.operands[in.operand];
                for (int r = 0; r < rows; ++r)
                    store_row(o.type, a + r * kTileWidth, width, address(o, pixels, r, channel));
                break;
            }
            case Code::Const:
                for (int r = 0; r < rows; ++r)
                    for (int c = 0; c < width; ++c) dst[r * kTileWidth + c] = k[c];
                break;
            case Code::Add: binary(dst, a, b, rows, width, [](int32_t u, int32_t v) { return wrap_add(u, v); }); break;
            case Code::Sub: binary(dst, a, b, rows, width, [](int32_t u, int32_t v) { return wrap_sub(u, v); }); break;
            case Code::Mul: binary(dst, a, b, rows, width, [](int32_t u, int32_t v) { return wrap_mul(u, v); }); break;
            case Code::Max: binary(dst, a, b, rows, width, [](int32_t u, int32_t v) { return u > v ? u : v; }); break;
            case Code::Div: binary(dst, a, b, rows, width, [](int32_t u, int32_t v) { return divide(u, v); }); break;
            case Code::Greater: binary(dst, a, b, rows, width, [](int32_t u, int32_t v) { return int32_t(u > v); }); break;
            case Code::AddConst:
                with_constants(dst, a, k, rows, width, [](int32_t u, int32_t v) { return wrap_add(u, v); });
                break;
            case Code::MulConst:
                with_constants(dst, a, k, rows, width, [](int32_t u, int32_t v) { return wrap_mul(u, v); });
                break;
            case Code::Abs: each(dst, a, rows, width, [](int32_t u) { return u < 0 ? wrap_sub(0, u) : u; }); break;
            case Code::Negative: each(dst, a, rows, width, [](int32_t u) { return wrap_sub(0, u); }); break;
            case Code::Clip: each(dst, a, rows, width, [=](int32_t u) { return clamp(u, lo, hi); }); break;
            case Code::Shift:
                each(dst, a, rows, width, [=](int32_t u) { return clamp(round_shift(u, shift), lo, hi); });
                break;
            case Code::LeftShift:
                each(dst, a, rows, width, [=](int32_t u) {
                    const int64_t v = int64_t(u) * (int64_t(1) << shift);
                    return int32_t(v < lo ? lo : v > hi ? hi : v);
                });
                break;
            case Code::Lut: {
                each(dst, a, rows, width, [=](int32_t u) { return k[clamp(u, 0, hi)]; });
                break;
            }
        }
    }
}

template <typename T>
inline int32_t stored_value(T v) { return sizeof(T) == 1 ? int32_t(v) - 128 : int32_t(v); }

template <bool AFFINE, typename From, typename To>
inline void blend_row(const Blend& how, const BlendRow& line) {
    constexpr int kAtOnce = 16;
    const Blend blend = how;  // copies, which no store can change
    const BlendRow row = line;
    const int32_t* __restrict multiplier = blend.post.multiplier;
    const int32_t* __restrict addend = blend.post.addend;
    for (int64_t x = 0; x < row.width; ++x) {
        const From* __restrict low = reinterpret_cast<const From*>(row.low + (row.low_at ? row.low_at[x] : x * row.low_step));
        const From* __restrict high = reinterpret_cast<const From*>(row.high + (row.high_at ? row.high_at[x] : x * row.high_step));
        To* __restrict out = reinterpret_cast<To*>(row.out + x * row.out_step);
        const int32_t weight = row.weights[x * row.weight_step];
        for (int64_t at = 0; at < row.channels; at += kAtOnce) {
            int32_t v[kAtOnce];
            for (int c = 0; c < kAtOnce; ++c) {
                const int32_t near = stored_value(low[at + c]), far = stored_value(high[at + c]);
                const int32_t part = wrap_mul(clamp(far - near, blend.lo, blend.hi), weight);
                v[c] = clamp(wrap_add(near, wrap_add(part, blend.half) >> blend.shift), blend.least, blend.most);
                if (!AFFINE) continue;
                v[c] = wrap_add(wrap_mul(v[c], multiplier[at + c]), addend[at + c]) >> blend.post.shift;
                v[c] = clamp(v[c], blend.post.lo, blend.post.hi);
            }
            for (int c = 0; c < kAtOnce; ++c) out[at + c] = sizeof(To) == 1 ? To(v[c] + 128) : To(v[c]);
        }
    }
}

template <typename From, typename To>
inline void blend_to(const Blend& blend, const BlendRow& row) {
    if (blend.post.multiplier) blend_row<true, From, To>(blend, row);
    else blend_row<false, From, To>(blend, row);
}

template <typename From>
inline void blend_from(const Blend& blend, const BlendRow& row) {
    if (blend.to == Store::U8) blend_to<From, uint8_t>(blend, row);
    else if (blend.to == Store::I16) blend_to<From, int16_t>(blend, row);
    else blend_to<From, int32_t>(blend, row);
}

void run_blend(const Blend& blend, const BlendRow& row) {
    if (blend.from == Store::U8) blend_from<uint8_t>(blend, row);
    else blend_from<int16_t>(blend, row);
}

// Largest value per channel, a vector of BYTES bytes at a time.
template <typename T, int BYTES>
inline void max_of(const uint8_t* const* pointers, int count, int64_t at, uint8_t* out) {
    typedef T Vector __attribute__((vector_size(BYTES)));
    Vector best, value;
    __builtin_memcpy(&best, pointers[0] + at, BYTES);
    for (int i = 1; i < count; ++i) {
        __builtin_memcpy(&value, pointers[i] + at, BYTES);
        best = best > value ? best : value;
    }
    __builtin_memcpy(out + at, &best, BYTES);
}

template <typename T>
inline void max_of_all(const uint8_t* const* pointers, int count, int64_t channels, uint8_t* out) {
    const int64_t end = channels * int64_t(sizeof(T));
    int64_t at = 0;
    for (; at + 64 <= end; at += 64) max_of<T, 64>(pointers, count, at, out);
    for (; at < end; at += 16) max_of<T, 16>(pointers, count, at, out);
}

void run_max_pool(const uint8_t* const* pointers, int count, int64_t channels, Store type, uint8_t* out) {
    // The bias of U8 keeps the order.
    if (type == Store::U8) max_of_all<uint8_t>(pointers, count, channels, out);
    else if (type == Store::I16) max_of_all<int16_t>(pointers, count, channels, out);
    else max_of_all<int32_t>(pointers, count, channels, out);
}

typedef int32_t FourValues __attribute__((vector_size(16)));

// Of four neighbouring channels each, of which the last four may begin within those before: the largest.
template <typename T>
inline FourValues largest_of_fours(const T* values, int64_t channels) {
    typedef T Stored __attribute__((vector_size(4 * sizeof(T))));
    const auto four = [&](int64_t at) {
        Stored stored;
        __builtin_memcpy(&stored, values + at, sizeof(stored));
        return __builtin_convertvector(stored, FourValues);
    };
    FourValues most = four(0);
    for (int64_t at = 4; at < channels; at += 4) {
        const FourValues next = four(at + 4 <= channels ? at : channels - 4);
        most = most > next ? most : next;
    }
    return most;
}

template <typename T>
inline void channel_max_of(const uint8_t* from, int64_t step, int64_t width, int64_t channels, int32_t* out) {
    const auto pixel = [&](int64_t x) { return reinterpret_cast<const T*>(from + x * step); };
    const auto larger = [](FourValues a, FourValues b) { return a > b ? a : b; };
    const int32_t bias = stored_value(T(0));
    int64_t x = 0;
    for (; channels >= 4 && x + 4 <= width; x += 4) {  // four by four, turned
        const FourValues a = largest_of_fours(pixel(x), channels), b = largest_of_fours(pixel(x + 1), channels);
        const FourValues c = largest_of_fours(pixel(x + 2), channels), d = largest_of_fours(pixel(x + 3), channels);
        const FourValues ab = larger(__builtin_shufflevector(a, b, 0, 4, 1, 5), __builtin_shufflevector(a, b, 2, 6, 3, 7));
        const FourValues cd = larger(__builtin_shufflevector(c, d, 0, 4, 1, 5), __builtin_shufflevector(c, d, 2, 6, 3, 7));
        const FourValues all = larger(__builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7)) + bias;
        __builtin_memcpy(out + x, &all, sizeof(all));
    }
    for (; x < width; ++x) {
        T most = pixel(x)[0];
        for (int64_t c = 1; c < channels; ++c) most = most > pixel(x)[c] ? most : pixel(x)[c];
        out[x] = stored_value(most);
    }
}

void run_channel_max(const uint8_t* from, int64_t step, int64_t width, int64_t channels, Store type, int32_t* out) {
    if (type == Store::U8) channel_max_of<uint8_t>(from, step, width, channels, out);
    else if (type == Store::I16) channel_max_of<int16_t>(from, step, width, channels, out);
    else channel_max_of<int32_t>(from, step, width, channels, out);
}

void run_sum(const uint8_t* first, int64_t pixels, int64_t stride, int64_t channels, Store type, int32_t* __restrict sums) {
    for (int64_t i = 0; i < pixels; ++i, first += stride) {
        if (type == Store::U8) {
            for (int64_t c = 0; c < channels; ++c) sums[c] += int32_t(first[c]) - 128;
        } else if (type == Store::I16) {
            const int16_t* v = reinterpret_cast<const int16_t*>(first);
            for (int64_t c = 0; c < channels; ++c) sums[c] += v[c];
        } else {
            const int32_t* v = reinterpret_cast<const int32_t*>(first);
            for (int64_t c = 0; c < channels; ++c) sums[c] = wrap_add(sums[c], v[c]);
        }
    }
}

inline int32_t affine(const Affine& post, int32_t v, int channel) {
    if (post.multiplier) v = wrap_mul(v, post.multiplier[channel]);
    if (post.addend) v = wrap_add(v, post.addend[channel]);
    return clamp(v >> post.shift, post.lo, post.hi);
}

void run_interleave3(const uint8_t* planes, int64_t width, uint8_t* out) {
    const uint8_t *a = planes, *b = planes + width, *c = planes + 2 * width;
    int64_t x = 0;
#ifdef __SSSE3__
    // Byte k of 16 pixels comes from plane k % 3, pixel k / 3; an index of 128 makes a zero.
    __m128i from[3][3];
    for (int i = 0; i < 3; ++i)
        for (int plane = 0; plane < 3; ++plane) {
            alignas(16) uint8_t index[16];
            for (int j = 0; j < 16; ++j) index[j] = (16 * i + j) % 3 == plane ? uint8_t((16 * i + j) / 3) : 128;
            from[i][plane] = _mm_load_si128(reinterpret_cast<const __m128i*>(index));
        }
    for (; x + 16 <= width; x += 16) {
        const __m128i va = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + x));
        const __m128i vb = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + x));
        const __m128i vc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(c + x));
        for (int i = 0; i < 3; ++i) {
            const __m128i ab = _mm_or_si128(_mm_shuffle_epi8(va, from[i][0]), _mm_shuffle_epi8(vb, from[i][1]));
            const __m128i abc = _mm_or_si128(ab, _mm_shuffle_epi8(vc, from[i][2]));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 3 * x + 16 * i), abc);
        }
    }
#elif defined(__aarch64__)
    for (; x + 16 <= width; x += 16) vst3q_u8(out + 3 * x, uint8x16x3_t{{vld1q_u8(a + x), vld1q_u8(b + x), vld1q_u8(c + x)}});
#endif
    for (; x < width; ++x) {
        out[3 * x] = a[x];
        out[3 * x + 1] = b[x];
        out[3 * x + 2] = c[x];
    }
}

}  // namespace
}  // namespace cvm

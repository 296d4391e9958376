#include "codec_loops.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "codecs.hpp"

// Inlined into functions that are compiled for one instruction set each. No operation here may be contracted into a
// fused one (the build says -ffp-contract=off): instruction sets would then differ in the last bit.
#define QREX_INLINE inline __attribute__((always_inline))

namespace qrex {
namespace {

constexpr int kGroup = static_cast<int>(kScaledAmplitudes);
constexpr std::int32_t kMagnitude = 0x7FFFFFFF;
constexpr std::int32_t kTooLarge = 0x7F000000;     // 2^127: what is decoded stays finite below it
constexpr std::uint32_t kSmallestScale = 1u << 23;  // 2^-126, as bits: below it precision is lost
constexpr float kShift = 12582912.0f;               // 1.5 * 2^23: added, it leaves an integer in the low bits
constexpr std::int32_t kShiftBits = std::bit_cast<std::int32_t>(kShift);

template <class T, int N>
struct VectorOf {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T, int N>
using Vector = typename VectorOf<T, N>::type;

template <class V>
QREX_INLINE V load(const void* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
QREX_INLINE void store(void* to, V v) {
  std::memcpy(to, &v, sizeof v);
}

// kSumLanes running sums of squares, in vectors as wide as `L` floats.
template <int L>
struct Squares {
  using F = Vector<float, L>;
  using D = Vector<double, L / 2>;
  static constexpr int kVectors = 2 * kSumLanes / L;
  D sums[kVectors];

  QREX_INLINE explicit Squares(const double* from) {
    for (int v = 0; v < kVectors; ++v) sums[v] = load<D>(from + v * (L / 2));
  }
  QREX_INLINE void save(double* to) const {
    for (int v = 0; v < kVectors; ++v) store(to + v * (L / 2), sums[v]);
  }
  // `step` counts vectors of L floats.
  QREX_INLINE void add(int step, F x) {
    // Widened as a whole and halved afterwards: compilers know one instruction for each half of that.
    const auto wide = __builtin_convertvector(x, Vector<double, L>);
    D low, high;
    if constexpr (L == 8) {
      low = __builtin_shufflevector(wide, wide, 0, 1, 2, 3);
      high = __builtin_shufflevector(wide, wide, 4, 5, 6, 7);
    } else {
      low = __builtin_shufflevector(wide, wide, 0, 1);
      high = __builtin_shufflevector(wide, wide, 2, 3);
    }
    const int v = 2 * (step % (kSumLanes / L));
    sums[v] += low * low;
    sums[v + 1] += high * high;
  }
};

template <int L>
QREX_INLINE void square_groups(const float* re, const float* im, std::uint64_t groups, SquareSums& sums) {
  Squares<L> norm(sums.norm);
  for (std::uint64_t g = 0; g < groups; ++g)
    for (const float* part : {re + g * kGroup, im + g * kGroup})
      for (int step = 0; step < kGroup / L; ++step) norm.add(step, load<Vector<float, L>>(part + step * L));
  norm.save(sums.norm);
}

// The scale for a largest magnitude; 0 where none is needed or it would be too small to be exact.
template <class T>
QREX_INLINE float scale_for(float largest) {
  constexpr float kLargestInteger = std::numeric_limits<T>::max();  // its negative, not the smallest: symmetric
  std::uint32_t bits = std::bit_cast<std::uint32_t>(largest / kLargestInteger);
  bits = (bits + 63 + (bits >> 7 & 1)) & ~127u;  // 17 significant bits, ties to even
  return bits < kSmallestScale ? 0.0f : std::bit_cast<float>(bits);
}

template <class T, int L>
QREX_INLINE void store_narrow(unsigned char* to, Vector<std::int32_t, L> integers) {
  const auto words = __builtin_convertvector(integers, Vector<std::int16_t, L>);
  if constexpr (sizeof(T) == 2) store(to, words);
  else store(to, __builtin_convertvector(words, Vector<std::int8_t, L>));
}

template <int L, class T>
QREX_INLINE bool encode_groups(const float* re, const float* im, std::uint64_t groups, unsigned char* scales,
                               unsigned char* out_re, unsigned char* out_im, SquareSums& sums) {
  using F = Vector<float, L>;
  using I = Vector<std::int32_t, L>;
  // All scales first: each is a long chain of steps, and chains of several groups run side by side.
  for (std::uint64_t g = 0; g < groups; ++g) {
    // As integers magnitudes keep their order, and what is not finite comes out on top.
    I largest = {};
    for (const float* part : {re + g * kGroup, im + g * kGroup})
      for (int k = 0; k < kGroup; k += L) {
        const I bits = load<I>(part + k) & kMagnitude;
        largest = bits > largest ? bits : largest;
      }
    std::int32_t top = 0;
    for (int lane = 0; lane < L; ++lane) top = std::max<std::int32_t>(top, largest[lane]);
    if (top >= kTooLarge) return false;
    store(scales + g * sizeof(float), scale_for<T>(std::bit_cast<float>(top)));
  }
  Squares<L> norm(sums.norm), kept(sums.kept), error(sums.error);
  for (std::uint64_t g = 0; g < groups; ++g) {
    const float scale = load<float>(scales + g * sizeof(float));
    const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
    for (int plane = 0; plane < 2; ++plane) {
      const float* part = (plane ? im : re) + g * kGroup;
      unsigned char* out = (plane ? out_im : out_re) + g * kGroup * sizeof(T);
#pragma GCC unroll 1  // unrolled, the sums would not fit into registers
      for (int step = 0; step < kGroup / L; ++step) {
        const F x = load<F>(part + step * L);
        const F shifted = x * inverse + kShift;  // rounds to nearest, ties to even
        const F coded = (shifted - kShift) * scale;
        norm.add(step, x);
        kept.add(step, coded);
        error.add(step, x - coded);
        store_narrow<T, L>(out + step * L * sizeof(T), (I)shifted - kShiftBits);
      }
    }
  }
  norm.save(sums.norm), kept.save(sums.kept), error.save(sums.error);
  return true;
}

template <int L, class T>
QREX_INLINE void decode_groups(const unsigned char* scales, const unsigned char* in, std::uint64_t groups, float* out) {
  for (std::uint64_t g = 0; g < groups; ++g) {
    const float scale = load<float>(scales + g * sizeof scale);
    for (int k = 0; k < kGroup; k += L) {
      const auto coded = load<Vector<T, L>>(in + (g * kGroup + k) * sizeof(T));
      const auto words = __builtin_convertvector(coded, Vector<std::int16_t, L>);
      const auto integers = __builtin_convertvector(words, Vector<std::int32_t, L>);
      store(out + g * kGroup + k, __builtin_convertvector(integers, Vector<float, L>) * scale);
    }
  }
}

// One set of loops: `attribute` says what they are compiled for, `lanes` how many floats a vector of it holds.
#define QREX_CODEC_LOOPS(set, attribute, lanes)                                                                    \
  attribute void squares_##set(const float* re, const float* im, std::uint64_t groups, SquareSums& sums) {         \
    square_groups<lanes>(re, im, groups, sums);                                                                    \
  }                                                                                                                \
  template <class T>                                                                                               \
  attribute bool encode_##set(const float* re, const float* im, std::uint64_t groups, unsigned char* scales,       \
                              unsigned char* out_re, unsigned char* out_im, SquareSums& sums) {                    \
    return encode_groups<lanes, T>(re, im, groups, scales, out_re, out_im, sums);                                  \
  }                                                                                                                \
  template <class T>                                                                                               \
  attribute void decode_##set(const unsigned char* scales, const unsigned char* in, std::uint64_t groups,          \
                              float* out) {                                                                        \
    decode_groups<lanes, T>(scales, in, groups, out);                                                              \
  }                                                                                                                \
  constexpr CodecLoops loops_##set = {#set, squares_##set, encode_##set<std::int16_t>, encode_##set<std::int8_t>,  \
                                      decode_##set<std::int16_t>, decode_##set<std::int8_t>};

QREX_CODEC_LOOPS(plain, , 4)  // SSE2 on x86-64, NEON on AArch64
#if defined(__x86_64__)
QREX_CODEC_LOOPS(avx2, __attribute__((target("avx2"))), 8)
#endif

}  // namespace

const std::vector<const CodecLoops*>& available_codec_loops() {
  static const std::vector<const CodecLoops*> sets = [] {
    std::vector<const CodecLoops*> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) found.push_back(&loops_avx2);
#endif
    found.push_back(&loops_plain);
    return found;
  }();
  return sets;
}

const CodecLoops& find_codec_loops(const std::string& name) {
  if (name.empty()) return *available_codec_loops().front();
  std::string have;
  for (const CodecLoops* loops : available_codec_loops()) {
    if (name == loops->name) return *loops;
    have += (have.empty() ? "" : ", ") + std::string(loops->name);
  }
  throw std::invalid_argument("no codec loops '" + name + "' on this processor; it has: " + have);
}

}  // namespace qrex

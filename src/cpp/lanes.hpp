// Vectors of amplitudes, and walks over the vectors of a block. For kernels.cpp and what it includes: compiled once
// per instruction set, with QREX_LANES floats per vector, hence the unnamed namespace.
#pragma once

#include <cstdint>

#include "program.hpp"

namespace qrex {
namespace {

constexpr int kLanes = QREX_LANES;
constexpr int kLaneBits = kLanes == 16 ? 4 : kLanes == 8 ? 3 : 2;

// Element alignment: callers' buffers need not be aligned, and aligned data pays nothing for it.
typedef float V __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

template <int... I>
struct Indices {};
#if QREX_LANES == 16
using LaneIndices = Indices<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>;
#elif QREX_LANES == 8
using LaneIndices = Indices<0, 1, 2, 3, 4, 5, 6, 7>;
#else
using LaneIndices = Indices<0, 1, 2, 3>;
#endif

template <int Mask, int... I>
inline __attribute__((always_inline)) V flip_lanes(V v, Indices<I...>) {
  return __builtin_shufflevector(v, v, (I ^ Mask)...);
}

// Lane j of the result is lane j ^ Mask of v.
template <int Mask>
inline __attribute__((always_inline)) V flip(V v) {
  if constexpr (Mask == 0) return v;
  else return flip_lanes<Mask>(v, LaneIndices{});
}

// v in a register. Without it the compiler folds the load of a coefficient into each multiply-add that uses it, and
// loads, of which there are two per cycle, become the bound.
inline __attribute__((always_inline)) V hold(V v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

// p, as if it were another pointer. What was read through p before is read again instead of being kept in registers
// or on the stack, and addresses are computed within instructions.
inline __attribute__((always_inline)) V* renew(V* p) {
  asm("" : "+r"(p));
  return p;
}

// The vector `bytes` further.
inline __attribute__((always_inline)) V* further(V* p, std::uint64_t bytes) {
  return reinterpret_cast<V*>(reinterpret_cast<char*>(p) + bytes);
}

// The vectors of a space whose index agrees with the controls and is zero in the target bits. Where they are and how
// far apart is counted in bytes, which needs no scaling in an address.
class Walk {
 public:
  Walk(const Space& space, std::uint64_t targets, std::uint64_t control_mask, std::uint64_t control_value)
      : skip_(space.skip * sizeof(float)),
        fixed_(bytes(~space.inner | targets | control_mask | (kLanes - 1)) | (sizeof(float) - 1)),
        value_(bytes(space.offset | (control_value & control_mask & space.inner))),
        count_(std::uint64_t{1} << __builtin_popcountll(~fixed_)) {}

  // The distance between vectors that differ in these bits of the block.
  std::uint64_t stride(std::uint64_t bits) const { return place(bytes(bits), skip_); }

  // Calls body(i) for G of them at a time, i the array of where they are: G is `Most`, 4 at most, or what there is.
  template <int Most, class Body>
  inline __attribute__((always_inline)) void groups(Body body) const {
    if constexpr (Most > 1)
      if (count_ < Most) return groups<Most / 2>(body);
    std::uint64_t fixed = fixed_, apart[2] = {};
#pragma GCC unroll 2
    for (int k = 0; 2 << k <= Most; ++k) {
      const std::uint64_t bit = ~fixed & (fixed + 1);
      fixed |= bit;
      apart[k] = place(bit, skip_);
    }
    const std::uint64_t value = value_, skip = skip_;  // stores might change members, as far as a compiler knows
    std::uint64_t walked = 0;
    do {
      const std::uint64_t first = place(walked | value, skip);
      std::uint64_t i[Most];
#pragma GCC unroll 4
      for (int g = 0; g < Most; ++g) i[g] = first + (g & 1 ? apart[0] : 0) + (g & 2 ? apart[1] : 0);
      body(i);
      walked = ((walked | fixed) + 1) & ~fixed;  // the carry runs through the fixed bits
    } while (walked);
  }

 private:
  static std::uint64_t bytes(std::uint64_t index) { return index * sizeof(float); }
  static std::uint64_t place(std::uint64_t at, std::uint64_t skip) { return at + (at >> (kRowBits + 2)) * skip; }

  std::uint64_t skip_, fixed_, value_, count_;
};

}  // namespace
}  // namespace qrex

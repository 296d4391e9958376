// One- and two-qubit gates on a space. For kernels.cpp: compiled once per instruction set.
#pragma once

#include "lanes.hpp"

namespace qrex {
namespace {

// One-qubit gates. Of each entry `c` holds the real and the imaginary part; those that the structure leaves out are
// not looked at. Coefficients stay in registers: no store can change these copies.
template <Structure S>
void one_high(const Walk& walk, std::uint64_t t, const V* c, V* re, V* im) {
  const V q[8] = {c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]};
  walk.groups<2>([=](const auto& at) __attribute__((always_inline)) {
    for (const std::uint64_t i : at) {
      V *r = further(re, i), *m = further(im, i), *rt = further(r, t), *mt = further(m, t);
      const V r0 = *r, m0 = *m, r1 = *rt, m1 = *mt;
      if constexpr (S == Structure::Real) {
        *r = q[0] * r0 + q[2] * r1, *m = q[0] * m0 + q[2] * m1;
        *rt = q[4] * r0 + q[6] * r1, *mt = q[4] * m0 + q[6] * m1;
      } else if constexpr (S == Structure::CrossImaginary) {
        *r = q[0] * r0 - q[3] * m1, *m = q[0] * m0 + q[3] * r1;
        *rt = q[6] * r1 - q[5] * m0, *mt = q[6] * m1 + q[5] * r0;
      } else {
        *r = q[0] * r0 - q[1] * m0 + q[2] * r1 - q[3] * m1;
        *m = q[0] * m0 + q[1] * r0 + q[2] * m1 + q[3] * r1;
        *rt = q[4] * r0 - q[5] * m0 + q[6] * r1 - q[7] * m1;
        *mt = q[4] * m0 + q[5] * r0 + q[6] * m1 + q[7] * r1;
      }
    }
  });
}

template <Structure S, int B>
void one_lane(const Walk& walk, const V* c, V* re, V* im) {
  const V q[4] = {c[0], c[1], c[2], c[3]};
  walk.groups<4>([=](const auto& at) __attribute__((always_inline)) {
    for (const std::uint64_t i : at) {
      V *r = further(re, i), *m = further(im, i);
      const V r0 = *r, m0 = *m, r1 = flip<1 << B>(r0), m1 = flip<1 << B>(m0);
      if constexpr (S == Structure::Real) {
        *r = q[0] * r0 + q[2] * r1, *m = q[0] * m0 + q[2] * m1;
      } else if constexpr (S == Structure::CrossImaginary) {
        *r = q[0] * r0 - q[3] * m1, *m = q[0] * m0 + q[3] * r1;
      } else {
        *r = q[0] * r0 - q[1] * m0 + q[2] * r1 - q[3] * m1;
        *m = q[0] * m0 + q[1] * r0 + q[2] * m1 + q[3] * r1;
      }
    }
  });
}

void swap_high(const Walk& walk, std::uint64_t t, V* re, V* im) {
  walk.groups<2>([=](const auto& at) __attribute__((always_inline)) {
    for (const std::uint64_t i : at) {
      V *r = further(re, i), *m = further(im, i), *rt = further(r, t), *mt = further(m, t);
      const V r0 = *r, m0 = *m, r1 = *rt, m1 = *mt;
      *r = r1, *m = m1, *rt = r0, *mt = m0;
    }
  });
}

void phase(const Walk& walk, const V* c, V* re, V* im) {
  const V cr = c[0], ci = c[1];
  walk.groups<4>([=](const auto& at) __attribute__((always_inline)) {
    for (const std::uint64_t i : at) {
      V *r = further(re, i), *m = further(im, i);
      const V r0 = *r, m0 = *m;
      *r = cr * r0 - ci * m0;
      *m = cr * m0 + ci * r0;
    }
  });
}

// sum[row][g] = (or += unless First) the real products of the H rows of `c`, four entries each, with G columns. An entry
// of a column is one of H vectors, source(h, g), with its lanes exchanged by one of `Flips`.
template <bool First, int H, int G, int... Flips, class Source>
inline __attribute__((always_inline)) void product(const V* c, V (&sum)[H][G], Source source) {
#pragma GCC unroll 4
  for (int h = 0; h < H; ++h) {
    V x[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) x[g] = source(h, g);
    int column = h * static_cast<int>(sizeof...(Flips));
    const auto flipped = [&]<int Mask>() __attribute__((always_inline)) {
      V y[G];
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) y[g] = flip<Mask>(x[g]);
#pragma GCC unroll 4
      for (int row = 0; row < H; ++row) {
        const V q = hold(c[4 * row + column]);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) sum[row][g] = First && column == 0 ? q * y[g] : sum[row][g] + q * y[g];
      }
      ++column;
    };
    (flipped.template operator()<Flips>(), ...);
  }
}

// A two-qubit gate with H vectors per column, on G columns at once so that they share the loads of coefficients: as
// many as leave the H G sums and what they need in registers.
// A complex product a + ib times r + im takes three real ones: b (r + m), (a + b) r and (a - b) m; `c` holds the
// factors -b, a + b, a - b in three tables. Of a real gate it holds one table.
template <Structure S, int H, int... Flips>
void two(const Walk& walk, std::uint64_t s, std::uint64_t t, const V* c, V* re, V* im) {
  constexpr bool kGeneral = S == Structure::General;
  constexpr int kTable = kGeneral ? 4 * H : 0;
  const std::uint64_t at[4] = {0, s, t, s + t};
  walk.groups<H == 4 ? 2 : 4>([=]<int G>(const std::uint64_t (&i)[G]) __attribute__((always_inline)) {
    V *r[G], *m[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) r[g] = further(re, i[g]), m[g] = further(im, i[g]);
    V sum[H][G], other[H][G];
    if constexpr (kGeneral) {
      product<true, H, G, Flips...>(c, sum, [&](int h, int g) __attribute__((always_inline)) {
        return *further(r[g], at[h]) + *further(m[g], at[h]);
      });
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h)
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) other[h][g] = -sum[h][g];
    }
    const auto finish = [&](const V* table, V* (&x)[G], V (&total)[H][G]) __attribute__((always_inline)) {
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) x[g] = renew(x[g]);
      product<!kGeneral, H, G, Flips...>(table, total, [&](int h, int g) __attribute__((always_inline)) {
        return *further(x[g], at[h]);
      });
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) x[g] = renew(x[g]);
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h)
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) *further(x[g], at[h]) = total[h][g];
    };
    finish(c + kTable, r, sum);
    finish(c + 2 * kTable, m, other);
  });
}

constexpr bool odd(int x) { return x & 1 ? !odd(x >> 1) : x != 0 && odd(x >> 1); }

// K one-qubit gates on K targets in one visit of the 2^K vectors that they mix. Real gates act on real and on
// imaginary parts alike. Those with an imaginary crossing take real parts to imaginary ones: they act alike on the real
// parts of vectors with an even index and the imaginary parts of the others, and the other way round, but for signs.
// Of each gate `c` holds the four entries. With `Scaled` the first K - 1, which are multiples of rotations, have ones
// on the diagonal, which saves half of their products, and the last one brings the scale that they lack.
template <Structure S, int K, bool Scaled>
void layer(const Walk& walk, const std::uint64_t (&stride)[3], const V* c, V* re, V* im) {
  constexpr int kVectors = 1 << K;
  constexpr bool kCross = S == Structure::CrossImaginary;
  walk.groups<1>([=](const auto& at) __attribute__((always_inline)) {
#pragma GCC unroll 2
    for (int plane = 0; plane < 2; ++plane) {
      V* place[kVectors];
      V x[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const bool imaginary = (plane == 1) != (kCross && odd(v));
        const std::uint64_t apart = (v & 1 ? stride[0] : 0) + (v & 2 ? stride[1] : 0) + (v & 4 ? stride[2] : 0);
        place[v] = further(imaginary ? im : re, at[0] + apart);
        x[v] = *place[v];
      }
#pragma GCC unroll 3
      for (int k = 0; k < K; ++k) {
        const bool scaled = Scaled && k < K - 1;
        const V q1 = hold(c[4 * k + 1]), q2 = hold(c[4 * k + 2]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          if (v >> k & 1) continue;
          const int w = v | 1 << k;
          const bool imaginary = (plane == 1) != (kCross && odd(v));
          const V a = scaled ? x[v] : c[4 * k] * x[v], d = scaled ? x[w] : c[4 * k + 3] * x[w];
          const V b = x[v];
          x[v] = kCross && !imaginary ? a - q1 * x[w] : a + q1 * x[w];
          x[w] = kCross && imaginary ? d - q2 * b : d + q2 * b;
        }
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) *place[v] = x[v];
    }
  });
}

template <Structure S>
void apply_layer(const MatrixOp& op, const Walk& walk, const V* c, V* re, V* im) {
  const std::uint64_t stride[3] = {walk.stride(op.high0), walk.stride(op.high1), walk.stride(op.high2)};
  const auto run = op.high2 ? op.scaled ? layer<S, 3, true> : layer<S, 3, false>
                            : op.scaled ? layer<S, 2, true> : layer<S, 2, false>;
  run(walk, stride, c, re, im);
}

template <Structure S>
void apply_one(const MatrixOp& op, const Walk& walk, const V* c, V* re, V* im) {
  switch (op.lane0) {
    case 0: return one_lane<S, 0>(walk, c, re, im);
    case 1: return one_lane<S, 1>(walk, c, re, im);
#if QREX_LANES > 4
    case 2: return one_lane<S, 2>(walk, c, re, im);
#endif
#if QREX_LANES > 8
    case 3: return one_lane<S, 3>(walk, c, re, im);
#endif
    default: return one_high<S>(walk, walk.stride(op.high0), c, re, im);
  }
}

template <Structure S>
void apply_two(const MatrixOp& op, const Walk& walk, const V* c, V* re, V* im) {
  const std::uint64_t s = walk.stride(op.high0), t = walk.stride(op.high1);
  switch (op.lane0 < 0 ? -1 : op.lane0 * 4 + (op.lane1 < 0 ? op.lane0 : op.lane1)) {
    case 0 * 4 + 0: return two<S, 2, 0, 1>(walk, s, t, c, re, im);
    case 1 * 4 + 1: return two<S, 2, 0, 2>(walk, s, t, c, re, im);
    case 0 * 4 + 1: return two<S, 1, 0, 1, 2, 3>(walk, s, t, c, re, im);
#if QREX_LANES > 4
    case 2 * 4 + 2: return two<S, 2, 0, 4>(walk, s, t, c, re, im);
    case 0 * 4 + 2: return two<S, 1, 0, 1, 4, 5>(walk, s, t, c, re, im);
    case 1 * 4 + 2: return two<S, 1, 0, 2, 4, 6>(walk, s, t, c, re, im);
#endif
#if QREX_LANES > 8
    case 3 * 4 + 3: return two<S, 2, 0, 8>(walk, s, t, c, re, im);
    case 0 * 4 + 3: return two<S, 1, 0, 1, 8, 9>(walk, s, t, c, re, im);
    case 1 * 4 + 3: return two<S, 1, 0, 2, 8, 10>(walk, s, t, c, re, im);
    case 2 * 4 + 3: return two<S, 1, 0, 4, 8, 12>(walk, s, t, c, re, im);
#endif
    default: return two<S, 4, 0>(walk, s, t, c, re, im);
  }
}

void apply(const MatrixOp& op, const float* table, float* re, float* im, const Space& space) {
  if ((space.offset ^ op.control_value) & op.control_mask & ~space.inner) return;
  const Walk walk(space, op.high0 | op.high1 | op.high2, op.control_mask, op.control_value);
  const V* c = reinterpret_cast<const V*>(table + op.coefficients);
  V* r = reinterpret_cast<V*>(re);
  V* m = reinterpret_cast<V*>(im);
  switch (op.kind) {
    case OpKind::Swap: return swap_high(walk, walk.stride(op.high0), r, m);
    case OpKind::Phase: return phase(walk, c, r, m);
    case OpKind::One:
      if (op.structure == Structure::Real) return apply_one<Structure::Real>(op, walk, c, r, m);
      if (op.structure == Structure::CrossImaginary) return apply_one<Structure::CrossImaginary>(op, walk, c, r, m);
      return apply_one<Structure::General>(op, walk, c, r, m);
    case OpKind::Two:
      if (op.structure == Structure::Real) return apply_two<Structure::Real>(op, walk, c, r, m);
      return apply_two<Structure::General>(op, walk, c, r, m);
    case OpKind::Layer:
      if (op.structure == Structure::Real) return apply_layer<Structure::Real>(op, walk, c, r, m);
      return apply_layer<Structure::CrossImaginary>(op, walk, c, r, m);
    case OpKind::Diagonal: case OpKind::Many: case OpKind::Table: return;  // not on parts of blocks
  }
}

}  // namespace
}  // namespace qrex

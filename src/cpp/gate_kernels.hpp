// One- and two-qubit gates on a space. For kernels.cpp: compiled once per instruction set.
#pragma once

#include "lanes.hpp"

namespace qrex {
namespace {

// sum += coefficient * x, or = where there is no sum yet. `Cross` says that the entry is off the diagonal.
template <Structure S, bool Cross, bool First = false>
inline __attribute__((always_inline)) void add(V& sum_re, V& sum_im, const V* c, V x_re, V x_im) {
  constexpr bool kReal = S != Structure::CrossImaginary || !Cross, kImaginary = S == Structure::General || !kReal;
  if constexpr (kReal) {
    sum_re = First ? c[0] * x_re : sum_re + c[0] * x_re;
    sum_im = First ? c[0] * x_im : sum_im + c[0] * x_im;
  }
  if constexpr (kImaginary) {
    sum_re = First && !kReal ? -(c[1] * x_im) : sum_re - c[1] * x_im;
    sum_im = First && !kReal ? c[1] * x_re : sum_im + c[1] * x_re;
  }
}

template <Structure S>
void one_high(const Walk& walk, std::uint64_t t, const V* c, V* re, V* im) {
  const V q[8] = {c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]};  // in registers: stores cannot change them
  walk.groups<2>([=](const auto& at) __attribute__((always_inline)) {
    for (const std::uint64_t i : at) {
      V *r = further(re, i), *m = further(im, i), *rt = further(r, t), *mt = further(m, t);
      const V r0 = *r, m0 = *m, r1 = *rt, m1 = *mt;
      V a, b, d, e;
      add<S, false, true>(a, b, q, r0, m0);
      add<S, true>(a, b, q + 2, r1, m1);
      add<S, false, true>(d, e, q + 6, r1, m1);
      add<S, true>(d, e, q + 4, r0, m0);
      *r = a, *m = b, *rt = d, *mt = e;
    }
  });
}

template <Structure S, int B>
void one_lane(const Walk& walk, const V* c, V* re, V* im) {
  const V q[4] = {c[0], c[1], c[2], c[3]};
  walk.groups<4>([=](const auto& at) __attribute__((always_inline)) {
    for (const std::uint64_t i : at) {
      V *r = further(re, i), *m = further(im, i);
      const V r0 = *r, m0 = *m;
      V a, b;
      add<S, false, true>(a, b, q, r0, m0);
      add<S, true>(a, b, q + 2, flip<1 << B>(r0), flip<1 << B>(m0));
      *r = a, *m = b;
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

// sum[row][g] = (or += unless First) the real products of the rows of `c`, H x 4, with G columns of four. An entry of
// a column is one of H vectors, source(h, g), with its lanes exchanged by one of `Flips`.
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
  const Walk walk(space, op.high0 | op.high1, op.control_mask, op.control_value);
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
    case OpKind::Diagonal: case OpKind::Many: case OpKind::Table: return;  // not on parts of blocks
  }
}

}  // namespace
}  // namespace qrex

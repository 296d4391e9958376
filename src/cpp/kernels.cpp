// The gate loops. This file is compiled once per instruction set with QREX_ISA (a name), QREX_LANES (floats
// per vector) and the compiler flags of that set; `instruction_sets.cpp` chooses among the results.
//
// Cost per amplitude in multiply-adds: dense one-qubit gate 8 (real 4), two-qubit gate 16 (real 8),
// phase 4 on the amplitudes it touches, fused diagonal about 8 whatever its number of terms.
#include "program.hpp"

#define QREX_STRING2(x) #x
#define QREX_STRING(x) QREX_STRING2(x)

namespace qrex {
namespace {

constexpr int kLanes = QREX_LANES;
constexpr int kLaneBits = kLanes == 16 ? 4 : kLanes == 8 ? 3 : 2;

// Element alignment: callers' buffers need not be aligned, and aligned data pays nothing for it.
typedef float V __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef double D __attribute__((vector_size(kLanes * sizeof(double))));

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

// sum += coefficient * x. `Cross` says that the entry is off the diagonal.
template <Structure S, bool Cross>
inline __attribute__((always_inline)) void add(V& sum_re, V& sum_im, const V* c, V x_re, V x_im) {
  if constexpr (S != Structure::CrossImaginary || !Cross) {
    sum_re += c[0] * x_re;
    sum_im += c[0] * x_im;
  }
  if constexpr (S == Structure::General || (S == Structure::CrossImaginary && Cross)) {
    sum_re -= c[1] * x_im;
    sum_im += c[1] * x_re;
  }
}

// The vectors of a block whose index agrees with the controls and is zero in the target bits.
struct Walk {
  std::uint64_t fixed, value, count;
};

template <class Body>
inline __attribute__((always_inline)) void each(const Walk& walk, Body body) {
  std::uint64_t i = 0;
  for (std::uint64_t left = walk.count; left; --left) {
    body(i | walk.value);
    i = ((i | walk.fixed) + 1) & ~walk.fixed;  // the carry runs through the fixed bits
  }
}

template <Structure S>
void one_high(const Walk& walk, std::uint64_t t, const V* c, V* re, V* im) {
  each(walk, [=](std::uint64_t i) {
    const V r0 = re[i], i0 = im[i], r1 = re[i + t], i1 = im[i + t];
    V a = {}, b = {}, d = {}, e = {};
    add<S, false>(a, b, c, r0, i0);
    add<S, true>(a, b, c + 2, r1, i1);
    add<S, true>(d, e, c + 4, r0, i0);
    add<S, false>(d, e, c + 6, r1, i1);
    re[i] = a, im[i] = b, re[i + t] = d, im[i + t] = e;
  });
}

template <Structure S, int B>
void one_lane(const Walk& walk, const V* c, V* re, V* im) {
  each(walk, [=](std::uint64_t i) {
    const V r = re[i], m = im[i];
    V a = {}, b = {};
    add<S, false>(a, b, c, r, m);
    add<S, true>(a, b, c + 2, flip<1 << B>(r), flip<1 << B>(m));
    re[i] = a, im[i] = b;
  });
}

void swap_high(const Walk& walk, std::uint64_t t, V* re, V* im) {
  each(walk, [=](std::uint64_t i) {
    const V r0 = re[i], i0 = im[i];
    re[i] = re[i + t], im[i] = im[i + t];
    re[i + t] = r0, im[i + t] = i0;
  });
}

void phase(const Walk& walk, const V* c, V* re, V* im) {
  const V cr = c[0], ci = c[1];
  each(walk, [=](std::uint64_t i) {
    const V r = re[i], m = im[i];
    re[i] = cr * r - ci * m;
    im[i] = cr * m + ci * r;
  });
}

template <Structure S>
void two_high(const Walk& walk, std::uint64_t s, std::uint64_t t, const V* c, V* re, V* im) {
  each(walk, [=](std::uint64_t i) {
    const std::uint64_t at[4] = {i, i + s, i + t, i + s + t};
    V r[4], m[4];
    for (int k = 0; k < 4; ++k) r[k] = re[at[k]], m[k] = im[at[k]];
#pragma GCC unroll 4
    for (int row = 0; row < 4; ++row) {
      V a = {}, b = {};
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) add<S, true>(a, b, c + 8 * row + 2 * k, r[k], m[k]);
      re[at[row]] = a, im[at[row]] = b;
    }
  });
}

template <Structure S, int B>
void two_mixed(const Walk& walk, std::uint64_t t, const V* c, V* re, V* im) {
  each(walk, [=](std::uint64_t i) {
    const V r[4] = {re[i], flip<1 << B>(re[i]), re[i + t], flip<1 << B>(re[i + t])};
    const V m[4] = {im[i], flip<1 << B>(im[i]), im[i + t], flip<1 << B>(im[i + t])};
#pragma GCC unroll 2
    for (int row = 0; row < 2; ++row) {
      V a = {}, b = {};
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) add<S, true>(a, b, c + 8 * row + 2 * k, r[k], m[k]);
      re[i + row * t] = a, im[i + row * t] = b;
    }
  });
}

template <Structure S, int B0, int B1>
void two_lanes(const Walk& walk, const V* c, V* re, V* im) {
  each(walk, [=](std::uint64_t i) {
    const V r = re[i], m = im[i];
    V a = {}, b = {};
    add<S, true>(a, b, c, r, m);
    add<S, true>(a, b, c + 2, flip<1 << B0>(r), flip<1 << B0>(m));
    add<S, true>(a, b, c + 4, flip<1 << B1>(r), flip<1 << B1>(m));
    add<S, true>(a, b, c + 6, flip<(1 << B0) | (1 << B1)>(r), flip<(1 << B0) | (1 << B1)>(m));
    re[i] = a, im[i] = b;
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
    default: return one_high<S>(walk, op.high0 >> kLaneBits, c, re, im);
  }
}

template <Structure S>
void apply_two(const MatrixOp& op, const Walk& walk, const V* c, V* re, V* im) {
  const std::uint64_t s = op.high0 >> kLaneBits, t = op.high1 >> kLaneBits;
  switch (op.lane0 < 0 ? -1 : op.lane0 * 4 + (op.lane1 < 0 ? op.lane0 : op.lane1)) {
    case 0 * 4 + 0: return two_mixed<S, 0>(walk, s, c, re, im);
    case 1 * 4 + 1: return two_mixed<S, 1>(walk, s, c, re, im);
    case 0 * 4 + 1: return two_lanes<S, 0, 1>(walk, c, re, im);
#if QREX_LANES > 4
    case 2 * 4 + 2: return two_mixed<S, 2>(walk, s, c, re, im);
    case 0 * 4 + 2: return two_lanes<S, 0, 2>(walk, c, re, im);
    case 1 * 4 + 2: return two_lanes<S, 1, 2>(walk, c, re, im);
#endif
#if QREX_LANES > 8
    case 3 * 4 + 3: return two_mixed<S, 3>(walk, s, c, re, im);
    case 0 * 4 + 3: return two_lanes<S, 0, 3>(walk, c, re, im);
    case 1 * 4 + 3: return two_lanes<S, 1, 3>(walk, c, re, im);
    case 2 * 4 + 3: return two_lanes<S, 2, 3>(walk, c, re, im);
#endif
    default: return two_high<S>(walk, s, t, c, re, im);
  }
}

void apply(const MatrixOp& op, const float* table, float* re, float* im, int bits, std::uint64_t offset) {
  const std::uint64_t inside = (std::uint64_t{1} << bits) - 1;
  if ((offset ^ op.control_value) & op.control_mask & ~inside) return;
  const std::uint64_t control = op.control_mask & inside;
  Walk walk;
  walk.fixed = (control | op.high0 | op.high1) >> kLaneBits;
  walk.value = (op.control_value & control) >> kLaneBits;
  walk.count = std::uint64_t{1} << (bits - kLaneBits - __builtin_popcountll(walk.fixed));
  const V* c = reinterpret_cast<const V*>(table + op.coefficients);
  V* r = reinterpret_cast<V*>(re);
  V* m = reinterpret_cast<V*>(im);
  switch (op.kind) {
    case OpKind::Swap: return swap_high(walk, op.high0 >> kLaneBits, r, m);
    case OpKind::Phase: return phase(walk, c, r, m);
    case OpKind::One:
      if (op.structure == Structure::Real) return apply_one<Structure::Real>(op, walk, c, r, m);
      if (op.structure == Structure::CrossImaginary) return apply_one<Structure::CrossImaginary>(op, walk, c, r, m);
      return apply_one<Structure::General>(op, walk, c, r, m);
    case OpKind::Two:
      if (op.structure == Structure::Real) return apply_two<Structure::Real>(op, walk, c, r, m);
      return apply_two<Structure::General>(op, walk, c, r, m);
    case OpKind::Diagonal: case OpKind::Many: case OpKind::Table: return;  // not on sub-blocks
  }
}

template <int Mask>
V flip_by(V v, int mask) {
  if (mask == Mask) return flip<Mask>(v);
  if constexpr (Mask + 1 < kLanes) return flip_by<Mask + 1>(v, mask);
  return v;
}

void many(const ManyBlock& b, float* re, float* im) {
  Walk walk;
  walk.fixed = b.targets >> kLaneBits;
  walk.value = 0;
  walk.count = std::uint64_t{1} << (b.bits - kLaneBits - __builtin_popcountll(walk.fixed));
  const V* c = reinterpret_cast<const V*>(b.coefficients);
  V* vr = reinterpret_cast<V*>(re);
  V* vi = reinterpret_cast<V*>(im);
  V x_re[1 << kMaxManyQubits], x_im[1 << kMaxManyQubits];
  each(walk, [&](std::uint64_t i) {
    for (int row = 0; row < b.rows; ++row) x_re[row * b.flips] = vr[i + b.offset[row]], x_im[row * b.flips] = vi[i + b.offset[row]];
    for (int f = 1; f < b.flips; ++f)
      for (int row = 0; row < b.rows; ++row) {
        x_re[row * b.flips + f] = flip_by<0>(x_re[row * b.flips], b.flip[f]);
        x_im[row * b.flips + f] = flip_by<0>(x_im[row * b.flips], b.flip[f]);
      }
    for (int row = 0; row < b.rows; ++row) {
      V sum_re = {}, sum_im = {};
      for (std::uint32_t k = b.start[row]; k < b.start[row + 1]; ++k)
        add<Structure::General, true>(sum_re, sum_im, c + 2 * k, x_re[b.column[k]], x_im[b.column[k]]);
      vr[i + b.offset[row]] = sum_re, vi[i + b.offset[row]] = sum_im;
    }
  });
}

void multiply(const V* a_re, const V* a_im, V* x_re, V* x_im, std::uint64_t vectors) {
  for (std::uint64_t k = 0; k < vectors; ++k) {
    const V r = x_re[k], m = x_im[k];
    x_re[k] = a_re[k] * r - a_im[k] * m;
    x_im[k] = a_re[k] * m + a_im[k] * r;
  }
}

// out = parent * row * scalar, then x *= out, in one sweep.
void descend(const V* parent_re, const V* parent_im, const V* row_re, const V* row_im, double s_re, double s_im,
             V* out_re, V* out_im, V* x_re, V* x_im, std::uint64_t vectors) {
  const V sr = V{} + static_cast<float>(s_re), si = V{} + static_cast<float>(s_im);
  for (std::uint64_t k = 0; k < vectors; ++k) {
    const V pr = sr * row_re[k] - si * row_im[k], pi = sr * row_im[k] + si * row_re[k];
    const V a = pr * parent_re[k] - pi * parent_im[k], b = pr * parent_im[k] + pi * parent_re[k];
    out_re[k] = a, out_im[k] = b;
    const V r = x_re[k], m = x_im[k];
    x_re[k] = a * r - b * m;
    x_im[k] = a * m + b * r;
  }
}

// Rows are visited in counting order. Row y has the factors of row y & (y - 1), which was visited last among
// those with as many trailing zeros, and those of its lowest set bit: one product per row, depth row_bits.
void diagonal(const DiagonalBlock& d, float* re, float* im) {
  const std::uint64_t columns = std::uint64_t{1} << d.table_bits;
  const std::uint64_t vectors = columns >> kLaneBits;
  const float* table_re[64];
  const float* table_im[64];
  bool trivial[64];
  table_re[d.row_bits] = d.root_re;
  table_im[d.row_bits] = d.root_im;
  trivial[d.row_bits] = d.root_trivial;
  if (!d.root_trivial)
    multiply(reinterpret_cast<const V*>(d.root_re), reinterpret_cast<const V*>(d.root_im), reinterpret_cast<V*>(re),
             reinterpret_cast<V*>(im), vectors);
  for (std::uint64_t y = 1; y < std::uint64_t{1} << d.row_bits; ++y) {
    const int j = __builtin_ctzll(y);
    const std::uint64_t above = y & (y - 1);
    const int parent = above ? __builtin_ctzll(above) : d.row_bits;
    V* x_re = reinterpret_cast<V*>(re + y * columns);
    V* x_im = reinterpret_cast<V*>(im + y * columns);
    double s_re = d.row_phase[2 * j], s_im = d.row_phase[2 * j + 1];
    for (std::uint64_t rest = above; rest; rest &= rest - 1) {
      const double* p = d.pair_phase + 2 * (j * d.row_bits + __builtin_ctzll(rest));
      const double t = s_re * p[0] - s_im * p[1];
      s_im = s_re * p[1] + s_im * p[0];
      s_re = t;
    }
    if (d.row_flat[j] && s_re == 1.0 && s_im == 0.0) {
      table_re[j] = table_re[parent], table_im[j] = table_im[parent], trivial[j] = trivial[parent];
      if (!trivial[j])
        multiply(reinterpret_cast<const V*>(table_re[j]), reinterpret_cast<const V*>(table_im[j]), x_re, x_im, vectors);
      continue;
    }
    float* out_re = d.scratch + 2 * j * columns;
    float* out_im = out_re + columns;
    descend(reinterpret_cast<const V*>(table_re[parent]), reinterpret_cast<const V*>(table_im[parent]),
            reinterpret_cast<const V*>(d.rows_re + j * columns), reinterpret_cast<const V*>(d.rows_im + j * columns),
            s_re, s_im, reinterpret_cast<V*>(out_re), reinterpret_cast<V*>(out_im), x_re, x_im, vectors);
    table_re[j] = out_re, table_im[j] = out_im, trivial[j] = false;
  }
}

// Sum of |amplitude|^2, accumulated in double. `count` is a multiple of the lanes.
double norm(const float* re, const float* im, std::uint64_t count) {
  D sum = {};
  for (std::uint64_t k = 0; k < count; k += kLanes) {
    const D r = __builtin_convertvector(*reinterpret_cast<const V*>(re + k), D);
    const D m = __builtin_convertvector(*reinterpret_cast<const V*>(im + k), D);
    sum += r * r + m * m;
  }
  double total = 0;
  for (int k = 0; k < kLanes; ++k) total += sum[k];
  return total;
}

}  // namespace

#define QREX_JOIN2(a, b) a##b
#define QREX_JOIN(a, b) QREX_JOIN2(a, b)
extern const KernelSet QREX_JOIN(kernels_, QREX_ISA);
const KernelSet QREX_JOIN(kernels_, QREX_ISA) = {QREX_STRING(QREX_ISA), kLaneBits, apply, diagonal, many, norm};

}  // namespace qrex

// The gate loops. This file is compiled once per instruction set with QREX_ISA (a name), QREX_LANES (floats
// per vector) and the compiler flags of that set; `instruction_sets.cpp` chooses among the results.
//
// Cost per amplitude in multiply-adds: dense one-qubit gate 8 (real 4), two-qubit gate 12 (real 8),
// phase 4 on the amplitudes it touches, fused diagonal about 8 whatever its number of terms.
#include "gate_kernels.hpp"

#define QREX_STRING2(x) #x
#define QREX_STRING(x) QREX_STRING2(x)

namespace qrex {
namespace {

typedef double D __attribute__((vector_size(kLanes * sizeof(double))));

template <int Mask>
V flip_by(V v, int mask) {
  if (mask == Mask) return flip<Mask>(v);
  if constexpr (Mask + 1 < kLanes) return flip_by<Mask + 1>(v, mask);
  return v;
}

inline void add_product(V& sum_re, V& sum_im, const V* c, V x_re, V x_im) {
  sum_re += c[0] * x_re;
  sum_im += c[0] * x_im;
  sum_re -= c[1] * x_im;
  sum_im += c[1] * x_re;
}

void many(const ManyBlock& b, float* re, float* im) {
  const Walk walk(b.space, b.targets, 0, 0);
  const V* c = reinterpret_cast<const V*>(b.coefficients);
  V* vr = reinterpret_cast<V*>(re);
  V* vi = reinterpret_cast<V*>(im);
  V x_re[1 << kMaxManyQubits], x_im[1 << kMaxManyQubits];
  walk.groups<1>([&](const auto& at) {
    V *re_here = further(vr, at[0]), *im_here = further(vi, at[0]);
    for (int row = 0; row < b.rows; ++row)
      x_re[row * b.flips] = re_here[b.offset[row]], x_im[row * b.flips] = im_here[b.offset[row]];
    for (int f = 1; f < b.flips; ++f)
      for (int row = 0; row < b.rows; ++row) {
        x_re[row * b.flips + f] = flip_by<0>(x_re[row * b.flips], b.flip[f]);
        x_im[row * b.flips + f] = flip_by<0>(x_im[row * b.flips], b.flip[f]);
      }
    for (int row = 0; row < b.rows; ++row) {
      V sum_re = {}, sum_im = {};
      for (std::uint32_t k = b.start[row]; k < b.start[row + 1]; ++k)
        add_product(sum_re, sum_im, c + 2 * k, x_re[b.column[k]], x_im[b.column[k]]);
      re_here[b.offset[row]] = sum_re, im_here[b.offset[row]] = sum_im;
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
    const std::uint64_t row = y * columns + (y * columns >> kRowBits) * d.skip;
    V* x_re = reinterpret_cast<V*>(re + row);
    V* x_im = reinterpret_cast<V*>(im + row);
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

constexpr std::uint64_t kLine = 16, kAhead = 1024;  // floats: of a cache line; between a load and its announcement

inline void copy(const float* from, float* to, std::uint64_t floats) {
  for (std::uint64_t j = 0; j < floats; j += kLanes)
    *reinterpret_cast<V*>(to + j) = *reinterpret_cast<const V*>(from + j);
}

// Without the announcements each piece waits for its first lines: the processor cannot guess where it starts.
void gather(const Pieces& p, const float* plane, float* block) {
  const std::uint64_t ahead = kAhead > p.floats ? kAhead / p.floats : 1;
  for (std::uint64_t k = 0, x = 0; k < p.count; ++k, x += p.floats) {
    if (k + ahead < p.count && !(p.offset[k + ahead] & p.zero))
      for (std::uint64_t j = 0; j < p.floats; j += kLine) __builtin_prefetch(plane + p.offset[k + ahead] + j);
    float* to = block + x + (x >> kRowBits) * p.skip;
    const float* from = plane + p.offset[k];
    if (p.offset[k] & p.zero)
      for (std::uint64_t j = 0; j < p.floats; j += kLanes) *reinterpret_cast<V*>(to + j) = V{};
    else
      copy(from, to, p.floats);
  }
}

void scatter(const Pieces& p, const float* block, float* plane) {
  for (std::uint64_t k = 0, x = 0; k < p.count; ++k, x += p.floats) {
    const float* from = block + x + (x >> kRowBits) * p.skip;
    float* to = plane + p.offset[k];
    copy(from, to, p.floats);
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
const KernelSet QREX_JOIN(kernels_, QREX_ISA) = {
    QREX_STRING(QREX_ISA), kLaneBits, apply, diagonal, many, gather, scatter, norm,
};

}  // namespace qrex

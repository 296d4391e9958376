#include "mps_linear_algebra.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace qrex::mps {
namespace {

constexpr int kOwnProduct = 600;    // multiplications below which our own loops beat a library call
constexpr int kOwnRows = 24;        // longest rows that our own orthogonalization takes
constexpr int kOwnRotations = 7;    // largest rank whose columns our own rotations make orthogonal
constexpr int kOwnEigen = 32;       // largest Hermitian matrix that our own eigensolver beats the library on
constexpr double kOrthogonal = 1e-6;  // cosine after which one more rotation leaves nothing: convergence is quadratic
constexpr int kMaxSweeps = 30;
// Multiplications from which threads pay. Decompositions synchronize once per column: on a busy machine two threads
// made those of 128 × 128 matrices 2 to 5 times slower, and none faster.
constexpr std::size_t kThreadedProduct = 1u << 21;
constexpr std::size_t kThreadedDecomposition = 1u << 26;

inline double norm2(const Scalar* x, int n) {
  const double* p = reinterpret_cast<const double*>(x);
  double sum = 0;
  for (int k = 0; k < 2 * n; ++k) sum += p[k] * p[k];
  return sum;
}

// Σ conj(x) · y
inline Scalar dot(const Scalar* x, const Scalar* y, int n) {
  const double *a = reinterpret_cast<const double*>(x), *b = reinterpret_cast<const double*>(y);
  double re = 0, im = 0;
  for (int k = 0; k < n; ++k) {
    re += a[2 * k] * b[2 * k] + a[2 * k + 1] * b[2 * k + 1];
    im += a[2 * k] * b[2 * k + 1] - a[2 * k + 1] * b[2 * k];
  }
  return {re, im};
}

// y += factor · x
inline void add(Scalar* y, Scalar factor, const Scalar* x, int n) {
  const double* a = reinterpret_cast<const double*>(x);
  double* b = reinterpret_cast<double*>(y);
  const double re = factor.real(), im = factor.imag();
  for (int k = 0; k < n; ++k) {
    b[2 * k] += re * a[2 * k] - im * a[2 * k + 1];
    b[2 * k + 1] += re * a[2 * k + 1] + im * a[2 * k];
  }
}

void check(int info, const char* name) {
  if (info) throw std::runtime_error(std::string("LAPACK's ") + name + " failed with code " + std::to_string(info));
}

}  // namespace

LinearAlgebra::LinearAlgebra(const Routines& routines, int threads) : call_(routines), threads_(std::max(1, threads)) {
  if (!call_.gemm || !call_.heevd || !call_.geqrf || !call_.geqp3 || !call_.ungqr)
    throw std::invalid_argument("matrix product states need gemm, heevd, geqrf, geqp3 and ungqr");
  if (call_.set_threads) call_.set_threads(1);
}

LinearAlgebra::~LinearAlgebra() = default;

void LinearAlgebra::thread_count(std::size_t work, std::size_t worth) {
  const int wanted = work >= worth ? threads_ : 1;
  if (wanted == current_ || !call_.set_threads) return;
  call_.set_threads(wanted);
  current_ = wanted;
}

void LinearAlgebra::multiply(int m, int k, int n, const Scalar* a, const Scalar* b, Scalar* out, int stride) {
  if (!stride) stride = n;
  if (static_cast<long>(m) * k * n <= kOwnProduct) {
    for (int i = 0; i < m; ++i) {
      Scalar* row = out + static_cast<std::size_t>(i) * n;
      std::fill(row, row + n, Scalar{});
      for (int j = 0; j < k; ++j) add(row, a[i * k + j], b + static_cast<std::size_t>(j) * stride, n);
    }
    return;
  }
  thread_count(static_cast<std::size_t>(m) * k * n, kThreadedProduct);
  char plain = 'N';
  Scalar one = 1, zero = 0;
  call_.gemm(&plain, &plain, &n, &m, &k, &one, const_cast<Scalar*>(b), &stride, const_cast<Scalar*>(a), &k, &zero, out, &n);
}

void LinearAlgebra::multiply_adjoint(int m, int k, int n, const Scalar* a, const Scalar* b, Scalar* out) {
  if (static_cast<long>(m) * k * n <= kOwnProduct) {
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) out[i * n + j] = dot(b + j * k, a + i * k, k);
    return;
  }
  thread_count(static_cast<std::size_t>(m) * k * n, kThreadedProduct);
  char plain = 'N', adjoint = 'C';
  Scalar one = 1, zero = 0;
  call_.gemm(&adjoint, &plain, &n, &m, &k, &one, const_cast<Scalar*>(b), &k, const_cast<Scalar*>(a), &k, &zero, out, &n);
}

void LinearAlgebra::adjoint_multiply(int m, int k, int n, const Scalar* a, const Scalar* b, Scalar* out) {
  if (static_cast<long>(m) * k * n <= kOwnProduct) {
    std::fill(out, out + m * n, Scalar{});
    for (int j = 0; j < k; ++j)
      for (int i = 0; i < m; ++i) add(out + i * n, std::conj(a[j * m + i]), b + j * n, n);
    return;
  }
  thread_count(static_cast<std::size_t>(m) * k * n, kThreadedProduct);
  char plain = 'N', adjoint = 'C';
  Scalar one = 1, zero = 0;
  call_.gemm(&plain, &adjoint, &n, &m, &k, &one, const_cast<Scalar*>(b), &n, const_cast<Scalar*>(a), &m, &zero, out, &n);
}

// a = Σ_k left_k ⊗ right_k with orthonormal right_k, the largest remaining row first, until the squared norm of
// what remains is at most `stop`. left_ holds one row of m numbers per rank. Modified Gram-Schmidt; the pivot is
// orthogonalized twice, which is enough.
QREX_CLONES int LinearAlgebra::pivoted_rows(Scalar* a, int m, int n, double stop, double& rest) {
  const int most = std::min(m, n);
  left_.resize(static_cast<std::size_t>(most) * m);
  right_.resize(static_cast<std::size_t>(most) * n);
  norms_.resize(m);
  rest = 0;
  for (int i = 0; i < m; ++i) rest += norms_[i] = norm2(a + i * n, n);
  int rank = 0;
  while (rank < most && rest > stop) {
    const int pivot = static_cast<int>(std::max_element(norms_.begin(), norms_.begin() + m) - norms_.begin());
    Scalar* row = a + pivot * n;
    for (int j = 0; j < rank; ++j) {
      const Scalar part = dot(right_.data() + j * n, row, n);
      add(row, -part, right_.data() + j * n, n);
      left_[j * m + pivot] += part;
    }
    const double length = std::sqrt(norm2(row, n));
    if (!(length > 0)) { norms_[pivot] = 0; rest = std::accumulate(norms_.begin(), norms_.begin() + m, 0.0); continue; }
    Scalar* unit = right_.data() + rank * n;
    for (int k = 0; k < n; ++k) unit[k] = row[k] / length;
    rest = 0;
    for (int i = 0; i < m; ++i) {
      if (i == pivot) {
        left_[rank * m + i] = length;
        std::fill(row, row + n, Scalar{});
        norms_[i] = 0;
        continue;
      }
      if (norms_[i] == 0) { left_[rank * m + i] = 0; continue; }
      const Scalar part = dot(unit, a + i * n, n);
      left_[rank * m + i] = part;
      add(a + i * n, -part, unit, n);
      rest += norms_[i] = norm2(a + i * n, n);
    }
    ++rank;
  }
  return rank;
}

// The same by LAPACK: pivoted QR of the transpose, which is `a` itself read column by column.
int LinearAlgebra::pivoted_library(Scalar* a, int m, int n, double stop, double& rest) {
  thread_count(static_cast<std::size_t>(m) * n * std::min(m, n), kThreadedDecomposition);
  int most = std::min(m, n), info = 0, size = (std::max(m, n) + 2) * 34;
  order_.assign(m, 0);
  tau_.resize(most);
  work_.resize(size);
  real_work_.resize(2 * static_cast<std::size_t>(m) + 2);
  call_.geqp3(&n, &m, a, &n, order_.data(), tau_.data(), work_.data(), &size, real_work_.data(), &info);
  check(info, "zgeqp3");
  norms_.assign(most, 0);
  for (int c = 0; c < m; ++c)
    for (int j = 0; j <= std::min(c, most - 1); ++j) norms_[j] += std::norm(a[static_cast<std::size_t>(c) * n + j]);
  int rank = most;
  rest = 0;
  while (rank > 0 && rest + norms_[rank - 1] <= stop) rest += norms_[--rank];
  if (rank == 0) return 0;
  left_.resize(static_cast<std::size_t>(rank) * m);
  std::fill(left_.data(), left_.data() + left_.size(), Scalar{});
  for (int c = 0; c < m; ++c)
    for (int j = 0; j <= std::min(c, rank - 1); ++j)
      left_[static_cast<std::size_t>(j) * m + order_[c] - 1] = a[static_cast<std::size_t>(c) * n + j];
  call_.ungqr(&n, &rank, &rank, a, &n, tau_.data(), work_.data(), &size, &info);
  check(info, "zungqr");
  right_.resize(static_cast<std::size_t>(rank) * n);
  std::copy(a, a + right_.size(), right_.data());
  return rank;
}

// One-sided Jacobi rotations (Hestenes) of the rows of left_, cyclic.
QREX_CLONES void LinearAlgebra::rotate(int m, int n, int rank) {
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    double worst = 0;
    for (int a = 0; a + 1 < rank; ++a)
      for (int b = a + 1; b < rank; ++b) {
        Scalar *x = left_.data() + a * m, *y = left_.data() + b * m;
        const double xx = norm2(x, m), yy = norm2(y, m);
        const Scalar overlap = dot(x, y, m);
        const double size = std::abs(overlap), scale = std::sqrt(xx * yy);
        if (size <= 1e-15 * scale || size < 1e-200) continue;
        worst = std::max(worst, size / scale);
        const Scalar phase = std::conj(overlap) / size;
        const double zeta = (yy - xx) / (2 * size);
        const double t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const double c = 1 / std::sqrt(1 + t * t), s = c * t;
        const Scalar sp = s * phase, cp = c * phase;
        for (int k = 0; k < m; ++k) {
          const Scalar u = x[k], v = y[k];
          x[k] = c * u - sp * v;
          y[k] = s * u + cp * v;
        }
        Scalar *p = right_.data() + a * n, *q = right_.data() + b * n;
        const Scalar sq = std::conj(sp), cq = std::conj(cp);
        for (int k = 0; k < n; ++k) {
          const Scalar u = p[k], v = q[k];
          p[k] = c * u - sq * v;
          q[k] = s * u + cq * v;
        }
      }
    if (worst <= kOrthogonal) return;
  }
}

void LinearAlgebra::eigen(Scalar* matrix, int n) {
  if (n <= kOwnEigen) return own_eigen(matrix, n);
  thread_count(static_cast<std::size_t>(n) * n * n, kThreadedDecomposition);
  char vectors = 'V', lower = 'L';
  int info = 0, size = 2 * n + n * n, real_size = 1 + 5 * n + 2 * n * n, int_size = 3 + 5 * n;
  eigenvalues_.resize(n);
  work_.resize(size);
  real_work_.resize(real_size);
  int_work_.resize(int_size);
  call_.heevd(&vectors, &lower, &n, matrix, &n, eigenvalues_.data(), work_.data(), &size, real_work_.data(), &real_size,
              int_work_.data(), &int_size, &info);
  check(info, "zheevd");
}

Split LinearAlgebra::split(Scalar* theta, int m, int n, const Threshold& threshold, int limit, int hint, Buffer& v,
                           std::vector<double>& values) {
  const double total = norm2(theta, m * n), allowed = threshold.fine * total;
  Split out;
  int rank;
  const bool direct = n > kOwnRows && 4 * m >= 3 * n && (hint == 0 || 5 * hint >= 3 * std::min(m, n));
  if (direct) {
    rank = n;
    gram_.resize(static_cast<std::size_t>(n) * n);
    adjoint_multiply(n, m, n, theta, theta, gram_.data());
  } else {
    rank = n <= kOwnRows && m <= 4 * kOwnRows ? pivoted_rows(theta, m, n, 0.1 * allowed, out.discarded)
                                              : pivoted_library(theta, m, n, 0.1 * allowed, out.discarded);
  }
  if (rank == 0) throw std::runtime_error("a matrix product state lost its norm");
  const bool own = !direct && rank <= kOwnRotations;
  values.resize(rank);
  order_.resize(rank);
  if (own) {
    rotate(m, n, rank);
    for (int k = 0; k < rank; ++k) values[k] = norm2(left_.data() + k * m, m);
  } else {
    if (!direct) {
      // left_ is the transpose L^T of the left factor: L† L is the conjugate of left_ · left_†.
      gram_.resize(static_cast<std::size_t>(rank) * rank);
      multiply_adjoint(rank, m, rank, left_.data(), left_.data(), gram_.data());
      for (std::size_t k = 0; k < gram_.size(); ++k) gram_[k] = std::conj(gram_[k]);
    }
    eigen(gram_.data(), rank);
    for (int k = 0; k < rank; ++k) values[k] = std::max(eigenvalues_[k], 0.0);
  }
  std::iota(order_.begin(), order_.end(), 0);
  if (own)
    std::sort(order_.begin(), order_.end(), [&](int a, int b) { return values[a] > values[b]; });
  else
    std::reverse(order_.begin(), order_.end());
  truncate(total, threshold, limit, values, out);
  const int kept = out.rank;
  v.resize(static_cast<std::size_t>(kept) * n);
  if (own || direct) {
    const Scalar* rows = own ? right_.data() : gram_.data();
    for (int k = 0; k < kept; ++k)
      std::memcpy(static_cast<void*>(v.data() + static_cast<std::size_t>(k) * n),
                  rows + static_cast<std::size_t>(order_[k]) * n, sizeof(Scalar) * n);
  } else {
    // The kept eigenvectors are the last rows of gram_, ascending.
    multiply(kept, rank, n, gram_.data() + static_cast<std::size_t>(rank - kept) * rank, right_.data(), v.data());
    std::iota(order_.begin(), order_.end(), rank - kept);
  }
  gather_norms(kept, values);
  return out;
}

void LinearAlgebra::truncate(double total, const Threshold& threshold, int limit, std::vector<double>& values, Split& out) {
  int kept = static_cast<int>(values.size());
  const auto drop = [&](double allowed, int least) {
    while (kept > least && out.discarded + values[order_[kept - 1]] <= allowed) out.discarded += values[order_[--kept]];
  };
  drop(threshold.fine * total, 1);
  drop(threshold.coarse * total, std::max(1, threshold.generous));
  if (kept > limit) {
    out.limited = true;
    while (kept > limit) out.discarded += values[order_[--kept]];
  }
  out.rank = kept;
}

void LinearAlgebra::gather_norms(int kept, std::vector<double>& values) {
  norms_.resize(kept);
  for (int k = 0; k < kept; ++k) norms_[k] = std::sqrt(values[order_[k]]);
  values.assign(norms_.begin(), norms_.begin() + kept);
}

Split LinearAlgebra::split_density(Scalar* density, int n, const Threshold& threshold, int limit, Buffer& v,
                                   std::vector<double>& values) {
  double total = 0;
  for (int k = 0; k < n; ++k) total += density[static_cast<std::size_t>(k) * n + k].real();
  if (!(total > 0)) throw std::runtime_error("a matrix product state lost its norm");
  const double allowed = threshold.fine * total;
  Split out;
  int rank = n;
  bool own = n <= kOwnRows, reduced = false;
  if (own) {
    gram_.resize(static_cast<std::size_t>(n) * n);
    std::copy(density, density + gram_.size(), gram_.data());
    double rest = 0;
    rank = pivoted_rows(gram_.data(), n, n, 1e-4 * allowed * allowed, rest);
    own = rank <= kOwnRotations;
    reduced = !own && 5 * rank <= 4 * n;
    if (own) rotate(n, n, rank);
    if (own || reduced) out.discarded = std::sqrt(n * rest);
    else rank = n;
  }
  values.resize(rank);
  order_.resize(rank);
  std::iota(order_.begin(), order_.end(), 0);
  if (own) {
    for (int k = 0; k < rank; ++k) values[k] = std::sqrt(norm2(left_.data() + k * n, n));
    std::sort(order_.begin(), order_.end(), [&](int a, int b) { return values[a] > values[b]; });
  } else {
    if (reduced) {  // what the density matrix does in the span of its rows
      left_.resize(static_cast<std::size_t>(rank) * n);
      gram_.resize(static_cast<std::size_t>(rank) * rank);
      multiply(rank, n, n, right_.data(), density, left_.data());
      multiply_adjoint(rank, n, rank, left_.data(), right_.data(), gram_.data());
    }
    eigen(reduced ? gram_.data() : density, rank);
    for (int k = 0; k < rank; ++k) values[k] = std::max(eigenvalues_[k], 0.0);
    std::reverse(order_.begin(), order_.end());
  }
  truncate(total, threshold, limit, values, out);
  v.resize(static_cast<std::size_t>(out.rank) * n);
  if (reduced) {  // the kept eigenvectors are the last rows, ascending: the order of the values follows
    multiply(out.rank, rank, n, gram_.data() + static_cast<std::size_t>(rank - out.rank) * rank, right_.data(), v.data());
    std::iota(order_.begin(), order_.end(), rank - out.rank);
    gather_norms(out.rank, values);
    return out;
  }
  const Scalar* rows = own ? right_.data() : density;
  for (int k = 0; k < out.rank; ++k)
    std::copy_n(rows + static_cast<std::size_t>(order_[k]) * n, n, v.data() + static_cast<std::size_t>(k) * n);
  gather_norms(out.rank, values);
  return out;
}

int LinearAlgebra::orthonormal_rows(Scalar* a, int m, int n, Buffer& left, Buffer& right) {
  if (n <= kOwnRows && m <= 4 * kOwnRows) {
    double rest = 0;
    const int rank = pivoted_rows(a, m, n, 1e-30 * norm2(a, m * n), rest);
    left.resize(static_cast<std::size_t>(m) * rank);
    for (int i = 0; i < m; ++i)
      for (int k = 0; k < rank; ++k) left[i * rank + k] = left_[k * m + i];
    right.resize(static_cast<std::size_t>(rank) * n);
    std::copy(right_.data(), right_.data() + right.size(), right.data());
    return rank;
  }
  thread_count(static_cast<std::size_t>(m) * n * std::min(m, n), kThreadedDecomposition);
  int rank = std::min(m, n), info = 0, size = std::max(m, n) * 64;
  tau_.resize(rank);
  work_.resize(size);
  call_.geqrf(&n, &m, a, &n, tau_.data(), work_.data(), &size, &info);
  check(info, "zgeqrf");
  left.resize(static_cast<std::size_t>(m) * rank);
  for (int i = 0; i < m; ++i)
    for (int k = 0; k < rank; ++k)
      left[static_cast<std::size_t>(i) * rank + k] = k <= i ? a[static_cast<std::size_t>(i) * n + k] : Scalar{};
  call_.ungqr(&n, &rank, &rank, a, &n, tau_.data(), work_.data(), &size, &info);
  check(info, "zungqr");
  right.resize(static_cast<std::size_t>(rank) * n);
  std::copy(a, a + right.size(), right.data());
  return rank;
}

std::size_t LinearAlgebra::workspace_bytes() const {
  return left_.bytes() + right_.bytes() + gram_.bytes() + work_.bytes() + tau_.bytes() + 8 * real_work_.capacity();
}

std::size_t LinearAlgebra::split_bytes(std::size_t m, std::size_t n) {
  // left_, right_ (or their absence), the Gram matrix, and zheevd's workspace of as much twice over.
  const std::size_t most = std::min(m, n);
  return sizeof(Scalar) * (most * (m + n) + n * n * 3 + 64 * (m + n)) + 65536;
}

}  // namespace qrex::mps

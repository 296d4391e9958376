// Eigenvectors of small Hermitian matrices: Householder tridiagonalization, then implicit QL steps on real numbers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "mps_linear_algebra.hpp"

namespace qrex::mps {
namespace {

constexpr int kMaxSteps = 60;  // per eigenvalue; three or so are usual


}  // namespace

// Tridiagonal form of `a` (destroyed: row k keeps, from k + 1 on, the adjoint of the k-th reflection's unit vector).
// `d` and `e` get the real diagonal and the sizes of the other entries, `phase` what makes those real.
QREX_CLONES void tridiagonalize(Scalar* a, int n, double* d, double* e, Scalar* phase, Scalar* work) {
  phase[0] = 1;
  for (int k = 0; k < n; ++k) {
    Scalar* row = a + static_cast<std::size_t>(k) * n;
    d[k] = row[k].real();
    if (k + 1 == n) break;
    const int m = n - k - 1;
    Scalar* v = row + k + 1;  // the conjugate of the column below the diagonal
    double size = 0;
    for (int j = 0; j < m; ++j) size += std::norm(v[j]);
    size = std::sqrt(size);
    const double head = std::abs(v[0]);
    const Scalar turn = head > 0 ? v[0] / head : Scalar{1};
    if (m == 1 || size == 0) {  // nothing to reflect
      e[k] = head;
      phase[k + 1] = phase[k] * std::conj(turn);
      std::fill(v, v + m, Scalar{});
      continue;
    }
    // The reflection sends the column to −turn · size on its first entry.
    e[k] = size;
    phase[k + 1] = -phase[k] * std::conj(turn);
    v[0] += turn * size;
    const double length = std::sqrt(2 * size * (size + head));
    for (int j = 0; j < m; ++j) v[j] /= length;
    // p = block · u with u = v†, then block −= 2 u q† + 2 q u†, q = p − (u† p) u.
    double mean = 0;
    for (int i = 0; i < m; ++i) {
      const Scalar* block = a + static_cast<std::size_t>(k + 1 + i) * n + k + 1;
      const double *x = reinterpret_cast<const double*>(block), *y = reinterpret_cast<const double*>(v);
      double re = 0, im = 0;
      for (int j = 0; j < m; ++j) {
        re += x[2 * j] * y[2 * j] + x[2 * j + 1] * y[2 * j + 1];
        im += x[2 * j + 1] * y[2 * j] - x[2 * j] * y[2 * j + 1];
      }
      work[i] = {re, im};
      mean += v[i].real() * re - v[i].imag() * im;
    }
    for (int i = 0; i < m; ++i) work[i] = 2.0 * (work[i] - mean * std::conj(v[i]));
    for (int i = 0; i < m; ++i) {
      Scalar* block = a + static_cast<std::size_t>(k + 1 + i) * n + k + 1;
      const Scalar u = std::conj(v[i]), q = work[i];
      for (int j = 0; j < m; ++j) block[j] -= u * std::conj(work[j]) + q * v[j];
    }
  }
}

// Eigenvalues in `d`, eigenvectors in the rows of `z` (n × n, starts as the identity).
QREX_CLONES void implicit_ql(double* d, double* e, double* z, int n) {
  for (int low = 0; low < n; ++low)
    for (int steps = 0;; ++steps) {
      int high = low;
      for (; high + 1 < n; ++high) {
        const double scale = std::abs(d[high]) + std::abs(d[high + 1]);
        if (std::abs(e[high]) <= std::numeric_limits<double>::epsilon() * scale || std::abs(e[high]) < 1e-300) break;
      }
      if (high == low) break;
      if (steps == kMaxSteps) throw std::runtime_error("eigenvalues of a density matrix did not converge");
      double g = (d[low + 1] - d[low]) / (2 * e[low]);
      double r = std::hypot(g, 1.0);
      g = d[high] - d[low] + e[low] / (g + std::copysign(r, g));
      double s = 1, c = 1, p = 0;
      int i = high - 1;
      for (; i >= low; --i) {
        const double f = s * e[i], b = c * e[i];
        r = std::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[high] = 0;
          break;
        }
        s = f / r, c = g / r;
        g = d[i + 1] - p;
        const double t = (d[i] - g) * s + 2 * c * b;
        p = s * t;
        d[i + 1] = g + p;
        g = c * t - b;
        double *x = z + static_cast<std::size_t>(i) * n, *y = x + n;
        for (int k = 0; k < n; ++k) {
          const double w = y[k];
          y[k] = s * x[k] + c * w;
          x[k] = c * x[k] - s * w;
        }
      }
      if (r == 0 && i >= low) continue;
      d[low] -= p;
      e[low] = g;
      e[high] = 0;
    }
}

// Turns the rows of `z` into adjoint eigenvectors of the matrix that `a` came from.
QREX_CLONES void back_transform(const Scalar* a, int n, const double* z, const Scalar* phase, Scalar* out) {
  for (int i = 0; i < n; ++i) {
    Scalar* row = out + static_cast<std::size_t>(i) * n;
    for (int j = 0; j < n; ++j) row[j] = z[static_cast<std::size_t>(i) * n + j] * std::conj(phase[j]);
    for (int k = n - 3; k >= 0; --k) {
      const Scalar* v = a + static_cast<std::size_t>(k) * n + k + 1;
      const int m = n - k - 1;
      Scalar* part = row + k + 1;
      const double *x = reinterpret_cast<const double*>(part), *y = reinterpret_cast<const double*>(v);
      double re = 0, im = 0;  // Σ part · conj(v)
      for (int j = 0; j < m; ++j) {
        re += x[2 * j] * y[2 * j] + x[2 * j + 1] * y[2 * j + 1];
        im += x[2 * j + 1] * y[2 * j] - x[2 * j] * y[2 * j + 1];
      }
      const Scalar twice{2 * re, 2 * im};
      for (int j = 0; j < m; ++j) part[j] -= twice * v[j];
    }
  }
}

void LinearAlgebra::own_eigen(Scalar* matrix, int n) {
  eigenvalues_.resize(n);
  const std::size_t square = static_cast<std::size_t>(n) * n;
  real_work_.assign(square + n, 0.0);
  work_.resize(2 * static_cast<std::size_t>(n) + square);
  double *e = real_work_.data(), *z = e + n;
  Scalar *phase = work_.data(), *scratch = phase + n, *out = scratch + n;
  for (int k = 0; k < n; ++k) z[static_cast<std::size_t>(k) * n + k] = 1;
  tridiagonalize(matrix, n, eigenvalues_.data(), e, phase, scratch);
  implicit_ql(eigenvalues_.data(), e, z, n);
  back_transform(matrix, n, z, phase, out);
  // Ascending, as LAPACK gives them.
  int_work_.resize(n);
  for (int k = 0; k < n; ++k) int_work_[k] = k;
  std::sort(int_work_.begin(), int_work_.end(), [&](int a, int b) { return eigenvalues_[a] < eigenvalues_[b]; });
  for (int k = 0; k < n; ++k) {
    e[k] = eigenvalues_[int_work_[k]];
    std::copy_n(out + static_cast<std::size_t>(int_work_[k]) * n, n, matrix + static_cast<std::size_t>(k) * n);
  }
  std::copy(e, e + n, eigenvalues_.begin());
}

}  // namespace qrex::mps

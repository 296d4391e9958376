#include "algebra.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qrex {
namespace {

constexpr Amplitude kI{0, 1};
constexpr double kAngleTolerance = 1e-9;  // of a Clifford angle, as in qrex/profile/clifford.py
constexpr double kRankTolerance = 1e-9;

bool near(Amplitude a, Amplitude b) { return is_tiny(a - b); }

bool quarter_turns(double angle) {
  const double turns = angle / (std::numbers::pi / 2);
  return std::abs(turns - std::round(turns)) * (std::numbers::pi / 2) <= kAngleTolerance;
}

Named named(Op op, std::initializer_list<double> params = {}) {
  Named out{op, static_cast<int>(params.size()), {}};
  std::copy(params.begin(), params.end(), out.params.begin());
  return out;
}

Named name_of_phase(double angle) {
  constexpr double pi = std::numbers::pi;
  if (std::abs(angle) < kTiny) return {Op::kZ, -1, {}};
  if (std::abs(std::abs(angle) - pi) < kTiny) return named(Op::kZ);
  if (std::abs(angle - pi / 2) < kTiny) return named(Op::kS);
  if (std::abs(angle + pi / 2) < kTiny) return named(Op::kSdg);
  if (std::abs(angle - pi / 4) < kTiny) return named(Op::kT);
  if (std::abs(angle + pi / 4) < kTiny) return named(Op::kTdg);
  return named(Op::kP, {angle});
}

// Whether row r of an n × n matrix has its one entry at column r ^ flip, ±1 times that of row 0, the signs being
// a character of r: a Pauli up to a factor.
bool pauli_pattern(const Amplitude* m, int n, double tolerance) {
  int flip = 0;
  for (int c = 1; c < n; ++c)
    if (std::abs(m[c]) > std::abs(m[flip])) flip = c;
  int sign[4] = {1, 1, 1, 1};
  for (int r = 0; r < n; ++r)
    for (int c = 0; c < n; ++c) {
      const Amplitude ratio = m[r * n + c] / m[flip];
      if (c != (r ^ flip)) {
        if (std::abs(ratio) > tolerance) return false;
        continue;
      }
      sign[r] = ratio.real() > 0 ? 1 : -1;
      if (std::abs(ratio - static_cast<double>(sign[r])) > tolerance) return false;
    }
  return n < 4 || sign[3] == sign[1] * sign[2];
}

// As clifford_of_matrix in qrex/profile/clifford.py: entries of one magnitude, ratios snapped to powers of i;
// then Paulis are mapped to Paulis.
bool clifford_matrix(const std::vector<Amplitude>& m, int n) {
  int filled = 0, first = -1;
  for (int c = 0; c < n; ++c)
    if (std::abs(m[c]) > 1e-6) filled += 1, first = first < 0 ? c : first;
  if (!filled) return false;
  const double size = 1 / std::sqrt(filled);
  Amplitude g[16];
  for (int k = 0; k < n * n; ++k) {
    const double magnitude = std::abs(m[k]);
    if (magnitude > 1e-6 ? std::abs(magnitude - size) > kAngleTolerance : magnitude > 1e-9) return false;
    const Amplitude ratio = m[k] / m[first];
    g[k] = {std::round(ratio.real()), std::round(ratio.imag())};
    if (std::abs(ratio - g[k]) > 2 * kAngleTolerance + 1e-12) return false;
  }
  for (int bit = 1; bit < n; bit <<= 1)
    for (const bool flips : {false, true}) {
      Amplitude image[16] = {};
      for (int r = 0; r < n; ++r)
        for (int c = 0; c < n; ++c)
          for (int k = 0; k < n; ++k) {
            const Amplitude left = flips ? g[r * n + (k ^ bit)] : (k & bit ? -g[r * n + k] : g[r * n + k]);
            image[r * n + c] += left * std::conj(g[c * n + k]);
          }
      if (!pauli_pattern(image, n, 1e-6)) return false;
    }
  return true;
}

// u = e^{iγ} U(θ, φ, λ): θ, φ, λ, γ.
std::array<double, 4> cu_angles(const Matrix2& u) {
  const double theta = 2 * std::atan2(std::abs(u[2]), std::abs(u[0]));
  if (is_tiny(u[0])) return {theta, std::arg(u[2]), std::arg(-u[1]), 0};
  const double phase = std::arg(u[0]);
  if (is_tiny(u[2])) return {0, 0, std::arg(u[3] / u[0]), phase};
  return {theta, std::arg(u[2] / u[0]), std::arg(-u[1] / u[0]), phase};
}

Axis axis_of(const Amplitude* u) {
  Amplitude c[3] = {(u[1] + u[2]) / 2.0, kI * (u[1] - u[2]) / 2.0, (u[0] - u[3]) / 2.0};
  int largest = 0;
  for (int k = 1; k < 3; ++k)
    if (std::abs(c[k]) > std::abs(c[largest])) largest = k;
  Axis n{};
  double norm = 0;
  for (int k = 0; k < 3; ++k) n[k] = (c[k] / c[largest]).real(), norm += n[k] * n[k];
  for (double& component : n) component /= std::sqrt(norm);
  return n;
}

}  // namespace

Matrix2 multiply(const Matrix2& a, const Matrix2& b) {
  return {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]};
}

Pure applied(const Matrix2& u, const Pure& s) {
  Pure out{u[0] * s.zero + u[1] * s.one, u[2] * s.zero + u[3] * s.one};
  const double norm = std::sqrt(std::norm(out.zero) + std::norm(out.one));
  out.zero /= norm, out.one /= norm;
  if (out.basis() == 0) out = {};
  else if (out.basis() == 1) out = {0, 1};
  return out;
}

bool is_eigenstate(const Matrix2& u, const Pure& s, Amplitude& value) {
  const Amplitude zero = u[0] * s.zero + u[1] * s.one, one = u[2] * s.zero + u[3] * s.one;
  value = std::conj(s.zero) * zero + std::conj(s.one) * one;
  return near(zero, value * s.zero) && near(one, value * s.one);
}

bool same_state(const Pure& a, const Pure& b) { return is_tiny(a.zero * b.one - a.one * b.zero); }

Named name_of(const Matrix2& u) {
  if (is_diagonal(u.data())) return name_of_phase(std::arg(u[3] / u[0]));
  if (is_antidiagonal(u.data())) {
    if (near(u[1], u[2])) return named(Op::kX);
    if (near(u[1], -u[2])) return named(Op::kY);
    return named(Op::kU, {std::numbers::pi, std::arg(u[2]), std::arg(-u[1])});
  }
  if (near(u[0], u[1]) && near(u[0], u[2]) && near(u[0], -u[3])) return named(Op::kH);
  if (near(u[0], u[3]) && near(u[1], u[2]) && near(u[1], -kI * u[0])) return named(Op::kSx);
  if (near(u[0], u[3]) && near(u[1], u[2]) && near(u[1], kI * u[0])) return named(Op::kSxdg);
  const auto [theta, phi, lambda, phase] = cu_angles(u);
  if (std::abs(phi) < kTiny && std::abs(lambda) < kTiny) return named(Op::kRy, {theta});
  return named(Op::kU, {theta, phi, lambda});
}

NamedRow name_controlled(int width, const Matrix2& u) {
  if (is_diagonal(u.data()) && near(u[0], 1)) {
    if (near(u[3], -1) && width <= 3) return {width == 2 ? Op::kCz : Op::kCcz, {}};
    return {width == 2 ? Op::kCp : Op::kMcp, {std::arg(u[3])}};
  }
  if (is_antidiagonal(u.data()) && near(u[1], 1) && near(u[2], 1))
    return {width == 2 ? Op::kCx : width == 3 ? Op::kCcx : Op::kMcx, {}};
  if (width == 2 && is_antidiagonal(u.data()) && near(u[1], -kI) && near(u[2], kI)) return {Op::kCy, {}};
  if (width == 2) {
    const auto angles = cu_angles(u);
    return {Op::kCu, {angles.begin(), angles.end()}};
  }
  std::vector<double> params;
  for (const Amplitude entry : u) params.insert(params.end(), {entry.real(), entry.imag()});
  return {Op::kMcu, params};
}

Named preparation(const Pure& s) {
  if (s.basis() == 0) return {Op::kX, -1, {}};
  if (s.basis() == 1) return named(Op::kX);
  const Amplitude ratio = s.one / s.zero;
  if (near(ratio, 1)) return named(Op::kH);
  if (near(ratio, kI)) return named(Op::kSxdg);
  if (near(ratio, -kI)) return named(Op::kSx);
  const double theta = 2 * std::atan2(std::abs(s.one), std::abs(s.zero));
  if (std::abs(ratio.imag()) < kTiny * std::abs(ratio)) return named(Op::kRy, {ratio.real() > 0 ? theta : -theta});
  return named(Op::kU, {theta, std::arg(ratio), 0});
}

bool is_unitary(Op op) { return op != Op::kMeasure && op != Op::kReset; }

bool is_clifford(Op op, int width, std::span<const double> params) {
  if (width > 2) return false;
  switch (op) {
    case Op::kMeasure: case Op::kReset: return true;
    case Op::kX: case Op::kY: case Op::kZ: case Op::kH: case Op::kS: case Op::kSdg: case Op::kSx: case Op::kSxdg:
    case Op::kCx: case Op::kCy: case Op::kCz: case Op::kSwap: case Op::kIswap: case Op::kEcr: case Op::kDcx:
    case Op::kMcx: return true;
    case Op::kT: case Op::kTdg: case Op::kCh: case Op::kCs: case Op::kCsdg: case Op::kCsx: return false;
    case Op::kRx: case Op::kRy: case Op::kRz: case Op::kP: case Op::kRxx: case Op::kRyy: case Op::kRzz: case Op::kRzx:
      return quarter_turns(params[0]);
    case Op::kCp: case Op::kCrx: case Op::kCry: case Op::kCrz:  // controlled Paulis up to a phase on the control
      return quarter_turns(params[0] / 2);
    case Op::kCu: case Op::kR: case Op::kU: case Op::kMcp:
      if (!quarter_turns(params[0])) return false;
      break;
    default: break;
  }
  return clifford_matrix(gate_matrix(op, width, params), 1 << width);
}

bool is_pauli(Op op, int width, std::span<const double> params) {
  if (width > 2 || !is_unitary(op)) return false;
  return pauli_pattern(gate_matrix(op, width, params).data(), 1 << width, kAngleTolerance);
}

int leading_diagonal(const Row& row) {
  const int width = row.width();
  switch (row.op) {
    case Op::kMeasure: return 1;
    case Op::kReset: case Op::kX: case Op::kY: case Op::kH: return 0;
    case Op::kCx: case Op::kRzx: case Op::kCswap: return 1;
    case Op::kCcx: case Op::kMcx: return width - 1;
    case Op::kRzz: case Op::kDiagonal: return width;
    case Op::kUnitary:
      if (width > 1) {
        const std::size_t dim = std::size_t{1} << width;
        for (std::size_t r = 0; r < dim; ++r)
          for (std::size_t c = 0; c < dim; ++c) {
            const double* entry = row.params.data() + 2 * (r * dim + c);
            if (r != c && (entry[0] != 0 || entry[1] != 0)) return 0;
          }
        return width;
      }
      break;
    default: break;
  }
  const Controlled gate = controlled_gate(row.op, width, row.params);
  if (gate.controls < 0) return 0;
  return is_diagonal(gate.matrix) ? width : gate.controls;
}

bool gate_axes(const Row& row, std::vector<Axis>& axes) {
  constexpr Axis x{1, 0, 0}, y{0, 1, 0}, z{0, 0, 1};
  const int width = row.width();
  axes.assign(width, z);
  switch (row.op) {
    case Op::kCx: case Op::kCcx: case Op::kMcx: case Op::kRzx: axes[width - 1] = x; return true;
    // The X that is part of it turns the first qubit's axis around.
    case Op::kEcr: axes[1] = x; return true;
    case Op::kCz: case Op::kCp: case Op::kRzz: case Op::kCcz: case Op::kMcp: case Op::kDiagonal: return true;
    case Op::kRxx: axes = {x, x}; return true;
    case Op::kRyy: axes = {y, y}; return true;
    default: break;
  }
  const Controlled gate = controlled_gate(row.op, width, row.params);
  if (gate.controls < 0) return false;
  if (!is_scalar(gate.matrix)) axes[width - 1] = axis_of(gate.matrix);
  return true;
}

Axis rotated(const Axis& n, const Amplitude* u) {
  const Amplitude sigma[4] = {n[2], {n[0], -n[1]}, {n[0], n[1]}, -n[2]};
  const Amplitude a = u[0] * sigma[0] + u[1] * sigma[2], b = u[0] * sigma[1] + u[1] * sigma[3];
  const Amplitude c = u[2] * sigma[0] + u[3] * sigma[2], d = u[2] * sigma[1] + u[3] * sigma[3];
  const Amplitude diagonal = a * std::conj(u[0]) + b * std::conj(u[1]);
  const Amplitude corner = c * std::conj(u[0]) + d * std::conj(u[1]);
  return {corner.real(), corner.imag(), diagonal.real()};
}

bool parallel(const Axis& a, const Axis& b) {
  return std::abs(a[1] * b[2] - a[2] * b[1]) < kRankTolerance && std::abs(a[2] * b[0] - a[0] * b[2]) < kRankTolerance &&
         std::abs(a[0] * b[1] - a[1] * b[0]) < kRankTolerance;
}

double log2_operator_rank(const Row& row) {
  const std::vector<Amplitude> m = gate_matrix(row.op, 2, row.params);
  Amplitude t[4][4];  // rows: out and in of the first qubit; columns: of the second
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) t[(r & 1) * 2 + (c & 1)][(r >> 1) * 2 + (c >> 1)] = m[r * 4 + c];
  int rank = 0;
  for (; rank < 4; ++rank) {
    int pr = rank, pc = rank;
    for (int r = rank; r < 4; ++r)
      for (int c = rank; c < 4; ++c)
        if (std::abs(t[r][c]) > std::abs(t[pr][pc])) pr = r, pc = c;
    if (std::abs(t[pr][pc]) < kTiny) break;
    std::swap(t[rank], t[pr]);
    for (int r = 0; r < 4; ++r) std::swap(t[r][rank], t[r][pc]);
    for (int r = rank + 1; r < 4; ++r) {
      const Amplitude factor = t[r][rank] / t[rank][rank];
      for (int c = rank; c < 4; ++c) t[r][c] -= factor * t[rank][c];
    }
  }
  return std::log2(std::max(rank, 1));
}

}  // namespace qrex

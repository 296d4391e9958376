// What passes over a program ask of one gate: is it diagonal, Clifford, a named gate, an eigenstate's phase.
//
// "Up to phase" is up to a global phase, which no measurement sees, also under a condition on classical bits.
#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <vector>

#include "rows.hpp"

namespace qrex {

// Smaller amplitudes count as 0 in comparisons: an infidelity of 1e-20 each.
constexpr double kTiny = 1e-10;

using Matrix2 = std::array<Amplitude, 4>;
using Axis = std::array<double, 3>;  // of the Bloch sphere

inline bool is_tiny(Amplitude a) { return std::norm(a) < kTiny * kTiny; }

struct Pure {  // normalized state of one qubit
  Amplitude zero{1, 0}, one{0, 0};
  int basis() const { return is_tiny(one) ? 0 : is_tiny(zero) ? 1 : -1; }
};

// A one-qubit gate up to phase; `count` is -1 for the identity, which needs no row.
struct Named {
  Op op;
  int count;
  std::array<double, 3> params;
  bool identity() const { return count < 0; }
  bool fixed() const { return count <= 0; }
  std::span<const double> parameters() const { return {params.data(), static_cast<std::size_t>(count)}; }
};

inline bool is_diagonal(const Amplitude* m) { return is_tiny(m[1]) && is_tiny(m[2]); }
inline bool is_antidiagonal(const Amplitude* m) { return is_tiny(m[0]) && is_tiny(m[3]); }
inline bool is_scalar(const Amplitude* m) { return is_diagonal(m) && is_tiny(m[0] - m[3]); }
Matrix2 multiply(const Matrix2& a, const Matrix2& b);
Pure applied(const Matrix2& u, const Pure& s);                          // normalized, and 0 where tiny
bool is_eigenstate(const Matrix2& u, const Pure& s, Amplitude& value);
bool same_state(const Pure& a, const Pure& b);                        // up to phase
Named name_of(const Matrix2& u);
Named preparation(const Pure& s);  // takes |0⟩ there

struct NamedRow {
  Op op;
  std::vector<double> params;
};
// The gate `u` on the last of `width` qubits where all others are 1.
NamedRow name_controlled(int width, const Matrix2& u);

bool is_clifford(Op op, int width, std::span<const double> params);
bool is_pauli(Op op, int width, std::span<const double> params);
bool is_unitary(Op op);
// The first so many qubits of a gate are such that it is block-diagonal in their computational basis.
int leading_diagonal(const Row& row);
// Bloch axes along which a gate is block-diagonal on each of its qubits; false where it has none (swaps, matrices).
bool gate_axes(const Row& row, std::vector<Axis>& axes);
Axis rotated(const Axis& axis, const Amplitude* u);
bool parallel(const Axis& a, const Axis& b);
// log2 of the operator-Schmidt rank of a two-qubit gate.
double log2_operator_rank(const Row& row);

}  // namespace qrex

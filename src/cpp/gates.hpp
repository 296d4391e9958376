// Gates as the dense simulation knows them, what each costs, and how matrices become gates.
//
// Wires number the qubits that have amplitudes. Bit j of a matrix index belongs to the j-th wire of its gate,
// the first least significant. A global phase is dropped wherever it appears.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

#include "stage.hpp"

namespace qrex::dense {

// Properties that a product has when both factors have them: a product's flags are the AND of its factors'.
enum Flags : unsigned {
  kDiagonalLow = 1, kDiagonalHigh = 2,  // on the first, on the second wire
  kReal = 4,
  kCross = 8,  // entry (r, c) is real when r and c differ in an even number of bits, imaginary otherwise (RX)
  kControlsLow = 16, kControlsHigh = 32,  // identity where the first (second) wire is 0, and diagonal on it
  kPermutation = 64,
};

// Plain product: std::complex would look for infinities first.
inline Complex times(const Complex& a, const Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

enum class GateKind : std::uint8_t {
  Phases,  // product of exp(i angle) over the terms whose mask the index contains
  One,     // 2x2 on wire a, under controls
  Select,  // one of two 2x2 on wire b, chosen by wire a
  Two,     // 4x4 on wires a and b, under controls
  Many,    // 2^k x 2^k on k wires
  Table,   // diagonal of 2^k entries on k wires
  Observe,  // nothing is done: an expectation value is wanted that needs its dense wires local
};

struct Gate {
  GateKind kind;
  std::int8_t a = 0, b = 0;
  std::uint32_t first = 0, count = 0;  // terms of Phases; wires of Many and Table
  std::size_t values = 0;              // first of its entries
  std::uint64_t dense = 0, zed = 0;    // wires that must be local; wires it is diagonal on
  std::uint64_t control_mask = 0, control_value = 0;
  double cost = 1;  // a dense complex two-qubit gate costs 16
};

// Gates in order, with what they are made of in common pools.
struct Gates {
  std::vector<Gate> list;
  std::vector<Complex> entries;
  std::vector<std::uint64_t> masks;
  std::vector<double> angles;
  std::vector<std::int8_t> wires;

  void clear();
  void phase(std::uint64_t mask, double angle);
  // 2x2 on `target` where (x & mask) == value.
  void one(int target, const Complex* matrix, std::uint64_t mask, std::uint64_t value, double cost);
  // 4x4, or 2x2 for width 1, snapped, with `flags`: nothing for the identity.
  void matrix(const Complex* m, unsigned flags, int width, const int* wires);
  // Swap-like 4x4 under controls.
  void controlled_two(int low, int high, const Complex* matrix, std::uint64_t mask, std::uint64_t value);
  void many(const std::vector<int>& on, const std::vector<Complex>& matrix);
  void table(const std::vector<int>& on, const std::vector<Complex>& diagonal);
  // A product of Paulis: X or Y on the wires `flips`, Z on those `signs` alone.
  void observe(std::uint64_t flips, std::uint64_t signs);

 private:
  void selected(const Complex* zero, const Complex* one, int selector, int target, double cost);
};

// Makes the first nonzero entry of the first row real and positive, and entries below 1e-12 zero.
void snap(Complex* matrix, int size);
// Flags of a snapped matrix of size 2 (the second wire's flags unset) or 4.
unsigned matrix_flags(const Complex* matrix, int size);
// Modelled cost of a gate with `flags` on `width` (1 or 2) wires.
double modelled_cost(unsigned flags, int width);

}  // namespace qrex::dense

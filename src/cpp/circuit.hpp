// A circuit as compiled code sees it: rows of a `qrex.circuits.program.Program`, without copies.
//
// `Circuit` keeps the arrays alive; make it while the interpreter lock is held, read it with or without.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <complex>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qrex {

// In the order of OPERATIONS in qrex/circuits/program.py; a test compares the two.
enum class Op : std::uint8_t {
  kMeasure, kReset,
  kX, kY, kZ, kH, kS, kSdg, kT, kTdg, kSx, kSxdg,
  kRx, kRy, kRz, kP, kR, kU,
  kCx, kCy, kCz, kCh, kCs, kCsdg, kCsx,
  kCp, kCrx, kCry, kCrz, kCu,
  kSwap, kIswap, kEcr, kDcx,
  kRxx, kRyy, kRzz, kRzx, kXxMinusYy, kXxPlusYy,
  kCcx, kCcz, kCswap,
  kMcx, kMcp, kMcu, kUnitary, kDiagonal,
};

using Amplitude = std::complex<double>;

// A row that stands for a controlled one-qubit gate: `controls` come first among its qubits, then one target.
// Symmetric phases (cz, cp, mcp, ccz, cs, csdg) count their last qubit as the target.
struct Controlled {
  int controls;          // -1 where the row is no controlled one-qubit gate; 0 for a one-qubit gate
  Amplitude matrix[4];   // of the target, row by row
};

// By operation, number of qubits and parameters; see Circuit::controlled and Circuit::matrix.
Controlled controlled_gate(Op op, int width, std::span<const double> params);
std::vector<Amplitude> gate_matrix(Op op, int width, std::span<const double> params);

class Circuit {
 public:
  explicit Circuit(nanobind::handle program);  // a `Program`; throws std::invalid_argument on another shape

  int num_qubits = 0, num_clbits = 0;
  std::size_t size() const { return opcode_.size(); }
  Op op(std::size_t row) const { return static_cast<Op>(opcode_[row]); }
  std::span<const std::int32_t> qubits(std::size_t row) const {
    return qubits_.subspan(qubit_start_[row], qubit_start_[row + 1] - qubit_start_[row]);
  }
  std::span<const double> params(std::size_t row) const {
    return params_.subspan(param_start_[row], param_start_[row + 1] - param_start_[row]);
  }
  int width(std::size_t row) const { return static_cast<int>(qubits(row).size()); }
  int clbit(std::size_t row) const { return clbit_[row]; }
  int guard(std::size_t row) const { return guard_[row]; }  // -1: none
  // Whether guard `g` holds; `bit(c)` gives classical bit c.
  template <class Bit>
  bool holds(int g, Bit&& bit) const {
    for (int k = set_start_[g]; k < set_start_[g + 1]; ++k) {
      bool equal = true;
      for (int b = bit_start_[k]; b < bit_start_[k + 1] && equal; ++b)
        equal = static_cast<bool>(bit(bits_[b])) == static_cast<bool>(wanted_[b]);
      if (equal == static_cast<bool>(negated_[k])) return false;
    }
    return true;
  }
  // Classical bits that guard `g` looks at.
  std::span<const std::int32_t> guard_bits(int g) const {
    const int from = bit_start_[set_start_[g]], to = bit_start_[set_start_[g + 1]];
    return bits_.subspan(from, to - from);
  }
  // Conditions of guard `g` one by one: `visit(bits, wanted, negated)`.
  template <class Visit>
  void conditions(int g, Visit&& visit) const {
    for (int k = set_start_[g]; k < set_start_[g + 1]; ++k) {
      const int from = bit_start_[k], count = bit_start_[k + 1] - from;
      visit(bits_.subspan(from, count), wanted_.subspan(from, count), static_cast<bool>(negated_[k]));
    }
  }
  std::size_t num_guards() const { return set_start_.empty() ? 0 : set_start_.size() - 1; }

  Controlled controlled(std::size_t row) const { return controlled_gate(op(row), width(row), params(row)); }
  // The row's whole matrix, 2^k × 2^k, row by row, its first qubit least significant. Throws
  // std::invalid_argument for measurements and resets, and for more than 10 qubits.
  std::vector<Amplitude> matrix(std::size_t row) const { return gate_matrix(op(row), width(row), params(row)); }

 private:
  template <class T>
  using Array = nanobind::ndarray<const T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
  template <class T>
  std::span<const T> keep(nanobind::handle owner, const char* name);
  std::vector<nanobind::object> kept_;
  std::span<const std::uint8_t> opcode_, negated_, wanted_;
  std::span<const std::int32_t> qubit_start_, qubits_, param_start_, clbit_, guard_, set_start_, bit_start_, bits_;
  std::span<const double> params_;
};

std::vector<std::string> operation_names();

}  // namespace qrex

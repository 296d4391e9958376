// Upper bounds on the bond dimensions of a program's state, and what a matrix product state would cost.
//
// A gate that is block-diagonal along a Bloch axis on each of its qubits (controlled gates, phases, Pauli
// rotations) falls apart into products once one of these qubits is expanded along that axis. The expansion
// lasts as long as whatever meets the qubit is block-diagonal along the same axis, one-qubit gates turning it on
// the way: a window. So a cut's rank is at most 2 to the number of windows that are expanded so that every gate
// across it is covered from one side, times the operator-Schmidt ranks of the gates without such an axis. A ladder
// of controlled phases on one qubit is one window: rank 2, not 2^k. Choosing windows is a vertex cover; here each
// gate takes the larger of its two unless one is in the cover already, which keeps the bound valid.
// Beside that, no cut exceeds the qubits entangled so far on its smaller side, nor the nonzero amplitudes.
//
// The model is O(rows) to make; bounds for one order of qubits cost O(rows · cuts / 64 + slices · qubits).
#pragma once

#include "algebra.hpp"

namespace qrex {

struct BondBounds {
  double max_log2 = 0;      // over cuts and moments
  std::int64_t updates = 0;  // of two neighboring sites, qubits being moved together by swaps
  double log2_work = 0;     // log2 of the sum of bond³ over the updates
  double log2_elements = 1;  // log2 of the largest total tensor size
};

class BondModel {
 public:
  BondModel(const Rows& rows, int num_qubits);

  struct Event {  // a row on several qubits
    std::int32_t start, count;
    float cost;      // of a cut that no window covers
    bool per_qubit;  // times the qubits on the smaller side
  };
  // `position[q]` is qubit q's place along the chain; `log2_support` bounds the nonzero amplitudes. Work is charged
  // by `slices` slices of the rows, each with the bounds at its end: more of them are more exact.
  BondBounds bounds(std::span<const std::int32_t> position, double log2_support, int slices = 64) const;
  double steps(int slices) const;  // of `bounds`: some nanoseconds each

  const std::vector<Event>& events() const { return events_; }
  std::span<const std::int32_t> qubits(const Event& event) const { return {qubits_.data() + event.start, static_cast<std::size_t>(event.count)}; }
  int num_qubits() const { return num_qubits_; }

 private:
  int num_qubits_;
  std::vector<Event> events_;
  std::vector<std::int32_t> qubits_, windows_;  // windows: -1 where the qubit cannot be expanded
  std::vector<std::int32_t> degree_;            // gates of each window
};

// An order of the qubits, by position, that makes `bounds` small: the best of the order as it is, first use,
// breadth first (Cuthill and McKee, 1969), a spectral and a greedy arrangement, improved by moving single qubits.
std::vector<std::int32_t> arrange(const BondModel& model, double log2_support);

}  // namespace qrex

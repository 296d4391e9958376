// Forward pass over a program: what is known before any run is worked out, and only the rest is written down.
//
// Every qubit that is entangled with nothing is followed as a state of its own (`Pure`), bits as constants.
// In the rows that come out such a qubit is still |0⟩; its state is prepared by one row when it gets entangled.
// O(rows), each with O(4^width) work for matrices.
#pragma once

#include <map>

#include "algebra.hpp"

namespace qrex {

class Folding {
 public:
  // With `relabel`, unconditional swaps become a renaming of the qubits that follow; without it, qubits keep
  // their places, and rows out follow the rows in.
  Folding(const Rows& rows, const std::vector<Guard>& guards, int num_qubits, int num_clbits, bool relabel);

  Rows out;
  std::vector<Guard> guards;     // of `out`
  std::vector<std::int8_t> bit;  // at the end: 0, 1 or -1 where it is not certain
  int relabelled = 0;

 private:
  using Qubits = std::span<const std::int32_t>;  // as named by the rows in; place_ says where they are now
  void read(const Row& row);
  void gate(const Row& row);
  void one(int q, const Matrix2& u, int guard, const Row* as = nullptr);
  void controlled(Qubits controls, int target, const Matrix2& u, int guard, const Row* as = nullptr);
  void phase(Qubits qubits, Amplitude value, int guard, const Row* as = nullptr);
  void two(int q0, int q1, const Amplitude* m, int guard, const Row* as = nullptr);
  void diagonal(Qubits qubits, const std::vector<Amplitude>& entries, int guard, const Row* as = nullptr);
  void many(Qubits qubits, const std::vector<Amplitude>& m, int guard, const Row* as = nullptr);
  void swap(int a, int b, int guard, const Row* as = nullptr);
  bool split(int k, int width, const Amplitude* m, const Pure& in, Pure& out, std::vector<Amplitude>& rest) const;
  void measure(const Row& row, int guard);
  void reset(int q, int guard);

  bool live(int q) const { return live_[place_[q]]; }
  Pure& state(int q) { return state_[place_[q]]; }
  int basis(int q) const { return live(q) ? -1 : state_[place_[q]].basis(); }
  void prepare(int q);
  void emit(Op op, Qubits qubits, std::span<const double> params, int guard, int clbit = -1);
  void emit_one(int q, const Matrix2& u, int guard, const Row* as);
  bool turn_around(int place, const Matrix2& u);
  void drop(int row);
  void tidy();
  int current_guard(int guard);
  void set_bit(int clbit, int value) {
    version_ += bit[clbit] != value;
    bit[clbit] = static_cast<std::int8_t>(value);
  }

  const Rows& in_;
  const std::vector<Guard>& guards_in_;
  const bool relabel_;
  std::vector<std::int32_t> place_;
  std::vector<Pure> state_;
  std::vector<std::uint8_t> live_, volatile_;  // volatile: bits that a measurement may leave as they were
  // Of a place: `row`, a one-qubit gate that was the last on it; else `gate`, the last row, if that was on several
  // qubits and came right after the one-qubit gate in row `before`. `matrix` is that of `row` or `before`.
  struct Last { int row = -1, gate = -1, before = -1; Matrix2 matrix; bool clifford; };
  struct Changed { Op op; std::vector<std::int32_t> qubits; std::vector<double> params; };
  std::vector<Last> last_;
  std::map<int, Changed> changed_;      // rows of `out` that a later one changed
  std::vector<std::uint8_t> dropped_;   // rows of `out` that were merged into others
  bool merged_ = false;
  std::map<Guard, int> guard_ids_;
  std::vector<std::pair<int, int>> resolved_;  // of guards in: version of the bits, what it came to
  int version_ = 0;
  std::vector<std::int32_t> mapped_;
};

}  // namespace qrex

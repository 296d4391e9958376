#include "survey.hpp"

#include <algorithm>
#include <numeric>

#include "algebra.hpp"
#include "folding.hpp"
#include "support.hpp"

namespace qrex {
namespace {

constexpr int kUnknown = -1;

class Reader {
 public:
  Reader(int num_qubits, int num_clbits)
      : known_(num_qubits, 0), active_(num_qubits, 0), measured_(num_qubits, 0), written_(num_clbits, 0),
        parent_(num_qubits), open_(num_qubits, 0), ready_(num_qubits, 0), bit_ready_(num_clbits, 0) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  Survey found;

  void read(const Row& row, std::int64_t index, const std::vector<Guard>& guards) {
    found.rows_of[static_cast<int>(row.op)] += 1;
    const bool runs = row.guard < 0 || read_guard(row, guards[row.guard]);
    time(row, guards);
    not_unitary_ += !is_unitary(row.op);
    if (row.op == Op::kMeasure) read_measure(row);
    else if (row.op == Op::kReset) read_reset(row);
    else read_gate(row, index, runs);
    for (const int q : row.qubits) active_[q] = 1;
  }

  void finish(std::int64_t rows) {
    found.clifford_prefix = found.non_clifford == 0 ? rows : found.first_foreign;
    std::vector<int> size(parent_.size(), 0);
    for (std::size_t q = 0; q < parent_.size(); ++q)
      if (active_[q]) found.active += 1, size[find(static_cast<int>(q))] += 1;
    for (const int s : size) found.components += s > 0, found.widest = std::max(found.widest, s);
  }

 private:
  // False where the row never runs.
  bool read_guard(const Row& row, const Guard& guard) {
    for (const Condition& condition : guard)
      for (const int c : condition.bits)
        if (written_[c]) found.terminal = false, found.trajectories = true;
    Guard rest;
    // A bit that nothing has written yet is 0.
    const Holds holds = resolve(guard, [this](int c) { return written_[c] ? -1 : 0; }, rest);
    if (holds != Holds::kDepends) return holds == Holds::kAlways;
    const int bit = rest[0].bits[0];
    bool single = true;
    for (const Condition& condition : rest)
      for (const int c : condition.bits) single &= c == bit;
    if (single) {
      Guard none;
      bool possible = false;
      for (const int value : {0, 1}) possible |= resolve(rest, [value](int) { return value; }, none) == Holds::kAlways;
      if (!possible) return false;
    }
    if (!single || !is_pauli(row.op, row.width(), row.params)) found.stabilizer_forks = not_unitary_;
    return true;
  }

  void time(const Row& row, const std::vector<Guard>& guards) {
    std::int64_t at = 0;
    for (const int q : row.qubits) at = std::max(at, ready_[q]);
    if (row.clbit >= 0) at = std::max(at, bit_ready_[row.clbit]);
    if (row.guard >= 0)
      for (const Condition& condition : guards[row.guard])
        for (const int c : condition.bits) at = std::max(at, bit_ready_[c]);
    at += 1;
    for (const int q : row.qubits) ready_[q] = at;
    if (row.clbit >= 0) bit_ready_[row.clbit] = at;
    found.depth = std::max(found.depth, at);
  }

  void read_measure(const Row& row) {
    measured_[row.qubits[0]] = 1;
    written_[row.clbit] = 1;
    open_[row.qubits[0]] = 0;
  }

  void read_reset(const Row& row) {
    const int q = row.qubits[0];
    if (measured_[q]) found.terminal = false;
    if (active_[q] && (known_[q] == kUnknown || measured_[q])) found.trajectories = true;
    known_[q] = row.guard >= 0 && known_[q] != 0 ? kUnknown : 0;
    open_[q] = 0;
  }

  void read_gate(const Row& row, std::int64_t index, bool runs) {
    const int width = row.width();
    found.widths[std::min(width, 3)] += 1;
    for (const int q : row.qubits)
      if (measured_[q]) found.terminal = false, found.trajectories = true;
    if (runs && !is_clifford(row.op, width, row.params) && found.non_clifford++ == 0) found.first_foreign = index;
    follow(row);
    fuse(row.qubits);
    for (int k = 1; k < width; ++k) parent_[find(row.qubits[k])] = find(row.qubits[0]);
  }

  // Basis states through gates that permute them.
  void follow(const Row& row) {
    const auto q = row.qubits;
    if (row.op == Op::kSwap && row.guard < 0) return std::swap(known_[q[0]], known_[q[1]]);
    const int diagonal = leading_diagonal(row);
    if (diagonal == row.width()) return;
    const Controlled gate = controlled_gate(row.op, row.width(), row.params);
    bool certain = row.guard < 0 && gate.controls >= 0 && is_antidiagonal(gate.matrix);
    for (int k = 0; k < gate.controls; ++k) {
      if (known_[q[k]] == 0) return;
      certain &= known_[q[k]] == 1;
    }
    for (int k = diagonal; k < row.width(); ++k) {
      int& known = known_[q[k]];
      known = certain && known != kUnknown ? 1 - known : kUnknown;
    }
  }

  // One-qubit gates join what is open on their qubit, a new pair absorbs open one-qubit blocks.
  void fuse(std::span<const std::int32_t> q) {
    if (q.size() == 1) {
      if (open_[q[0]] == 0) open_[q[0]] = kOne, found.fused_blocks += 1;
    } else if (q.size() == 2) {
      if (open_[q[0]] > 0 && open_[q[0]] == open_[q[1]]) return;
      found.fused_blocks += 1 - (open_[q[0]] == kOne) - (open_[q[1]] == kOne);
      open_[q[0]] = open_[q[1]] = ++pairs_;
    } else {
      for (const int k : q) open_[k] = 0;
    }
  }

  int find(int q) {
    while (parent_[q] != q) q = parent_[q] = parent_[parent_[q]];
    return q;
  }

  static constexpr int kOne = -1;
  std::vector<int> known_;
  std::vector<std::uint8_t> active_, measured_, written_;
  std::vector<int> parent_, open_;  // open: 0 nothing, kOne, or the number of the pair's block
  std::vector<std::int64_t> ready_, bit_ready_;
  int pairs_ = 0;
  std::int64_t not_unitary_ = 0;
};

}  // namespace

Survey survey(const Rows& rows, const std::vector<Guard>& guards, int num_qubits, int num_clbits, bool reduced) {
  Reader reader(num_qubits, num_clbits);
  for (std::size_t i = 0; i < rows.size(); ++i) reader.read(rows[i], static_cast<std::int64_t>(i), guards);
  reader.finish(static_cast<std::int64_t>(rows.size()));
  Survey found = reader.found;
  found.log2_support = log2_support(rows, num_qubits);
  std::vector<std::int32_t> position(num_qubits);
  std::iota(position.begin(), position.end(), 0);
  if (reduced) {
    found.bonds = BondModel(rows, num_qubits).bounds(position, found.log2_support);
  } else {
    const Folding folded(rows, guards, num_qubits, num_clbits, false);
    found.bonds = BondModel(folded.out, num_qubits).bounds(position, found.log2_support);
  }
  return found;
}

}  // namespace qrex

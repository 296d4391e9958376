#include "reduction.hpp"

#include <algorithm>
#include <numeric>

#include "algebra.hpp"
#include "cone.hpp"
#include "folding.hpp"
#include "support.hpp"

namespace qrex {
namespace {

constexpr int kRounds = 4;

class Components {
 public:
  explicit Components(int nodes) : parent_(nodes) { std::iota(parent_.begin(), parent_.end(), 0); }
  int find(int node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }
  void join(int a, int b) { parent_[find(b)] = find(a); }

 private:
  std::vector<int> parent_;
};

// Probability of 1 where the rows are gates on one qubit and then one measurement; else -1.
double coin(const PartRows& part) {
  if (part.qubits.size() != 1 || part.clbits.size() != 1 || !part.guards.empty()) return -1;
  Pure state;
  for (std::size_t i = 0; i + 1 < part.rows.size(); ++i) {
    const Row row = part.rows[i];
    if (!is_unitary(row.op)) return -1;
    const Controlled gate = controlled_gate(row.op, 1, row.params);
    state = applied({gate.matrix[0], gate.matrix[1], gate.matrix[2], gate.matrix[3]}, state);
  }
  return part.rows[part.rows.size() - 1].op == Op::kMeasure ? std::norm(state.one) : -1;
}

// Rows of one component, from numbers before to numbers within.
void renumber(Rows& rows, const std::vector<std::int32_t>& number) {
  for (std::int32_t& q : rows.qubits) q = number[q];
}

std::vector<PartRows> split(const Rows& rows, const std::vector<Guard>& guards, int num_qubits, int num_clbits) {
  Components components(num_qubits + num_clbits);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row = rows[i];
    for (const int q : row.qubits) components.join(row.qubits[0], q);
    if (row.clbit >= 0) components.join(row.qubits[0], num_qubits + row.clbit);
    if (row.guard >= 0)
      for (const Condition& condition : guards[row.guard])
        for (const int c : condition.bits) components.join(row.qubits[0], num_qubits + c);
  }
  std::vector<PartRows> parts;
  std::vector<int> part_of(num_qubits + num_clbits, -1);
  std::vector<std::int32_t> number(num_qubits + num_clbits, -1), guard_number(guards.size(), -1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Row row = rows[i];
    int& index = part_of[components.find(row.qubits[0])];
    if (index < 0) index = static_cast<int>(parts.size()), parts.emplace_back();
    PartRows& part = parts[index];
    const auto clbit = [&](int c) {
      if (number[num_qubits + c] < 0) {
        number[num_qubits + c] = static_cast<std::int32_t>(part.clbits.size());
        part.clbits.push_back(c);
      }
      return number[num_qubits + c];
    };
    for (const int q : row.qubits)
      if (number[q] < 0) number[q] = 0, part.qubits.push_back(q);
    if (row.clbit >= 0) row.clbit = clbit(row.clbit);
    if (row.guard >= 0) {
      if (guard_number[row.guard] < 0) {
        guard_number[row.guard] = static_cast<std::int32_t>(part.guards.size());
        part.guards.push_back(guards[row.guard]);
        for (Condition& condition : part.guards.back())
          for (std::int32_t& c : condition.bits) c = clbit(c);
      }
      row.guard = guard_number[row.guard];
    }
    part.rows.add(row);
  }
  for (PartRows& part : parts) {
    std::sort(part.qubits.begin(), part.qubits.end());
    for (std::size_t k = 0; k < part.qubits.size(); ++k) number[part.qubits[k]] = static_cast<std::int32_t>(k);
    renumber(part.rows, number);
  }
  return parts;
}

}  // namespace

Reduction reduce(const Rows& given, const std::vector<Guard>& given_guards, int num_qubits, int num_clbits) {
  Reduction out;
  out.bit.assign(num_clbits, -1);
  Rows rows;
  std::vector<Guard> guards;
  for (int round = 0; round < kRounds; ++round) {
    Folding folded(round ? rows : given, round ? guards : given_guards, num_qubits, num_clbits, true);
    std::vector<std::uint8_t> wanted(num_clbits);
    for (int c = 0; c < num_clbits; ++c) {
      if (out.bit[c] < 0) out.bit[c] = folded.bit[c];
      wanted[c] = out.bit[c] < 0;
    }
    const std::vector<std::uint8_t> keep = needed_rows(folded.out, folded.guards, num_qubits, wanted);
    const int unseen = static_cast<int>(std::count(keep.begin(), keep.end(), 0));
    if (unseen) {
      Rows next;
      for (std::size_t i = 0; i < keep.size(); ++i)
        if (keep[i]) next.add(folded.out[i]);
      rows = std::move(next);
    } else {
      rows = std::move(folded.out);
    }
    guards = std::move(folded.guards);
    out.relabelled += folded.relabelled;
    out.unseen += unseen;
    if (!unseen) break;  // folding once more would find little
  }
  out.folded = static_cast<int>(given.size()) - static_cast<int>(rows.size()) - out.relabelled - out.unseen;

  for (PartRows& part : split(rows, guards, num_qubits, num_clbits)) {
    const double ones = coin(part);
    if (ones >= 0) {
      out.coin_bits.push_back(part.clbits[0]);
      out.coin_ones.push_back(ones);
      continue;
    }
    const int n = static_cast<int>(part.qubits.size());
    if (n > 2) {
      const BondModel model(part.rows, n);
      const std::vector<std::int32_t> order = arrange(model, log2_support(part.rows, n));
      std::vector<std::int32_t> position(n), qubits(n);
      for (int p = 0; p < n; ++p) position[order[p]] = p, qubits[p] = part.qubits[order[p]];
      renumber(part.rows, position);
      part.qubits = std::move(qubits);
    }
    out.rows_after += static_cast<int>(part.rows.size());
    out.qubits_after += n;
    out.parts.push_back(std::move(part));
  }
  return out;
}

}  // namespace qrex

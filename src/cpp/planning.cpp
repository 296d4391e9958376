#include "planning.hpp"

#include <bit>
#include <stdexcept>

namespace qrex {
namespace {

// What the gates left behind forbid: nothing passes on `closed` qubits, only diagonal gates on `diagonal_only`.
struct Frontier {
  std::uint64_t closed = 0, diagonal_only = 0;

  bool blocks(const PendingGate& gate) const {
    return (gate.dense & (closed | diagonal_only)) || (gate.zed & closed);
  }
  void leave(const PendingGate& gate) {
    closed |= gate.dense;
    diagonal_only |= gate.zed;
  }
};

}  // namespace

double reachable_weight(const std::vector<PendingGate>& gates, std::uint64_t all, std::uint64_t local) {
  Frontier frontier;
  double weight = 0;
  for (const PendingGate& gate : gates) {
    if ((gate.dense & ~local) || frontier.blocks(gate)) {
      frontier.leave(gate);
      if ((frontier.closed & all) == all) break;
    } else {
      weight += gate.weight;
    }
  }
  return weight;
}

std::vector<std::uint8_t> reachable(const std::vector<PendingGate>& gates, std::uint64_t all, std::uint64_t local) {
  Frontier frontier;
  std::vector<std::uint8_t> runs(gates.size(), 0);
  for (std::size_t k = 0; k < gates.size(); ++k) {
    if ((gates[k].dense & ~local) || frontier.blocks(gates[k])) {
      frontier.leave(gates[k]);
      if ((frontier.closed & all) == all) break;
    } else {
      runs[k] = 1;
    }
  }
  return runs;
}

std::uint64_t choose_local(const std::vector<PendingGate>& gates, std::uint64_t all, std::uint64_t fixed,
                           int capacity, int rounds) {
  if (std::popcount(fixed) > capacity || (fixed & ~all))
    throw std::invalid_argument("the fixed qubits exceed the capacity or the circuit");
  if (std::popcount(all) <= capacity) return all;
  std::uint64_t local = fixed;
  Frontier frontier;
  for (const PendingGate& gate : gates) {
    const bool fits = std::popcount(local | gate.dense) <= capacity;
    if (!fits || frontier.blocks(gate)) {
      frontier.leave(gate);
      if ((frontier.closed & all) == all) break;
    } else {
      local |= gate.dense;
    }
  }
  for (std::uint64_t rest = all & ~local; rest && std::popcount(local) < capacity; rest &= rest - 1)
    local |= rest & -rest;

  if (rounds == 0) return local;
  double best = reachable_weight(gates, all, local);
  for (int round = 0; round < rounds; ++round) {
    std::uint64_t better = 0;
    for (std::uint64_t out = local & ~fixed; out; out &= out - 1)
      for (std::uint64_t in = all & ~local; in; in &= in - 1) {
        const std::uint64_t candidate = (local ^ (out & -out)) | (in & -in);
        const double weight = reachable_weight(gates, all, candidate);
        if (weight > best * (1 + 1e-12)) best = weight, better = candidate;
      }
    if (!better) break;
    local = better;
  }
  return local;
}

}  // namespace qrex

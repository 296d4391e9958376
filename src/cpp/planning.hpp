// Which qubits to make local next: the inner loop of the stage planner.
#pragma once

#include <cstdint>
#include <vector>

namespace qrex {

// One pending gate. `dense` qubits must be local; on `zed` qubits it is diagonal. All gates that are diagonal
// on a qubit commute there.
struct PendingGate {
  std::uint64_t dense, zed;
  double weight;
};

// Weight of the gates, in order, that can run while `local` is local: neither blocked by an earlier gate that
// cannot, nor in need of another qubit. O(gates).
double reachable_weight(const std::vector<PendingGate>& gates, std::uint64_t all, std::uint64_t local);

// Whether each gate can run, as above.
std::vector<std::uint8_t> reachable(const std::vector<PendingGate>& gates, std::uint64_t all, std::uint64_t local);

// A set of `capacity` qubits of `all` (or all, if fewer) that contains `fixed`, chosen greedily to run as much
// weight as possible: first come first served, then single exchanges while they gain, `rounds` at most.
std::uint64_t choose_local(const std::vector<PendingGate>& gates, std::uint64_t all, std::uint64_t fixed,
                           int capacity, int rounds = 24);

}  // namespace qrex

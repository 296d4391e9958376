// From a program's rows to fused gates on the wires that need amplitudes.
//
// A qubit whose basis state is known has no amplitudes: X flips the knowledge, controls on it are resolved,
// phases on it are dropped; it gets a wire when a gate first superposes or entangles it. SWAP exchanges what
// two qubits stand for; X on a wire is remembered and folded into the gates that follow. Measurements that
// nothing later can tell from a measurement at the end are left to the end; the others, and resets, are where
// lowering stops so that the wire can be collapsed.
#pragma once

#include <cstdint>
#include <vector>

#include "circuit.hpp"
#include "fusion.hpp"
#include "gates.hpp"

namespace qrex::dense {

constexpr int kMostWires = 60;
constexpr std::size_t kWidestUnitary = 8;

// A qubit: on a wire, with X still to be applied where `value`; or, with wire -1, in |value>.
struct Slot {
  std::int16_t wire = -1;
  bool value = false;
};

// A classical bit is such a thing too: read from a wire at the end, or already known.
struct Wiring {
  std::vector<Slot> qubits, bits;
  std::uint64_t used = 0;  // wires that have amplitudes

  // The wire is in |outcome> and gone: those that referred to it know their value.
  void settle(int wire, bool outcome);
};

// What follows each row, as far as it decides what a measurement or a reset has to do now.
struct Outlook {
  explicit Outlook(const Circuit& circuit);
  std::vector<std::uint8_t> deferred;   // a measurement that may wait until the end
  std::vector<std::uint8_t> abandoned;  // a reset whose qubit meets no later gate
};

enum class Stop : std::uint8_t { End, Full, Collapse };

struct Lowered {
  std::size_t row;  // the first row that was not lowered; at Collapse the one that needs its qubit's wire collapsed
  Stop stop;
};

// Appends to `gates` from `row` on, `limit` gates or so.
Lowered lower(const Circuit& circuit, const Outlook& outlook, Wiring& wiring, std::size_t row, std::size_t limit,
              Gates& gates);

// Bounds on what following all branches of a program takes, whatever its outcomes: most wires at once, and most
// amplitudes held at once for `shots` shots; `events` counts the collapses of one branch at most.
struct Outline {
  int wires = 0;
  std::uint64_t events = 0;
  double amplitudes = 0;
};
Outline outline(const Circuit& circuit, const Outlook& outlook, std::uint64_t shots);

}  // namespace qrex::dense

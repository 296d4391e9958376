// One shot of a device whose idle qubits keep a memory of their surroundings.
//
// Between pulses the Hamiltonian is diagonal: phases are added up per qubit and per edge, exact pulses flip signs, and
// amplitudes are touched where a gate that is not diagonal arrives. Qubits are kept in clusters, each a state vector of
// its own; a qubit that is known (not begun, measured, decayed) is a bit. Energy relaxation is unravelled into jumps at
// their true times, so that what a neighbour sees of it is right.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <vector>

namespace qrex::twin {

using Amplitude = std::complex<float>;

enum class EventKind : std::uint8_t {
  Turn,     // phase exp(i value) on |1> of a
  Flip,     // X on a
  One,      // matrix on a
  Two,      // matrix on a and b, a least significant
  Begin,    // a and b are driven together from now on: their own edge rests; value: 1 a, 2 b, 3 both are driven about x
  End,      // no more
  Noise,    // with probability value a uniformly random Pauli (the identity among them) on a
  Noise2,   // the same on a and b
  Measure,  // a into bit b
  Reset,    // a into |0>
  Settle,   // from here on only what is in a's z basis matters
  Calm,     // from here on the white dephasing of a is `value` times its rate
};

struct Event {
  EventKind kind;
  int a, b;
  double seconds;  // when
  double value;
  int matrix;
};

struct Edge {
  int a, b;
  double zeta;  // rad/s: zeta |11><11|
};

struct QubitNoise {
  double decay = 0;      // 1/s: 1/T1
  double dephasing = 0;  // 1/s: white, of coherences
  double sigma = 0;      // rad/s: quasi-static detuning, Gaussian over shots
  double parity = 0;     // rad/s: plus or minus, from shot to shot
  double drift = 0;      // rad/s: of an Ornstein-Uhlenbeck detuning
  double drift_seconds = 0;
  double reads_one = 0, reads_zero = 0;  // probability of reading 1 for 0, 0 for 1
};

struct Device {
  std::vector<QubitNoise> qubits;
  std::vector<Edge> edges;
  std::vector<std::vector<int>> edges_of;
};

struct Schedule {
  std::vector<Event> events;
  std::vector<std::array<std::complex<double>, 16>> matrices;  // row-major; of one qubit in the first four
  int bits = 0;
  std::vector<int> group;       // of each qubit the first of those that gates will ever connect it with
  std::vector<int> group_size;  // of each first one
  int most_live = 12;    // qubits of a cluster that idle neighbours may be joined in; else their phase is twirled
  int most_gated = 26;   // qubits of a cluster at all
};

struct Tally {
  std::uint64_t twirled = 0;  // phases between clusters that were too large to be joined
  int live = 0;               // qubits of the largest cluster
};

// The bits of shot number `shot`; results depend on `seed` and `shot` alone. Throws std::length_error where gates join
// more than most_gated qubits.
void sample_shot(const Device& device, const Schedule& schedule, std::uint64_t seed, std::uint64_t shot, std::uint8_t* bits,
                 Tally& tally);

}  // namespace qrex::twin

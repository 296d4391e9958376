#include "trajectory.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "clusters.hpp"

namespace qrex::twin {
namespace {

constexpr double kPi = std::numbers::pi;

std::uint64_t mix(std::uint64_t& state) {  // splitmix64
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// xoshiro256++ (Blackman, Vigna, ACM TOMS 47, 36 (2021)).
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t shot) {
    std::uint64_t state = seed;
    state = mix(state) ^ shot;
    for (std::uint64_t& word : s_) word = mix(state);
  }
  std::uint64_t word() {
    const std::uint64_t out = std::rotl(s_[0] + s_[3], 23) + s_[0], t = s_[1] << 17;
    s_[2] ^= s_[0], s_[3] ^= s_[1], s_[1] ^= s_[2], s_[0] ^= s_[3], s_[2] ^= t;
    s_[3] = std::rotl(s_[3], 45);
    return out;
  }
  double uniform() { return static_cast<double>(word() >> 11) * 0x1p-53; }
  double normal() {
    const double u = 1 - uniform(), v = uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * kPi * v);
  }

 private:
  std::uint64_t s_[4];
};

struct Qubit {
  double last = 0;        // seconds up to which idling is accounted for
  double detuning = 0;    // rad/s, of this shot
  double drift = 0;       // rad/s, now
  double angle = 0;       // of the stored |1>, not applied yet
  double damp[2] = {1, 1};  // of the stored amplitudes, not applied yet
  int flip = 0;           // the physical bit is the stored one, flipped
  bool driven = false;    // about x: its z does not count
  double white = 1;       // of the rate of white dephasing
};

struct Bond {
  double last = 0, angle = 0;  // angle: of the stored |11>, not applied yet
  bool resting = false;
};

class Shot {
 public:
  Shot(const Device& device, const Schedule& schedule, std::uint64_t seed, std::uint64_t shot, Tally& tally)
      : device_(device), schedule_(schedule), random_(seed, shot), clusters_(static_cast<int>(device.qubits.size())),
        qubits_(device.qubits.size()), bonds_(device.edges.size()), group_(schedule.group), group_size_(schedule.group_size),
        tally_(tally) {
    for (std::size_t q = 0; q < qubits_.size(); ++q) {
      const QubitNoise& noise = device.qubits[q];
      if (noise.sigma > 0) qubits_[q].detuning = noise.sigma * random_.normal();
      if (noise.parity != 0) qubits_[q].detuning += random_.word() & 1 ? noise.parity : -noise.parity;
      if (noise.drift > 0) qubits_[q].drift = noise.drift * random_.normal();
    }
  }

  void run(std::uint8_t* bits) {
    for (const Event& event : schedule_.events) step(event, bits);
  }

 private:
  void step(const Event& event, std::uint8_t* bits) {
    const double now = event.seconds;
    const int a = event.a;
    switch (event.kind) {
      case EventKind::Turn:
        qubits_[a].angle += qubits_[a].flip ? -event.value : event.value;
        break;
      case EventKind::Flip:
        advance_around(a, now);
        flip(a);
        break;
      case EventKind::One:
        advance_around(a, now);
        flush(a);
        apply(a, schedule_.matrices[event.matrix]);
        break;
      case EventKind::Two:
        advance_around(a, now), advance_around(event.b, now);
        flush(a), flush(event.b);
        apply(a, event.b, schedule_.matrices[event.matrix]);
        break;
      case EventKind::Begin:
      case EventKind::End: {
        advance_around(a, now), advance_around(event.b, now);
        const bool begins = event.kind == EventKind::Begin;
        const int driven = static_cast<int>(event.value);
        qubits_[a].driven = begins && driven & 1, qubits_[event.b].driven = begins && driven & 2;
        for (const int e : device_.edges_of[a])
          if (device_.edges[e].a == event.b || device_.edges[e].b == event.b) bonds_[e].resting = begins;
        break;
      }
      case EventKind::Noise:
        if (random_.uniform() < event.value) pauli(a, static_cast<int>(random_.word() & 3), now);
        break;
      case EventKind::Noise2:
        if (random_.uniform() < event.value) {
          const int which = static_cast<int>(random_.word() & 15);
          pauli(a, which & 3, now), pauli(event.b, which >> 2, now);
        }
        break;
      case EventKind::Measure: {
        advance(a, now);
        settle(a);
        const QubitNoise& noise = device_.qubits[a];
        const int value = clusters_.bit(a) ^ qubits_[a].flip;
        bits[event.b] = value ^ (random_.uniform() < (value ? noise.reads_zero : noise.reads_one));
        break;
      }
      case EventKind::Reset:
        advance_around(a, now);
        settle(a);
        spread(a);
        clusters_.set_bit(a, qubits_[a].flip);
        break;
      case EventKind::Settle:
        advance(a, now);
        settle(a);
        break;
      case EventKind::Calm:
        advance(a, now);
        qubits_[a].white = event.value;
        break;
    }
  }

  int other(const Edge& edge, int q) const { return edge.a == q ? edge.b : edge.a; }
  double sign(int q) const { return qubits_[q].flip ? -1 : 1; }

  // Idling of q alone up to `now`.
  void advance(int q, double now) {
    Qubit& qubit = qubits_[q];
    const double elapsed = now - qubit.last;
    if (elapsed <= 0) return;
    const QubitNoise& noise = device_.qubits[q];
    const double from = qubit.last;
    qubit.last = now;
    if (noise.drift > 0) {
      const double turned = drifted(qubit, noise, elapsed);
      if (!qubit.driven) qubit.angle -= sign(q) * turned;
    }
    if (!qubit.driven) qubit.angle -= sign(q) * qubit.detuning * elapsed;
    if (noise.dephasing > 0 && random_.uniform() < -0.5 * std::expm1(-noise.dephasing * qubit.white * elapsed))
      qubit.angle += kPi;
    if (noise.decay <= 0) return;
    const double chance = -std::expm1(-noise.decay * elapsed), drawn = random_.uniform();
    const int excited = 1 ^ qubit.flip;  // stored
    double weight = 1;
    if (drawn < chance && clusters_.known(q)) weight = clusters_.bit(q) == excited;
    if (drawn < chance && !clusters_.known(q)) {
      damp_cluster(q);
      weight = clusters_.weight_of_one(q);
      if (!excited) weight = 1 - weight;
    }
    if (drawn < chance * weight) {
      decay(q, from - std::log1p(-random_.uniform() * chance) / noise.decay);
    } else if (!clusters_.known(q)) {
      qubit.damp[excited] *= std::exp(-0.5 * noise.decay * elapsed);
    }
  }

  // The Ornstein-Uhlenbeck detuning after `elapsed` seconds, and its integral (Gillespie, Phys. Rev. E 54, 2084 (1996)).
  double drifted(Qubit& qubit, const QubitNoise& noise, double elapsed) {
    const double tau = noise.drift_seconds, c = std::exp(-elapsed / tau), before = qubit.drift;
    const double variance = noise.drift * noise.drift * (1 - c * c);
    const double area = noise.drift * noise.drift * tau * tau * (2 * elapsed / tau - 3 + 4 * c - c * c);
    const double mixed = noise.drift * noise.drift * tau * (1 - c) * (1 - c);
    const double x = random_.normal(), y = random_.normal(), spread = std::sqrt(variance);
    qubit.drift = before * c + spread * x;
    const double shared = spread > 0 ? mixed / spread : 0;
    return before * tau * (1 - c) + shared * x + std::sqrt(std::max(area - shared * shared, 0.0)) * y;
  }

  // q and all that its edges reach, up to `now`.
  void advance_around(int q, double now) {
    advance(q, now);
    for (const int e : device_.edges_of[q]) advance(other(device_.edges[e], q), now);
    for (const int e : device_.edges_of[q]) advance_edge(e, now);
  }

  void advance_edge(int e, double now) {
    Bond& bond = bonds_[e];
    const double elapsed = now - bond.last;
    if (elapsed <= 0) return;
    bond.last = now;
    if (bond.resting) return;
    const Edge& edge = device_.edges[e];
    const double angle = edge.zeta * elapsed;
    Qubit &a = qubits_[edge.a], &b = qubits_[edge.b];
    if (a.driven && b.driven) return;
    if (a.driven) {
      b.angle -= sign(edge.b) * angle / 2;
    } else if (b.driven) {
      a.angle -= sign(edge.a) * angle / 2;
    } else {  // n_a n_b, written in stored bits
      bond.angle -= sign(edge.a) * sign(edge.b) * angle;
      if (a.flip) b.angle -= sign(edge.b) * angle;
      if (b.flip) a.angle -= sign(edge.a) * angle;
    }
  }

  // q, in |1> until `when`, is in |0> from then on.
  void decay(int q, double when) {
    const int excited = 1 ^ qubits_[q].flip;
    clusters_.fix(q, excited);
    spread(q);
    for (const int e : device_.edges_of[q]) {
      Bond& bond = bonds_[e];
      const int j = other(device_.edges[e], q);
      const double elapsed = when - bond.last;
      if (elapsed <= 0) continue;
      bond.last = when;
      if (bond.resting || qubits_[j].driven) continue;
      qubits_[j].angle -= sign(j) * device_.edges[e].zeta * elapsed * (qubits_[q].driven ? 0.5 : 1.0);
    }
    clusters_.set_bit(q, qubits_[q].flip);
  }

  // What the edges of a known qubit hold goes to its neighbours.
  void spread(int q) {
    Qubit& qubit = qubits_[q];
    qubit.angle = 0, qubit.damp[0] = qubit.damp[1] = 1;
    for (const int e : device_.edges_of[q]) {
      if (clusters_.bit(q)) qubits_[other(device_.edges[e], q)].angle += bonds_[e].angle;
      bonds_[e].angle = 0;
    }
  }

  // q read in its z basis, whoever looks.
  void settle(int q) {
    if (clusters_.known(q)) return;
    damp_cluster(q);
    clusters_.fix(q, random_.uniform() < clusters_.weight_of_one(q));
    spread(q);
  }

  void damp_cluster(int q) {
    for (const int member : clusters_.members(q)) {
      Qubit& qubit = qubits_[member];
      if (qubit.damp[0] == 1 && qubit.damp[1] == 1) continue;
      clusters_.scale(member, static_cast<float>(qubit.damp[0]), static_cast<float>(qubit.damp[1]));
      qubit.damp[0] = qubit.damp[1] = 1;
    }
  }

  // The edges of q, before something that is not diagonal in its z basis.
  void flush(int q) {
    for (const int e : device_.edges_of[q]) {
      const double angle = bonds_[e].angle;
      if (angle == 0) continue;
      bonds_[e].angle = 0;
      const int j = other(device_.edges[e], q);
      if (clusters_.known(q)) {
        if (clusters_.bit(q)) qubits_[j].angle += angle;
      } else if (clusters_.known(j)) {
        if (clusters_.bit(j)) qubits_[q].angle += angle;
      } else if (clusters_.together(q, j)) {
        clusters_.phase_both(q, j, static_cast<float>(angle));
      } else if (may_join(q, j)) {
        join(q, j);
        clusters_.phase_both(q, j, static_cast<float>(angle));
      } else {  // exp(i angle n n) = local phases and exp(i angle/4 ZZ), of which the latter is twirled
        ++tally_.twirled;
        const double flips = std::sin(angle / 4), turn = angle / 2 + (random_.uniform() < flips * flips ? kPi : 0);
        qubits_[q].angle += turn, qubits_[j].angle += turn;
      }
    }
  }

  int group(int q) const {
    while (group_[q] != q) q = group_[q];
    return q;
  }

  // Whether an idle phase may entangle q and j. What gates connect later counts as well: groups joined one after the other
  // would otherwise grow without bound.
  bool may_join(int q, int j) {
    if (clusters_.size(q) + clusters_.size(j) > schedule_.most_live) return false;
    const int a = group(q), b = group(j);
    if (a == b) return true;
    if (group_size_[a] + group_size_[b] > schedule_.most_live) return false;
    group_[b] = a, group_size_[a] += group_size_[b];
    return true;
  }

  void join(int p, int q) {
    clusters_.join(p, q);
    tally_.live = std::max(tally_.live, clusters_.size(p));
  }

  // What is pending on q, as factors of its stored amplitudes.
  std::array<std::complex<double>, 2> taken(int q) {
    Qubit& qubit = qubits_[q];
    const std::array<std::complex<double>, 2> out{qubit.damp[0], std::polar(qubit.damp[1], qubit.angle)};
    qubit.angle = 0, qubit.damp[0] = qubit.damp[1] = 1;
    return out;
  }

  void apply(int q, const std::array<std::complex<double>, 16>& matrix) {
    const auto pending = taken(q);
    const int flip = qubits_[q].flip;
    Matrix2 m;
    for (int row = 0; row < 2; ++row)
      for (int column = 0; column < 2; ++column)  // physical row: nothing is flipped afterwards
        m[2 * row + column] = Amplitude(matrix[2 * row + (column ^ flip)] * pending[column]);
    qubits_[q].flip = 0;
    clusters_.apply(q, m);
    tally_.live = std::max(tally_.live, 1);
  }

  void apply(int p, int q, const std::array<std::complex<double>, 16>& matrix) {
    const Matrix2 one{1, 0, 0, 1};
    for (const int k : {p, q})
      if (clusters_.known(k)) clusters_.apply(k, one);
    if (!clusters_.together(p, q)) {
      if (clusters_.size(p) + clusters_.size(q) > schedule_.most_gated)
        throw std::length_error(std::to_string(clusters_.size(p) + clusters_.size(q)) + " qubits are entangled at once; at most " +
                                std::to_string(schedule_.most_gated) + " can be followed");
      join(p, q);
    }
    const auto left = taken(p), right = taken(q);
    const int flips = qubits_[p].flip | qubits_[q].flip << 1;
    Matrix4 m;
    for (int row = 0; row < 4; ++row)
      for (int column = 0; column < 4; ++column)
        m[4 * row + column] = Amplitude(matrix[4 * row + (column ^ flips)] * left[column & 1] * right[column >> 1]);
    qubits_[p].flip = qubits_[q].flip = 0;
    clusters_.apply(p, q, m);
  }

  void flip(int q) { qubits_[q].flip ^= 1; }

  void pauli(int q, int which, double now) {
    if (which & 1) {
      advance_around(q, now);
      flip(q);
    }
    if (which & 2) qubits_[q].angle += kPi;
  }

  const Device& device_;
  const Schedule& schedule_;
  Random random_;
  Clusters clusters_;
  std::vector<Qubit> qubits_;
  std::vector<Bond> bonds_;
  std::vector<int> group_, group_size_;
  Tally& tally_;
};

}  // namespace

void sample_shot(const Device& device, const Schedule& schedule, std::uint64_t seed, std::uint64_t shot, std::uint8_t* bits,
                 Tally& tally) {
  Shot(device, schedule, seed, shot, tally).run(bits);
}

}  // namespace qrex::twin

// Binds the trajectories of simulated devices.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <complex>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "parallel.hpp"
#include "trajectory.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex::twin {
namespace {

template <class T, class... Shape>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu, Shape...>;
template <class T>
using Column = Array<T, nb::ndim<1>>;
template <class T>
using Table = Array<T, nb::ndim<2>>;

constexpr int kNoiseColumns = 8;
constexpr std::uint64_t kChunk = 16;  // shots

Device device(const Table<double>& noise, const Table<int>& pairs, const Column<double>& zeta) {
  if (noise.shape(1) != kNoiseColumns || pairs.shape(1) != 2 || pairs.shape(0) != zeta.shape(0))
    throw std::invalid_argument("noise has 8 columns, pairs 2, and as many rows as zeta");
  Device out;
  const std::size_t qubits = noise.shape(0);
  for (std::size_t q = 0; q < qubits; ++q) {
    const double* row = noise.data() + kNoiseColumns * q;
    out.qubits.push_back({row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]});
    if (row[4] > 0 && !(row[5] > 0)) throw std::invalid_argument("a drift needs a correlation time");
  }
  out.edges_of.resize(qubits);
  for (std::size_t e = 0; e < zeta.shape(0); ++e) {
    const int a = pairs.data()[2 * e], b = pairs.data()[2 * e + 1];
    if (a < 0 || b < 0 || a == b || std::max(a, b) >= static_cast<int>(qubits))
      throw std::invalid_argument("an edge joins two qubits of the device");
    out.edges.push_back({a, b, zeta.data()[e]});
    out.edges_of[a].push_back(static_cast<int>(e)), out.edges_of[b].push_back(static_cast<int>(e));
  }
  return out;
}

void group_by_gates(Schedule& schedule, int qubits) {
  schedule.group.resize(qubits), schedule.group_size.assign(qubits, 1);
  std::iota(schedule.group.begin(), schedule.group.end(), 0);
  const auto first = [&](int q) {
    while (schedule.group[q] != q) q = schedule.group[q];
    return q;
  };
  for (const Event& event : schedule.events) {
    if (event.kind != EventKind::Two) continue;
    const int a = first(event.a), b = first(event.b);
    if (a == b) continue;
    schedule.group[b] = a, schedule.group_size[a] += schedule.group_size[b];
  }
}

Schedule schedule(const Column<std::uint8_t>& kinds, const Table<int>& operands, const Table<double>& values,
                  const Array<std::complex<double>, nb::ndim<3>>& matrices, int qubits, int bits, int most_live, int most_gated) {
  const std::size_t count = kinds.shape(0);
  if (operands.shape(0) != count || operands.shape(1) != 3 || values.shape(0) != count || values.shape(1) != 2)
    throw std::invalid_argument("every event has a kind, three operands and two values");
  if (matrices.shape(1) != 4 || matrices.shape(2) != 4) throw std::invalid_argument("matrices are 4 x 4");
  Schedule out;
  for (std::size_t k = 0; k < matrices.shape(0); ++k) {
    auto& kept = out.matrices.emplace_back();
    std::copy_n(matrices.data() + 16 * k, 16, kept.begin());
  }
  double before = -1e300;
  for (std::size_t k = 0; k < count; ++k) {
    const int* o = operands.data() + 3 * k;
    const double* v = values.data() + 2 * k;
    const auto kind = static_cast<EventKind>(kinds.data()[k]);
    const bool pair = kind == EventKind::Two || kind == EventKind::Begin || kind == EventKind::End || kind == EventKind::Noise2;
    const bool gate = kind == EventKind::One || kind == EventKind::Two;
    const bool read = kind == EventKind::Measure;
    if (kind > EventKind::Calm || o[0] < 0 || o[0] >= qubits || (pair && (o[1] < 0 || o[1] >= qubits || o[1] == o[0])) ||
        (read && (o[1] < 0 || o[1] >= bits)) || (gate && (o[2] < 0 || o[2] >= static_cast<int>(matrices.shape(0)))))
      throw std::invalid_argument("event " + std::to_string(k) + " names what does not exist");
    if (!(v[0] >= before)) throw std::invalid_argument("event " + std::to_string(k) + " is earlier than the one before");
    before = v[0];
    out.events.push_back({kind, o[0], o[1], v[0], v[1], o[2]});
  }
  out.bits = bits, out.most_live = most_live, out.most_gated = most_gated;
  group_by_gates(out, qubits);
  return out;
}

nb::tuple sample(const Table<double>& noise, const Table<int>& pairs, const Column<double>& zeta,
                 const Column<std::uint8_t>& kinds, const Table<int>& operands, const Table<double>& values,
                 const Array<std::complex<double>, nb::ndim<3>>& matrices, int bits, std::uint64_t shots, std::uint64_t seed,
                 int threads, int most_live, int most_gated) {
  const Device made = device(noise, pairs, zeta);
  const Schedule events =
      schedule(kinds, operands, values, matrices, static_cast<int>(noise.shape(0)), bits, most_live, most_gated);
  const std::size_t width = static_cast<std::size_t>(bits);
  auto* answers = new std::vector<std::uint8_t>(shots * width, 0);
  nb::capsule owner(answers, [](void* p) noexcept { delete static_cast<std::vector<std::uint8_t>*>(p); });
  Tally total;
  {
    nb::gil_scoped_release unlocked;
    std::mutex adding;
    parallel_for((shots + kChunk - 1) / kChunk, threads, [&](int, std::uint64_t chunk) {
      Tally tally;
      for (std::uint64_t shot = kChunk * chunk; shot < std::min(shots, kChunk * (chunk + 1)); ++shot)
        sample_shot(made, events, seed, shot, answers->data() + shot * width, tally);
      const std::lock_guard<std::mutex> lock(adding);
      total.twirled += tally.twirled, total.live = std::max(total.live, tally.live);
    });
  }
  return nb::make_tuple(nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<2>>(answers->data(), {shots, width}, owner),
                        total.twirled, total.live);
}

}  // namespace
}  // namespace qrex::twin

namespace qrex {

void bind_twin(nb::module_& m) {
  m.def("sample_trajectories", &twin::sample, "noise"_a, "pairs"_a, "zeta"_a, "kinds"_a, "operands"_a, "values"_a, "matrices"_a,
        "bits"_a, "shots"_a, "seed"_a, "threads"_a = 1, "most_live"_a = 12, "most_gated"_a = 26,
        "One row of bits per shot of a device with memory; phases that were twirled; qubits of the largest cluster.");
}

}  // namespace qrex

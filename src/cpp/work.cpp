#include "work.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <random>

#include "tier_planning.hpp"

namespace qrex::dense {
namespace {

constexpr double kDenseCost = 16;  // of Gate::cost
constexpr double kPhaseCost = 4, kDiagonalCost = 10;
constexpr std::size_t kChunk = 8192;
constexpr int kCounted = 40;  // wires
constexpr int kLarge = 28;
constexpr int kTiered = 20;                        // wires from which somebody may want less than all of the state at once
constexpr int kMostOutside = 10, kMostOuter = 63;  // wires, stages
constexpr int kPieces = 16;                        // of the rows, in which outer stages are counted

// Of 2^events equally likely branches those that at least one of the shots takes.
double branches_taken(double events, std::uint64_t shots) {
  if (events > 40) return static_cast<double>(shots);
  const double all = std::ldexp(1.0, static_cast<int>(events));
  return std::max(1.0, -all * std::expm1(static_cast<double>(shots) * std::log1p(-1 / all)));
}

// Phases that run together are separate sweeps over their part of the amplitudes, or one sweep of its own kind.
double cost_of(const Gates& gates, const Pass& pass, const Step& step) {
  const Gate& gate = gates.list[pass.order[step.first]];
  if (gate.kind != GateKind::Phases) return gate.cost;
  double separate = 0;
  for (std::uint32_t k = step.first; k < step.first + step.count; ++k) {
    const Gate& part = gates.list[pass.order[k]];
    for (std::uint32_t t = part.first; t < part.first + part.count; ++t) separate += std::ldexp(1.0, -std::popcount(gates.masks[t]));
  }
  return std::min(kPhaseCost * separate, kDiagonalCost);
}

}  // namespace

Work work(const Circuit& circuit, std::uint64_t shots, std::size_t most_rows, const BlockSizes& sizes) {
  const Outlook outlook(circuit);
  Work out;
  out.outline = outline(circuit, outlook, shots);
  const int wires = out.outline.wires;
  const double amplitudes_at_most = std::ldexp(1.0, std::min(wires, kMostWires));
  if (wires > kCounted) {  // beyond any memory: nobody needs to know by how much
    out.rows = out.gates = static_cast<double>(circuit.size());
    out.wide = out.passes = out.rows * amplitudes_at_most;
    out.sampled = amplitudes_at_most;
    return out;
  }
  if (wires > sizes.block_bits) most_rows /= 4;  // planning takes longer then, and the run much longer
  if (wires > kLarge) most_rows /= 8;            // a run of minutes to hours: its order of magnitude will do
  Wiring wiring;
  wiring.qubits.resize(circuit.num_qubits);
  wiring.bits.resize(circuit.num_clbits);
  Layout layout;
  Gates gates;
  std::mt19937_64 random(1);
  double branches = 1, events = 0;
  std::uint64_t touched = 0;
  std::size_t row = 0, counted = 0;
  int pieces = 0;
  std::array<double, kMostOutside> stages{};
  for (Lowered lowered{0, Stop::Full}; lowered.stop != Stop::End && row < std::max<std::size_t>(most_rows, 1);) {
    gates.clear();
    lowered = lower(circuit, outlook, wiring, row, std::min(kChunk, most_rows), gates);
    out.rows += branches * static_cast<double>(lowered.row - row);
    if (wires >= kTiered && pieces < kPieces) {
      ++pieces, counted = lowered.row;
      const std::uint64_t used = wiring.used;
      const double size = branches * std::ldexp(1.0, std::popcount(used) - wires);
      const bool ends_early = row == 0 && lowered.stop == Stop::Collapse;  // it is written in any case
      for (int outside = 1; outside <= kMostOutside && outside < wires; ++outside) {
        const int found = std::popcount(used) <= wires - outside
                              ? 1 : count_outer_stages(gates, used, wires - outside, kMostOuter);
        stages[outside - 1] += size * (ends_early ? std::max(found, 2) : found);
      }
    }
    row = lowered.row;
    const std::vector<Pass> passes = plan_passes(gates, wiring.used, sizes, layout);
    const double amplitudes = std::ldexp(1.0, layout.positions());
    const bool narrow = layout.wires <= sizes.block_bits;
    for (const Pass& pass : passes) {
      // As in a run: blocks that no dense gate has reached yet are not visited.
      const std::uint64_t unvisited = narrow ? 0 : wiring.used & ~touched & ~pass.local;
      const double visited = branches * std::ldexp(amplitudes, -std::popcount(unvisited));
      for (const int k : pass.order) touched |= gates.list[k].dense;
      double cost = 0;
      for (const Step& step : pass.steps) cost += cost_of(gates, pass, step);
      (narrow ? out.narrow : out.wide) += cost / kDenseCost * visited;
      if (!narrow) out.passes += visited;
      out.gates += branches * static_cast<double>(pass.steps.size());
    }
    out.stages += branches * static_cast<double>(passes.size());
    if (lowered.stop != Stop::Collapse) continue;
    const int wire = wiring.qubits[circuit.qubits(row)[0]].wire;
    out.collapses += branches * amplitudes;
    wiring.settle(wire, random() & 1);
    layout.remove(wire);
    touched &= ~(std::uint64_t{1} << wire);
    branches = branches_taken(++events, shots);
  }
  if (row < circuit.size()) {
    const double share = static_cast<double>(circuit.size()) / static_cast<double>(std::max<std::size_t>(row, 1));
    for (double* sum : {&out.rows, &out.gates, &out.stages, &out.narrow, &out.wide, &out.passes, &out.collapses}) *sum *= share;
  }
  const double share = static_cast<double>(circuit.size()) / static_cast<double>(std::max<std::size_t>(counted, 1));
  for (int outside = 1; pieces && outside <= kMostOutside && outside < wires; ++outside)
    out.outer.push_back(static_cast<int>(std::ceil(std::min(stages[outside - 1] * share, 1e6))));
  out.branches = branches;
  out.sampled = branches * std::ldexp(1.0, layout.positions());
  return out;
}

}  // namespace qrex::dense

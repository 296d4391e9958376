#include "staging.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <string>

#include "planning.hpp"

namespace qrex::dense {
namespace {

constexpr std::size_t kWindow = 4096;  // pending gates looked at for one pass: bounds its search and its tables
constexpr std::size_t kNarrowWindow = 1024;     // the same where the whole state is one block
constexpr double kNarrowCost = 16.0 * kNarrowWindow;
constexpr int kCounted = 16;  // passes from which a layout is judged

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }
std::uint64_t all_of(int count) { return count >= 64 ? ~std::uint64_t{0} : bit(count) - 1; }

struct Chosen {
  std::uint64_t local;
  std::vector<int> gates;
};

// Local wires and gates of each pass, `most` passes at most (0: all).
std::vector<Chosen> choose(const Gates& gates, std::uint64_t used, std::uint64_t fixed, int capacity, std::size_t most) {
  std::vector<Chosen> passes;
  std::vector<int> pending(gates.list.size());
  std::iota(pending.begin(), pending.end(), 0);
  std::vector<PendingGate> window;
  std::size_t from = 0;  // gates before it have run
  while (from < pending.size() && (most == 0 || passes.size() < most)) {
    const std::size_t end = std::min(pending.size(), from + kWindow);
    window.clear();
    for (std::size_t k = from; k < end; ++k) {
      const Gate& gate = gates.list[pending[k]];
      window.push_back({gate.dense, gate.zed, gate.cost});
    }
    Chosen pass;
    pass.local = choose_local(window, used, fixed, capacity);
    const std::vector<std::uint8_t> runs = reachable(window, used, pass.local);
    for (std::size_t k = from; k < end; ++k)
      if (runs[k - from]) pass.gates.push_back(pending[k]);
    std::size_t kept = end;  // those that stay move to the end of the window
    for (std::size_t k = end; k-- > from;)
      if (!runs[k - from]) pending[--kept] = pending[k];
    passes.push_back(std::move(pass));
    from = kept;
  }
  return passes;
}

// Candidates for the wires at the lowest positions, which are local in every pass: those that unrestricted passes
// would want local most often; then both ends of the order as written.
std::vector<std::uint64_t> low_candidates(const Gates& gates, std::uint64_t used, const BlockSizes& sizes) {
  const std::vector<Chosen> free = choose(gates, used, 0, sizes.block_bits, kCounted);
  std::vector<int> wires;
  for (std::uint64_t rest = used; rest; rest &= rest - 1) wires.push_back(std::countr_zero(rest));
  std::vector<int> wanted(64, 0);
  for (const Chosen& pass : free)
    for (const int wire : wires) wanted[wire] += pass.local >> wire & 1;
  std::vector<int> order = wires;
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return wanted[a] > wanted[b]; });
  std::uint64_t often = 0, first = 0, last = 0;
  for (int k = 0; k < sizes.chunk_bits; ++k) {
    often |= bit(order[k]);
    first |= bit(wires[k]);
    last |= bit(wires[wires.size() - 1 - k]);
  }
  return {often, first, last};
}

void append_merged(const std::vector<int>& phases, Pass& pass) {
  if (phases.empty()) return;
  pass.steps.push_back({static_cast<std::uint32_t>(pass.order.size()), static_cast<std::uint32_t>(phases.size())});
  pass.order.insert(pass.order.end(), phases.begin(), phases.end());
}

// Which gates wait for which: on each wire a dense gate waits for all since the dense one before it, a diagonal
// gate for that dense one only.
class Waiting {
 public:
  Waiting(const Gates& gates, const std::vector<int>& part) : blockers_(part.size(), 0), first_(part.size(), -1) {
    std::array<int, 64> dense;
    dense.fill(-1);
    std::array<std::vector<int>, 64> diagonal;
    for (int k = 0; k < static_cast<int>(part.size()); ++k) {
      const Gate& gate = gates.list[part[k]];
      for (std::uint64_t rest = gate.dense; rest; rest &= rest - 1) {
        const int wire = std::countr_zero(rest);
        for (const int earlier : diagonal[wire]) add(earlier, k);
        if (diagonal[wire].empty() && dense[wire] >= 0) add(dense[wire], k);
        diagonal[wire].clear();
        dense[wire] = k;
      }
      for (std::uint64_t rest = gate.zed; rest; rest &= rest - 1) {
        const int wire = std::countr_zero(rest);
        if (dense[wire] >= 0) add(dense[wire], k);
        diagonal[wire].push_back(k);
      }
    }
  }
  bool free(int k) const { return blockers_[k] == 0; }
  // Gate k has run: calls `freed` for those that wait for nothing any more.
  template <class Freed>
  void done(int k, Freed&& freed) {
    for (int e = first_[k]; e >= 0; e = edges_[e].next)
      if (--blockers_[edges_[e].to] == 0) freed(edges_[e].to);
  }

 private:
  struct Edge { int to, next; };
  void add(int from, int to) {
    edges_.push_back({to, first_[from]});
    first_[from] = static_cast<int>(edges_.size()) - 1;
    ++blockers_[to];
  }
  std::vector<int> blockers_, first_;
  std::vector<Edge> edges_;
};

// Puts gates on `inner` wires together and one-qubit gates together, since several of them share a visit, and merges
// diagonal ones where they are wanted.
void order_for_cache(const Gates& gates, const std::vector<int>& part, std::uint64_t inner, Pass& pass) {
  enum { kInner, kInnerOne, kOuter, kOuterOne, kDiagonal, kKinds };
  Waiting waiting(gates, part);
  std::vector<int> ready[kKinds];
  const auto freed = [&](int k) {
    const Gate& gate = gates.list[part[k]];
    const bool alone = gate.kind == GateKind::One && gate.control_mask == 0;
    ready[gate.dense == 0 ? kDiagonal : (gate.dense & ~inner ? kOuter : kInner) + alone].push_back(k);
  };
  const auto emit = [&](int k) {
    pass.steps.push_back({static_cast<std::uint32_t>(pass.order.size()), 1});
    pass.order.push_back(part[k]);
    waiting.done(k, freed);
  };
  for (int k = 0; k < static_cast<int>(part.size()); ++k)
    if (waiting.free(k)) freed(k);
  std::vector<int> now, phases;
  for (int kind = 0; kind < kKinds;) {
    if (ready[kind].empty()) {
      ++kind;
      continue;
    }
    if (kind < kDiagonal) {
      now.swap(ready[kind]);
      for (const int k : now) emit(k);
      now.clear();
      kind = 0;
      continue;
    }
    // Only diagonal gates can run: all that no dense gate blocks become one.
    now.swap(ready[kDiagonal]);
    phases.clear();
    for (const int k : now) {
      if (gates.list[part[k]].kind == GateKind::Phases) phases.push_back(part[k]);
      else emit(k);
    }
    append_merged(phases, pass);
    for (const int k : now)
      if (gates.list[part[k]].kind == GateKind::Phases) waiting.done(k, freed);
    now.clear();
    kind = 0;
  }
}

void check_widths(const Gates& gates, const BlockSizes& sizes) {
  int widest = 0;
  for (const Gate& gate : gates.list) widest = std::max(widest, std::popcount(gate.dense));
  if (widest > sizes.block_bits - sizes.chunk_bits)
    throw std::invalid_argument("a gate on " + std::to_string(widest) + " qubits does not fit blocks of 2^" +
                                std::to_string(sizes.block_bits) + " amplitudes in pieces of 2^" +
                                std::to_string(sizes.chunk_bits));
}

std::vector<Pass> narrow_passes(const Gates& gates, std::uint64_t used, const BlockSizes& sizes, const Layout& layout) {
  std::vector<Pass> out;
  std::uint64_t inner = 0;
  for (int p = 0; p < std::min(sizes.inner_bits, layout.wires); ++p) inner |= bit(layout.wire_at[p]);
  const int count = static_cast<int>(gates.list.size());
  for (int from = 0; from < count;) {
    std::vector<int> part;
    for (double cost = 0; from < count && part.size() < kNarrowWindow && cost < kNarrowCost; ++from) {
      part.push_back(from);
      cost += gates.list[from].cost;
    }
    Pass pass{used, {}, {}};
    order_for_cache(gates, part, inner, pass);
    out.push_back(std::move(pass));
  }
  return out;
}

}  // namespace

Layout::Layout() { position_of.fill(-1), wire_at.fill(-1); }

std::uint64_t Layout::placed(std::uint64_t mask) const {
  std::uint64_t out = 0;
  for (; mask; mask &= mask - 1) out |= bit(position_of[std::countr_zero(mask)]);
  return out;
}

void Layout::add(int wire) {
  position_of[wire] = static_cast<std::int8_t>(wires);
  wire_at[wires++] = static_cast<std::int8_t>(wire);
}

void Layout::remove(int wire) {
  for (int p = position_of[wire]; p + 1 < wires; ++p) {
    wire_at[p] = wire_at[p + 1];
    position_of[wire_at[p]] = static_cast<std::int8_t>(p);
  }
  wire_at[--wires] = -1;
  position_of[wire] = -1;
}

std::vector<Pass> plan_passes(const Gates& gates, std::uint64_t used, const BlockSizes& sizes, Layout& layout) {
  const auto place_rest = [&] {
    for (std::uint64_t rest = used; rest; rest &= rest - 1)
      if (layout.position_of[std::countr_zero(rest)] < 0) layout.add(std::countr_zero(rest));
  };
  const int wires = std::popcount(used);
  if (wires <= sizes.block_bits) {
    place_rest();
    return narrow_passes(gates, used, sizes, layout);
  }
  check_widths(gates, sizes);
  std::vector<Chosen> chosen;
  if (layout.wires == 0) {
    std::uint64_t low = 0;
    for (const std::uint64_t candidate : low_candidates(gates, used, sizes)) {
      std::vector<Chosen> passes = choose(gates, used, candidate, sizes.block_bits, low ? chosen.size() : 0);
      std::size_t ran = 0;
      for (const Chosen& pass : passes) ran += pass.gates.size();
      if (!low || (ran == gates.list.size() && passes.size() < chosen.size())) chosen = std::move(passes), low = candidate;
      if (chosen.size() <= 2) break;
    }
    // Above the lowest, wires that are local often come first, so that they stay in the first-level cache.
    std::vector<int> often(64, 0), rest;
    for (const Chosen& pass : chosen)
      for (int wire = 0; wire < 64; ++wire) often[wire] += pass.local >> wire & 1;
    for (int wire = 0; wire < 64; ++wire) {
      if (low >> wire & 1) layout.add(wire);
      else if (used >> wire & 1) rest.push_back(wire);
    }
    std::stable_sort(rest.begin(), rest.end(), [&](int a, int b) { return often[a] > often[b]; });
    for (const int wire : rest) layout.add(wire);
  } else {
    place_rest();
    std::uint64_t low = 0;
    for (int p = 0; p < sizes.chunk_bits; ++p) low |= bit(layout.wire_at[p]);
    chosen = choose(gates, used, low, sizes.block_bits, 0);
  }
  std::vector<Pass> out;
  for (const Chosen& part : chosen) {
    std::uint64_t inner = 0;
    int members = 0;
    for (int p = 0; p < layout.wires && members < sizes.inner_bits; ++p)
      if (part.local >> layout.wire_at[p] & 1) inner |= bit(layout.wire_at[p]), ++members;
    Pass pass{part.local, {}, {}};
    order_for_cache(gates, part.gates, inner, pass);
    out.push_back(std::move(pass));
  }
  return out;
}

Stage compile(const Gates& gates, const Pass& pass, const Layout& layout, const BlockSizes& sizes, const KernelSet& kernels) {
  std::vector<int> local;
  for (int p = 0; p < layout.positions(); ++p)
    if (p >= layout.wires || pass.local >> layout.wire_at[p] & 1) local.push_back(p);
  Stage stage(layout.positions(), std::move(local), sizes.inner_bits, kernels);
  const auto at = [&](int wire) { return layout.position_of[wire]; };
  std::vector<std::pair<std::uint64_t, double>> terms;
  std::vector<std::uint64_t> masks;
  std::vector<double> angles;
  std::vector<int> on;
  for (const Step& step : pass.steps) {
    const Gate& gate = gates.list[pass.order[step.first]];
    const Complex* entries = gates.entries.data() + gate.values;
    switch (gate.kind) {
      case GateKind::Phases: {
        terms.clear();
        for (std::uint32_t k = 0; k < step.count; ++k) {
          const Gate& part = gates.list[pass.order[step.first + k]];
          for (std::uint32_t t = part.first; t < part.first + part.count; ++t)
            terms.emplace_back(layout.placed(gates.masks[t]), gates.angles[t]);
        }
        if (step.count > 1) std::sort(terms.begin(), terms.end());
        masks.clear(), angles.clear();
        for (const auto& [mask, angle] : terms) {
          if (!masks.empty() && masks.back() == mask) angles.back() += angle;
          else masks.push_back(mask), angles.push_back(angle);
        }
        stage.diagonal(masks, angles);
        break;
      }
      case GateKind::One:
        stage.one(at(gate.a), entries, layout.placed(gate.control_mask), layout.placed(gate.control_value));
        break;
      case GateKind::Select: stage.select(at(gate.a), at(gate.b), entries); break;
      case GateKind::Two:
        stage.two(at(gate.a), at(gate.b), entries, layout.placed(gate.control_mask), layout.placed(gate.control_value));
        break;
      case GateKind::Many:
      case GateKind::Table:
        on.clear();
        for (std::uint32_t k = gate.first; k < gate.first + gate.count; ++k) on.push_back(at(gates.wires[k]));
        if (gate.kind == GateKind::Many) stage.many(on, entries);
        else stage.table(on, entries);
        break;
      case GateKind::Observe: break;
    }
  }
  return stage;
}

}  // namespace qrex::dense

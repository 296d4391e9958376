#include "tier_planning.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>

#include "planning.hpp"

namespace qrex::dense {
namespace {

constexpr std::size_t kBeam = 6;
constexpr double kMostSteps = 1e7;      // gates looked at while all sets of one stage are tried
constexpr std::size_t kWindow = 4096;   // pending gates that a set is chosen by
constexpr int kRestarts = 12;           // of the local search, where not all sets can be tried

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

using Pending = std::vector<PendingGate>;

struct Candidate {
  std::uint64_t local;
  double weight;
  int rest;  // wires on which gates left behind are dense
};

bool better(const Candidate& a, const Candidate& b, int capacity) {
  const bool ends_a = a.rest <= capacity, ends_b = b.rest <= capacity;
  if (ends_a != ends_b) return ends_a;
  if (a.weight != b.weight) return a.weight > b.weight;
  if (a.rest != b.rest) return a.rest < b.rest;
  return a.local < b.local;
}

// What `local` lets run of the pending gates; `behind[k]` holds the wires on which gates from k on are dense.
Candidate judge(const Pending& pending, const std::vector<std::uint64_t>& behind, std::uint64_t used, std::uint64_t local) {
  std::uint64_t closed = 0, diagonal_only = 0;
  double weight = 0;
  for (std::size_t k = 0; k < pending.size(); ++k) {
    const PendingGate& gate = pending[k];
    if ((gate.dense & (~local | closed | diagonal_only)) || (gate.zed & closed)) {
      closed |= gate.dense;
      diagonal_only |= gate.zed;
      if ((closed & used) == used) {
        closed |= behind[k];
        break;
      }
    } else {
      weight += gate.weight;
    }
  }
  return {local, weight, std::popcount(closed)};
}

double sets_of(int wires, int capacity) {
  double count = 1;
  for (int k = 0; k < std::min(capacity, wires - capacity); ++k) count *= static_cast<double>(wires - k) / (k + 1);
  return count;
}

// The best `kBeam` sets of `capacity` wires that contain `fixed`.
std::vector<Candidate> candidates(const Pending& pending, std::uint64_t used, std::uint64_t fixed, int capacity,
                                  int next_capacity) {
  std::vector<std::uint64_t> behind(pending.size() + 1, 0);
  for (std::size_t k = pending.size(); k-- > 0;) behind[k] = behind[k + 1] | pending[k].dense;
  const int wires = std::popcount(used), outside = wires - capacity;
  if (outside <= 0) return {judge(pending, behind, used, used)};
  const auto order = [&](const Candidate& a, const Candidate& b) { return better(a, b, next_capacity); };
  std::vector<Candidate> best;
  const auto offer = [&](const Candidate& found) {
    if (best.size() == kBeam && !order(found, best.back())) return;
    for (const Candidate& known : best)
      if (known.local == found.local) return;
    best.insert(std::upper_bound(best.begin(), best.end(), found, order), found);
    if (best.size() > kBeam) best.pop_back();
  };
  if (sets_of(wires, capacity) * static_cast<double>(pending.size()) <= kMostSteps) {
    std::vector<int> all, chosen(outside);
    for (std::uint64_t rest = used & ~fixed; rest; rest &= rest - 1) all.push_back(std::countr_zero(rest));
    const int movable = static_cast<int>(all.size());
    std::iota(chosen.begin(), chosen.end(), 0);
    while (true) {
      std::uint64_t local = used;
      for (const int k : chosen) local &= ~bit(all[k]);
      offer(judge(pending, behind, used, local));
      int place = outside - 1;
      while (place >= 0 && chosen[place] == movable - outside + place) --place;
      if (place < 0) break;
      ++chosen[place];
      for (int k = place + 1; k < outside; ++k) chosen[k] = chosen[k - 1] + 1;
    }
    return best;
  }
  const Pending window(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(std::min(pending.size(), kWindow)));
  std::mt19937_64 random(1);
  for (int round = 0; round < kRestarts; ++round) {
    std::uint64_t kept = fixed;  // and some wires of the best set so far, to start elsewhere from
    if (round)
      for (std::uint64_t rest = best.front().local; rest; rest &= rest - 1)
        if (random() % 3 == 0) kept |= rest & -rest;
    offer(judge(pending, behind, used, choose_local(window, used, kept, capacity)));
  }
  return best;
}

struct Path {
  std::vector<std::uint64_t> locals;
  Pending pending;
  double weight = 0;
};

Pending left_behind(const Pending& pending, std::uint64_t used, std::uint64_t local) {
  const std::vector<std::uint8_t> runs = reachable(pending, used, local);
  Pending out;
  for (std::size_t k = 0; k < pending.size(); ++k)
    if (!runs[k]) out.push_back(pending[k]);
  return out;
}

std::vector<std::uint64_t> search(const Pending& gates, std::uint64_t used, int first, int rest, std::uint64_t fixed) {
  std::vector<Path> beam{{{}, gates, 0}};
  while (true) {
    std::vector<Path> next;
    std::set<std::pair<std::size_t, double>> seen;  // paths that left the same behind, as far as one can tell cheaply
    for (const Path& path : beam) {
      const int capacity = path.locals.empty() ? first : rest;
      const std::uint64_t kept = path.locals.empty() ? fixed : 0;
      for (const Candidate& found : candidates(path.pending, used, kept, capacity, rest)) {
        Path longer{path.locals, left_behind(path.pending, used, found.local), path.weight + found.weight};
        longer.locals.push_back(found.local);
        if (longer.pending.empty()) return longer.locals;
        if ((kept || longer.pending.size() < path.pending.size()) && seen.insert({longer.pending.size(), longer.weight}).second)
          next.push_back(std::move(longer));
      }
    }
    if (next.empty()) throw std::invalid_argument("a gate is dense on more wires than are local");
    const auto ends = [&](const Path& path) {
      std::uint64_t dense = 0;
      for (const PendingGate& gate : path.pending) dense |= gate.dense;
      return std::popcount(dense) <= rest;
    };
    std::stable_sort(next.begin(), next.end(), [&](const Path& a, const Path& b) {
      const bool ends_a = ends(a), ends_b = ends(b);
      return ends_a != ends_b ? ends_a : a.weight > b.weight;
    });
    if (next.size() > kBeam) next.resize(kBeam);
    beam = std::move(next);
  }
}

}  // namespace

std::vector<OuterStage> plan_outer_stages(const Gates& gates, std::uint64_t used, int first, int rest,
                                          std::uint64_t fixed) {
  if (std::popcount(fixed) > std::min(first, std::popcount(used)) || (fixed & ~used))
    throw std::invalid_argument(std::to_string(std::popcount(fixed)) + " wires must be local in a first stage of " +
                                std::to_string(first));
  Pending pending;
  for (const Gate& gate : gates.list) pending.push_back({gate.dense, gate.zed, gate.cost});
  std::vector<int> left(pending.size());
  std::iota(left.begin(), left.end(), 0);
  std::vector<OuterStage> out;
  if (pending.empty()) {
    std::uint64_t local = used;
    while (std::popcount(local) > first) local &= ~std::bit_floor(local & ~fixed);
    out.push_back({local, {}, 0});
    return out;
  }
  const std::vector<std::uint64_t> locals = search(pending, used, first, rest, fixed);
  for (std::size_t s = 0; s < locals.size(); ++s) {
    OuterStage stage{locals[s], {}, 0};
    const std::vector<std::uint8_t> runs = reachable(pending, used, stage.local);
    std::size_t kept = 0;
    for (std::size_t k = 0; k < left.size(); ++k) {
      if (runs[k]) {
        stage.gates.push_back(left[k]);
        stage.cost += pending[k].weight;
      } else {
        pending[kept] = pending[k], left[kept++] = left[k];
      }
    }
    pending.resize(kept), left.resize(kept);
    out.push_back(std::move(stage));
  }
  return out;
}

int count_outer_stages(const Gates& gates, std::uint64_t used, int local, int most) {
  Pending pending;
  for (const Gate& gate : gates.list) pending.push_back({gate.dense, gate.zed, gate.cost});
  for (int count = 1; count <= most; ++count) {
    pending = left_behind(pending, used, choose_local(pending, used, 0, local, 0));
    if (pending.empty()) return count;
  }
  return most + 1;
}

}  // namespace qrex::dense

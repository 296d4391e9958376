#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "bonds.hpp"

namespace qrex {
namespace {

using Order = std::vector<std::int32_t>;  // qubits by position

constexpr double kSmallBond = 3;           // log2: no order need be sought
constexpr double kLargeBond = 24;          // log2: out of reach in any order, moving single qubits is no use
constexpr double kSearchSteps = 400'000;   // for each way of looking: about a millisecond
constexpr int kSearchSlices = 8;
constexpr int kWidestPairs = 6;            // wider gates count as a chain of pairs

struct Graph {
  std::vector<std::vector<std::pair<std::int32_t, double>>> neighbors;
  std::vector<double> strength;
};

Graph interaction_graph(const BondModel& model) {
  const int n = model.num_qubits();
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  for (const BondModel::Event& event : model.events()) {
    const auto q = model.qubits(event);
    for (std::size_t a = 0; a + 1 < q.size(); ++a)
      for (std::size_t b = a + 1; b < (q.size() <= kWidestPairs ? q.size() : a + 2); ++b)
        pairs.emplace_back(std::min(q[a], q[b]), std::max(q[a], q[b]));
  }
  std::sort(pairs.begin(), pairs.end());
  Graph graph{std::vector<std::vector<std::pair<std::int32_t, double>>>(n), std::vector<double>(n, 0)};
  for (std::size_t from = 0; from < pairs.size();) {
    std::size_t to = from;
    while (to < pairs.size() && pairs[to] == pairs[from]) ++to;
    const auto [a, b] = pairs[from];
    const double weight = 1 + std::log2(static_cast<double>(to - from));
    graph.neighbors[a].emplace_back(b, weight), graph.neighbors[b].emplace_back(a, weight);
    graph.strength[a] += weight, graph.strength[b] += weight;
    from = to;
  }
  return graph;
}

// Breadth first from `start`, weakly connected qubits first.
Order breadth_first(const Graph& graph, int start) {
  const int n = static_cast<int>(graph.neighbors.size());
  Order order{start};
  std::vector<std::uint8_t> taken(n, 0);
  taken[start] = 1;
  for (std::size_t head = 0; head < order.size() || static_cast<int>(order.size()) < n; ++head) {
    if (head == order.size())  // a part of its own: cannot happen after splitting, but costs nothing
      for (int q = 0; q < n; ++q)
        if (!taken[q]) { order.push_back(q), taken[q] = 1; break; }
    const std::size_t from = order.size();
    for (const auto& [q, weight] : graph.neighbors[order[head]])
      if (!taken[q]) order.push_back(q), taken[q] = 1;
    std::sort(order.begin() + static_cast<std::ptrdiff_t>(from), order.end(), [&](int a, int b) {
      return std::pair(graph.strength[a], a) < std::pair(graph.strength[b], b);
    });
  }
  return order;
}

int far_end(const Graph& graph) {
  int start = 0;
  for (int sweep = 0; sweep < 3; ++sweep) start = breadth_first(graph, start).back();
  return start;
}

// Along the second eigenvector of the Laplacian, by power iteration.
Order spectral(const Graph& graph) {
  const int n = static_cast<int>(graph.neighbors.size());
  std::size_t edges = 0;
  for (const auto& list : graph.neighbors) edges += list.size();
  const int rounds = static_cast<int>(std::clamp(kSearchSteps / static_cast<double>(edges + n), 10.0, 300.0));
  const double shift = 2 * *std::max_element(graph.strength.begin(), graph.strength.end());
  std::vector<double> v(n), w(n);
  const Order start = breadth_first(graph, far_end(graph));
  for (int p = 0; p < n; ++p) v[start[p]] = p - (n - 1) / 2.0;
  for (int round = 0; round < rounds; ++round) {
    double mean = 0, norm = 0;
    for (int q = 0; q < n; ++q) {
      w[q] = (shift - graph.strength[q]) * v[q];
      for (const auto& [other, weight] : graph.neighbors[q]) w[q] += weight * v[other];
      mean += w[q] / n;
    }
    for (double& value : w) value -= mean, norm += value * value;
    for (double& value : w) value /= std::sqrt(norm);
    v.swap(w);
  }
  Order order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return v[a] < v[b]; });
  return order;
}

// One qubit after the other, always the one that leaves the smallest weight across the cut.
Order greedy(const Graph& graph) {
  const int n = static_cast<int>(graph.neighbors.size());
  std::vector<double> gain(graph.strength);  // cut weight added by taking the qubit next
  std::vector<std::uint8_t> taken(n, 0);
  Order order;
  int next = far_end(graph);
  for (int p = 0; p < n; ++p) {
    order.push_back(next);
    taken[next] = 1;
    for (const auto& [q, weight] : graph.neighbors[next]) gain[q] -= 2 * weight;
    double best = std::numeric_limits<double>::infinity();
    for (int q = 0; q < n; ++q)
      if (!taken[q] && gain[q] < best) best = gain[q], next = q;
  }
  return order;
}

Order first_use(const BondModel& model) {
  Order order;
  std::vector<std::uint8_t> taken(model.num_qubits(), 0);
  for (const BondModel::Event& event : model.events())
    for (const int q : model.qubits(event))
      if (!taken[q]) order.push_back(q), taken[q] = 1;
  for (int q = 0; q < model.num_qubits(); ++q)
    if (!taken[q]) order.push_back(q);
  return order;
}

}  // namespace

std::vector<std::int32_t> arrange(const BondModel& model, double log2_support) {
  const int n = model.num_qubits();
  Order best(n), position(n);
  std::iota(best.begin(), best.end(), 0);
  const auto bounds_of = [&](const Order& order) {
    for (int p = 0; p < n; ++p) position[order[p]] = p;
    return model.bounds(position, log2_support, kSearchSlices);
  };
  BondBounds bounds = bounds_of(best);
  if (n < 3 || model.events().empty()) return best;
  const auto offer = [&](const Order& order) {
    const BondBounds found = bounds_of(order);
    if (found.log2_work >= bounds.log2_work - 1e-9) return false;
    best = order, bounds = found;
    return true;
  };
  const auto settled = [&] {
    return bounds.max_log2 <= kSmallBond && bounds.updates <= 4 * static_cast<std::int64_t>(model.events().size());
  };
  if (settled()) return best;
  const Graph graph = interaction_graph(model);
  offer(first_use(model));
  if (!settled()) offer(breadth_first(graph, far_end(graph)));
  if (!settled()) offer(spectral(graph));
  if (!settled()) offer(greedy(graph));

  if (bounds.max_log2 > kLargeBond) return best;
  int steps = static_cast<int>(2 * kSearchSteps / model.steps(kSearchSlices));
  for (int distance = 1; distance < n && steps > 0 && !settled(); distance *= 2) {
    bool improved = true;
    while (improved && steps > 0) {
      improved = false;
      for (int p = 0; p + distance < n && steps > 0; ++p)
        for (const bool forward : {true, false}) {
          if (steps == 0 || (!forward && distance == 1)) break;
          Order moved = best;
          const auto from = moved.begin() + p;
          if (forward) std::rotate(from, from + 1, from + distance + 1);
          else std::rotate(from, from + distance, from + distance + 1);
          improved |= offer(moved);
          steps -= 1;
        }
    }
  }
  return best;
}

}  // namespace qrex

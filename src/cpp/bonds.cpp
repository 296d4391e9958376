#include "bonds.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qrex {
namespace {

constexpr double kCeiling = 300;  // of log2 of a bond; keeps its cube inside a double

}  // namespace

BondModel::BondModel(const Rows& rows, int num_qubits)
    : num_qubits_(num_qubits) {
  std::vector<Axis> axis(num_qubits), axes;
  std::vector<std::int32_t> window(num_qubits, -1);
  std::vector<std::uint8_t> alone(num_qubits, 1);  // never on a gate with others
  constexpr Axis z{0, 0, 1};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row = rows[i];
    const int width = row.width();
    if (width == 1) {
      const int q = row.qubits[0];
      if (row.op == Op::kReset && row.guard < 0) alone[q] = 1;
      if (window[q] < 0) continue;
      if (row.op == Op::kReset) {
        window[q] = -1;
      } else if (row.op == Op::kMeasure) {
        if (!parallel(axis[q], z)) window[q] = -1;
      } else {
        const Axis next = rotated(axis[q], controlled_gate(row.op, 1, row.params).matrix);
        if (row.guard >= 0 && !parallel(next, axis[q])) window[q] = -1;
        axis[q] = next;
      }
      continue;
    }
    Event event{static_cast<std::int32_t>(qubits_.size()), width, 1, false};
    qubits_.insert(qubits_.end(), row.qubits.begin(), row.qubits.end());
    int expandable = 0;  // the first so many qubits
    if (gate_axes(row, axes)) {
      expandable = width;
      event.per_qubit = row.op == Op::kDiagonal;
    } else if (row.op == Op::kCswap) {
      expandable = 1, event.cost = 2;
    } else if (width == 2) {
      const bool fresh = alone[row.qubits[0]] || alone[row.qubits[1]];
      event.cost = static_cast<float>(std::min(log2_operator_rank(row), fresh ? 1.0 : 2.0));
    } else {
      event.cost = 2, event.per_qubit = true;
    }
    for (int k = 0; k < width; ++k) {
      const int q = row.qubits[k];
      alone[q] = 0;
      if (k >= expandable) {
        window[q] = -1;
      } else if (window[q] < 0 || !parallel(axis[q], axes[k])) {
        window[q] = static_cast<std::int32_t>(degree_.size());
        axis[q] = axes[k];
        degree_.push_back(1);
      } else {
        degree_[window[q]] += 1;
      }
      windows_.push_back(window[q]);
    }
    events_.push_back(event);
  }
}

double BondModel::steps(int slices) const {
  const double words = (num_qubits_ + 62) / 64;
  return static_cast<double>(events_.size()) * (4 + words) + words * static_cast<double>(degree_.size()) / 4 +
         8.0 * slices * num_qubits_;
}

BondBounds BondModel::bounds(std::span<const std::int32_t> position, double log2_support, int slice_limit) const {
  const int n = num_qubits_, cuts = n - 1;
  if (cuts < 1 || events_.empty()) return {0, 0, 0, std::log2(2.0 * std::max(n, 1))};
  const int words = (cuts + 63) / 64;
  const double ceiling = std::min(log2_support, kCeiling);
  std::vector<std::uint64_t> active(degree_.size() * words, 0), open(words, ~std::uint64_t{0});
  std::vector<double> raw(cuts, 0), bound(cuts), work_of(cuts);
  std::vector<std::int64_t> touched(cuts + 1);
  std::vector<std::uint8_t> entangled(n, 0);
  std::vector<std::pair<std::int32_t, std::int32_t>> places;  // position, window

  BondBounds out;
  double work = 0, elements = 0;
  std::size_t next = 0;
  const std::size_t slices = std::min<std::size_t>(slice_limit, events_.size());
  const auto raise = [&](int cut, double by) {
    raw[cut] += by;
    if (raw[cut] >= std::min<double>(std::min(cut + 1, n - 1 - cut), ceiling)) open[cut / 64] &= ~(1ull << cut % 64);
  };
  const auto segment = [&](int from, int to, std::int32_t left, std::int32_t right, double cost) {
    for (int w = from / 64; w <= (to - 1) / 64; ++w) {
      std::uint64_t mask = open[w];
      if (w == from / 64) mask &= ~0ull << from % 64;
      if (w == (to - 1) / 64) mask &= ~0ull >> (63 - (to - 1) % 64);
      if (left >= 0) mask &= ~active[static_cast<std::size_t>(left) * words + w];
      if (right >= 0) mask &= ~active[static_cast<std::size_t>(right) * words + w];
      if (!mask) continue;
      double by = cost;
      if (left >= 0 || right >= 0) {
        const std::int32_t chosen = left < 0 || (right >= 0 && degree_[right] > degree_[left]) ? right : left;
        active[static_cast<std::size_t>(chosen) * words + w] |= mask;
        by = 1;
      }
      for (; mask; mask &= mask - 1) raise(64 * w + std::countr_zero(mask), by);
    }
  };

  for (std::size_t slice = 0; slice < slices; ++slice) {
    const std::size_t stop = (slice + 1) * events_.size() / slices;
    std::fill(touched.begin(), touched.end(), 0);
    for (; next < stop; ++next) {
      const Event& event = events_[next];
      const std::int32_t* q = qubits_.data() + event.start;
      const std::int32_t* window = windows_.data() + event.start;
      for (int k = 0; k < event.count; ++k) entangled[position[q[k]]] = 1;
      if (event.count == 2) {
        const int a = position[q[0]], b = position[q[1]], first = a < b ? 0 : 1;
        const int low = std::min(a, b), high = std::max(a, b);
        segment(low, high, window[first], window[1 - first], event.cost);
        touched[low] += 1, touched[high] -= 1;
        out.updates += high - low;
        continue;
      }
      places.clear();
      for (int k = 0; k < event.count; ++k) places.emplace_back(position[q[k]], window[k]);
      std::sort(places.begin(), places.end());
      const int last = event.count - 1;
      for (int k = 0; k < last; ++k)
        segment(places[k].first, places[k + 1].first, k == 0 ? places[k].second : -1,
                k + 1 == last ? places[k + 1].second : -1,
                event.cost * (event.per_qubit ? std::min(k + 1, last - k) : 1));
      touched[places[0].first] += 1, touched[places[last].first] -= 1;
      out.updates += places[last].first - places[0].first;
    }
    int left = 0, right = 0;
    for (int p = 0; p < n; ++p) right += entangled[p];
    for (int c = 0; c < cuts; ++c) {
      left += entangled[c], right -= entangled[c];
      bound[c] = std::min({raw[c], static_cast<double>(std::min(left, right)), ceiling});
    }
    // A bond is at most twice its neighbors: one qubit lies between.
    for (int c = 1; c < cuts; ++c) bound[c] = std::min(bound[c], bound[c - 1] + 1);
    for (int c = cuts - 1; c-- > 0;) bound[c] = std::min(bound[c], bound[c + 1] + 1);
    double total = 0, before = 0;
    std::int64_t here = 0;
    for (int c = 0; c < cuts; ++c) {
      here += touched[c];
      work += static_cast<double>(here) * std::exp2(3 * bound[c]);
      total += std::exp2(before + bound[c] + 1);
      before = bound[c];
      out.max_log2 = std::max(out.max_log2, bound[c]);
    }
    elements = std::max(elements, total + std::exp2(before + 1));
  }
  out.log2_work = std::log2(std::max(work, 1.0));
  out.log2_elements = std::log2(elements);
  return out;
}

}  // namespace qrex

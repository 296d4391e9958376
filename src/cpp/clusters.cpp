#include "clusters.hpp"

#include <algorithm>
#include <cmath>

namespace qrex::twin {

Clusters::Clusters(int qubits) : cluster_of_(qubits, -1), place_of_(qubits, -1), bit_(qubits, 0) {}

void Clusters::enter(int q) {
  int c;
  if (free_.empty()) {
    c = static_cast<int>(members_.size());
    members_.emplace_back();
    amplitudes_.emplace_back();
  } else {
    c = free_.back();
    free_.pop_back();
  }
  members_[c].assign(1, q);
  amplitudes_[c].assign(2, Amplitude(0));
  amplitudes_[c][bit_[q]] = 1;
  cluster_of_[q] = c, place_of_[q] = 0;
}

void Clusters::apply(int q, const Matrix2& m) {
  if (known(q)) enter(q);
  std::vector<Amplitude>& state = amplitudes_[cluster_of_[q]];
  const std::size_t stride = std::size_t{1} << place_of_[q];
  for (std::size_t base = 0; base < state.size(); base += 2 * stride)
    for (std::size_t k = base; k < base + stride; ++k) {
      const Amplitude zero = state[k], one = state[k + stride];
      state[k] = m[0] * zero + m[1] * one;
      state[k + stride] = m[2] * zero + m[3] * one;
    }
}

void Clusters::apply(int p, int q, const Matrix4& m) {
  std::vector<Amplitude>& state = amplitudes_[cluster_of_[p]];
  const std::size_t bp = std::size_t{1} << place_of_[p], bq = std::size_t{1} << place_of_[q];
  const std::size_t low = std::min(bp, bq), high = std::max(bp, bq);
  for (std::size_t top = 0; top < state.size(); top += 2 * high)
    for (std::size_t middle = top; middle < top + high; middle += 2 * low)
      for (std::size_t k = middle; k < middle + low; ++k) {
        const Amplitude in[4] = {state[k], state[k + bp], state[k + bq], state[k + bp + bq]};
        Amplitude out[4];
        for (int row = 0; row < 4; ++row)
          out[row] = m[4 * row] * in[0] + m[4 * row + 1] * in[1] + m[4 * row + 2] * in[2] + m[4 * row + 3] * in[3];
        state[k] = out[0], state[k + bp] = out[1], state[k + bq] = out[2], state[k + bp + bq] = out[3];
      }
}

void Clusters::scale(int q, Amplitude zero, Amplitude one) {
  std::vector<Amplitude>& state = amplitudes_[cluster_of_[q]];
  const std::size_t stride = std::size_t{1} << place_of_[q];
  for (std::size_t base = 0; base < state.size(); base += 2 * stride)
    for (std::size_t k = base; k < base + stride; ++k) state[k] *= zero, state[k + stride] *= one;
}

void Clusters::phase_both(int p, int q, float angle) {
  std::vector<Amplitude>& state = amplitudes_[cluster_of_[p]];
  const std::size_t mask = std::size_t{1} << place_of_[p] | std::size_t{1} << place_of_[q];
  const Amplitude factor = std::polar(1.0f, angle);
  for (std::size_t k = mask; k < state.size(); k = (k + 1) | mask) state[k] *= factor;
}

void Clusters::join(int p, int q) {
  const int into = cluster_of_[p], from = cluster_of_[q];
  const std::vector<Amplitude>&low = amplitudes_[into], &high = amplitudes_[from];
  scratch_.resize(low.size() * high.size());
  for (std::size_t j = 0; j < high.size(); ++j)
    for (std::size_t k = 0; k < low.size(); ++k) scratch_[j * low.size() + k] = high[j] * low[k];
  amplitudes_[into].swap(scratch_);
  for (const int member : members_[from]) {
    cluster_of_[member] = into;
    place_of_[member] = static_cast<int>(members_[into].size());
    members_[into].push_back(member);
  }
  members_[from].clear();
  free_.push_back(from);
}

double Clusters::weight_of_one(int q) const {
  const std::vector<Amplitude>& state = amplitudes_[cluster_of_[q]];
  const std::size_t stride = std::size_t{1} << place_of_[q];
  double zero = 0, one = 0;
  for (std::size_t base = 0; base < state.size(); base += 2 * stride)
    for (std::size_t k = base; k < base + stride; ++k) zero += std::norm(state[k]), one += std::norm(state[k + stride]);
  return one / (zero + one);
}

void Clusters::fix(int q, int value) {
  if (known(q)) return;
  const int c = cluster_of_[q];
  std::vector<Amplitude>& state = amplitudes_[c];
  std::vector<int>& members = members_[c];
  const std::size_t stride = std::size_t{1} << place_of_[q];
  double norm = 0;
  std::size_t to = 0;
  for (std::size_t base = value ? stride : 0; base < state.size(); base += 2 * stride)
    for (std::size_t k = base; k < base + stride; ++k) norm += std::norm(state[k]), state[to++] = state[k];
  state.resize(to);
  const float factor = static_cast<float>(1 / std::sqrt(norm));
  for (Amplitude& one : state) one *= factor;
  members.erase(members.begin() + place_of_[q]);
  for (std::size_t k = 0; k < members.size(); ++k) place_of_[members[k]] = static_cast<int>(k);
  cluster_of_[q] = -1;
  bit_[q] = static_cast<std::int8_t>(value);
  if (members.empty()) free_.push_back(c);
}

}  // namespace qrex::twin

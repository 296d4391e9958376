// Small state vectors side by side: the qubits of a device that are entangled with each other, and those that are known.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <vector>

namespace qrex::twin {

using Amplitude = std::complex<float>;
using Matrix2 = std::array<Amplitude, 4>;    // row-major
using Matrix4 = std::array<Amplitude, 16>;

// Qubits are either bits (`cluster_of` -1) or in a cluster. Norms are kept up to a factor.
class Clusters {
 public:
  explicit Clusters(int qubits);

  bool known(int q) const { return cluster_of_[q] < 0; }
  int bit(int q) const { return bit_[q]; }
  void set_bit(int q, int value) { bit_[q] = static_cast<std::int8_t>(value); }
  bool together(int p, int q) const { return cluster_of_[p] == cluster_of_[q]; }
  int size(int q) const { return known(q) ? 0 : static_cast<int>(members_[cluster_of_[q]].size()); }
  const std::vector<int>& members(int q) const { return members_[cluster_of_[q]]; }

  void apply(int q, const Matrix2& m);            // a known qubit enters a cluster of its own
  void apply(int p, int q, const Matrix4& m);     // p least significant; both in the same cluster
  void scale(int q, Amplitude zero, Amplitude one);
  void phase_both(int p, int q, float angle);     // exp(i angle) on |11>, in the same cluster
  void join(int p, int q);                        // into one cluster
  double weight_of_one(int q) const;              // probability
  void fix(int q, int value);                     // projects, and forgets the amplitudes of the other value

 private:
  void enter(int q);

  std::vector<int> cluster_of_, place_of_;
  std::vector<std::int8_t> bit_;
  std::vector<std::vector<int>> members_;
  std::vector<std::vector<Amplitude>> amplitudes_;
  std::vector<int> free_;
  std::vector<Amplitude> scratch_;
};

}  // namespace qrex::twin

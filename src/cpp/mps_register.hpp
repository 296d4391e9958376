// Qubits (the wires of a chain): gates not yet carried out, and how qubits come together.
//
// Qubits are not moved back after a gate: their order drifts. One-qubit gates wait until a two-qubit gate takes them
// along; two-qubit gates wait on their pair, so that a swap of the same pair costs no update of its own. Qubits in a
// product state, and whole groups of sites that are not entangled with the rest, change places for nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "mps_chain.hpp"

namespace qrex::mps {

// Who a qubit meets next: its partners in its following gates, nearest first, -1 where there is none.
constexpr int kForesight = 3;
using Partners = std::array<int, kForesight>;

class Register {
 public:
  explicit Register(int num_qubits);

  Chain chain;

  void one(int qubit, const Scalar* matrix);
  // 4 × 4, qubit `a` least significant.
  void two(int a, int b, const Scalar* matrix, const Partners& after_a, const Partners& after_b, LinearAlgebra& algebra);
  // 2^k × 2^k, the first qubit least significant; 3 to 6 qubits.
  void many(std::span<const std::int32_t> qubits, const Scalar* matrix, LinearAlgebra& algebra);
  // `matrix` (2 × 2) on the last qubit where all others are 1, without moving anything.
  void controlled(std::span<const std::int32_t> qubits, const Scalar* matrix, LinearAlgebra& algebra);

  double probability_of_one(int qubit, LinearAlgebra& algebra);
  void project(int qubit, int outcome, double probability, LinearAlgebra& algebra);
  void set_zero(int qubit);  // of a qubit that is alone
  bool alone(int qubit) const;

  void flush(LinearAlgebra& algebra);  // carries out everything that waits
  int site_of(int qubit) const { return chain.at(qubit); }
  std::size_t updates() const { return updates_; }

 private:
  using Matrix2 = std::array<Scalar, 4>;
  using Matrix4 = std::array<Scalar, 16>;

  bool waits(int i) const { return i >= 0 && i + 1 < chain.size() && pair_at_[chain[i].wire] != 0; }
  bool free_site(int i) const { return chain.alone(i) && !waits(i) && !waits(i - 1); }
  bool seam(int i) const { return chain.right_of(i) == 1 && !waits(i); }  // between i and i + 1
  void settle(int i, LinearAlgebra& algebra);         // carries out the gate that waits on sites i and i + 1
  void settle_around(int i, LinearAlgebra& algebra);  // whatever waits and touches site i
  void wait(int i, const Matrix4& matrix, LinearAlgebra& algebra);
  void step(int i, LinearAlgebra& algebra);  // exchanges sites i and i + 1
  double crossing(int i) const;              // price of exchanging sites at the bond right of i
  void meet(int a, int b, const Partners& after_a, const Partners& after_b, LinearAlgebra& algebra);
  void jump(int from, int to, LinearAlgebra& algebra);
  void close_gap(int left, int right, bool move_left, bool may_turn);
  void approach(int wire, int target, LinearAlgebra& algebra);
  void add_up_tolls();
  double way(int from, int to) const;  // price of bringing two sites side by side
  double ahead(int position, const Partners& after) const;

  std::vector<Matrix2> single_;        // waiting on a wire
  std::vector<std::uint8_t> has_single_;
  std::vector<Matrix4> pair_;          // waiting on a wire's site and the next, by the left one's wire
  std::vector<std::uint8_t> pair_at_;
  std::vector<double> toll_;           // price of all bonds left of a site
  int waiting_ = 0;
  std::size_t updates_ = 0;
};

}  // namespace qrex::mps

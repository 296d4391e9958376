// Qubits (the wires of a chain): gates not yet carried out, and how qubits that are apart meet.
//
// One-qubit gates wait until a larger gate takes them along; gates on neighbors wait on their pair, so that a gate or
// swap of the same pair costs no update of its own. Gates between distant qubits that are controlled by one of them
// (in some basis: CX, CP, RZZ, RXX, ECR, ...) gather in a ladder while they share that qubit, and act in one pass
// over the chain without moving anything: the order of qubits, on which bonds depend, stays. Other distant pairs meet
// by swaps and are not moved back.
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
using Matrix2 = std::array<Scalar, 4>;
using Matrix4 = std::array<Scalar, 16>;

// A gate on a shared qubit and a partner as |u⟩⟨u| ⊗ zero + |v⟩⟨v| ⊗ one, u and v being basis number `basis`.
struct Branching {
  int basis = -1;  // -1: no such form
  Matrix2 zero, one;
};

class Register {
 public:
  explicit Register(int num_qubits);

  Chain chain;

  void one(int qubit, const Scalar* matrix);
  // 4 × 4, qubit `a` least significant.
  void two(int a, int b, const Scalar* matrix, const Partners& after_a, const Partners& after_b, LinearAlgebra& algebra);
  // 2^k × 2^k, the first qubit least significant; 3 to 10 qubits.
  void many(std::span<const std::int32_t> qubits, const Scalar* matrix, LinearAlgebra& algebra);
  // `matrix` (2 × 2) on the last qubit where all others are 1, without moving anything.
  void controlled(std::span<const std::int32_t> qubits, const Scalar* matrix, LinearAlgebra& algebra);
  bool side_by_side(std::span<const std::int32_t> qubits) const;

  double probability_of_one(int qubit, LinearAlgebra& algebra);
  void project(int qubit, int outcome, double probability, LinearAlgebra& algebra);
  void set_zero(int qubit);  // of a qubit that is alone
  bool alone(int qubit) const;
  // 0 or 1 where the qubit is surely that and entangled with nothing, else -1.
  int known(int qubit) const;

  bool flush_one(LinearAlgebra& algebra);  // carries out something that waits; whether there was anything
  std::size_t updates() const { return updates_; }

 private:
  // Gates that share a qubit and branch by it in one basis.
  struct Ladder {
    int shared = -1, basis = -1, gates = 0;
    Matrix2 before;  // on the shared qubit
    std::vector<int> partners;
    std::vector<Matrix2> zero, one;
    Matrix4 first;  // its first gate, with the partner on top, while it is the only one: either may be the shared one
    Matrix2 before_first;
    bool open() const { return shared >= 0; }
  };

  bool waits(int i) const { return i >= 0 && i + 1 < chain.size() && pair_at_[chain[i].wire] != 0; }
  bool free_site(int i) const { return chain.alone(i) && !waits(i) && !waits(i - 1) && !in_ladder(chain[i].wire); }
  bool seam(int i) const { return chain.right_of(i) == 1 && !waits(i); }  // between i and i + 1
  bool in_ladder(int qubit) const;
  void settle(int i, LinearAlgebra& algebra);         // carries out the gate that waits on sites i and i + 1
  void settle_around(int i, LinearAlgebra& algebra);  // whatever waits and touches site i
  void settle_single(int qubit);
  void settle_ladder(LinearAlgebra& algebra);
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
  Matrix2 taken_single(int qubit);
  bool join_ladder(int shared, int partner, const Matrix4& gate, LinearAlgebra& algebra);
  bool start_ladder(int shared, int partner, const Matrix4& gate, LinearAlgebra& algebra);
  void turn_ladder();

  std::vector<Matrix2> single_;  // waiting on a wire
  std::vector<std::uint8_t> has_single_;
  std::vector<Matrix4> pair_;    // waiting on a wire's site and the next, by the left one's wire
  std::vector<std::uint8_t> pair_at_;
  std::vector<double> toll_;     // price of all bonds left of a site
  Ladder ladder_;
  int waiting_ = 0;
  std::size_t updates_ = 0;
};

// How a gate (4 × 4, the shared qubit least significant) branches by its shared qubit.
Branching branching(const Matrix4& gate, int basis);
// Exchanges the two qubits of a gate.
Matrix4 turned(const Matrix4& gate);
Matrix2 product(const Matrix2& a, const Matrix2& b);
Matrix4 product(const Matrix4& a, const Matrix4& b);

}  // namespace qrex::mps

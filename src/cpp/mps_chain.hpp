// A matrix product state as a chain of sites in right-canonical form, with the Schmidt weights of every bond.
//
// Site tensors are B[left][bit][right], row by row; Σ B B† = 1 over bit and right. Weights are never divided by
// (Hastings, arXiv:0903.3253): an update of sites i, i+1 forms C = gate · B_i B_{i+1} and θ = weights · C, takes the
// right singular vectors V of θ, and sets B_{i+1} = V, B_i = C V†. Right bases stay contractions and left Gram
// matrices stay below the squared weights when θ is truncated, so each discarded weight bounds the squared norm of
// what the state lost, and errors add up at most linearly: the infidelity is at most (Σ √discarded)².
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "mps_linear_algebra.hpp"

namespace qrex::mps {

struct Site {
  Buffer tensor;
  int left = 1, right = 1;
  std::vector<double> weights{1.0};  // of the bond to the left
  int wire = 0;
};

// A square matrix by its nonzero entries, in rows.
struct Entries {
  std::vector<std::int16_t> row, column;
  std::vector<Scalar> value;
  Entries() = default;
  Entries(const Scalar* matrix, int dim);
};

class Chain {
 public:
  explicit Chain(int num_sites);

  int size() const { return static_cast<int>(sites_.size()); }
  const Site& operator[](int i) const { return sites_[i]; }
  int right_of(int i) const { return sites_[i].right; }
  int at(int wire) const { return at_[wire]; }  // where a wire's site stands
  int largest_bond() const;
  std::size_t bytes() const;
  double lost() const { return lost_; }  // Σ √discarded weight
  bool limited() const { return limited_; }

  void set_limits(const Threshold& threshold, int bond_limit, std::size_t memory_bytes) {
    threshold_ = threshold, bond_limit_ = bond_limit, memory_bytes_ = memory_bytes;
  }
  void name_wires(int left, int right);  // exchanges the wires of two sites

  void one(int i, const Scalar* matrix);
  // 4 × 4 on sites i and i+1, index = 2 · bit of site i + bit of site i+1.
  void two(int i, const Scalar* matrix, LinearAlgebra& algebra);
  // On `count` consecutive sites from i, the bit of site i most significant.
  void many(int i, int count, const Entries& matrix, LinearAlgebra& algebra);
  // Π zero[k] + Π one[k], a unitary, on sites first, first + 1, …; factors are 2 × 2, the identity where null. No
  // site moves. The left Gram matrices of both products are known before anything is cut, so that each site is
  // decomposed once, right to left, under its exact weights.
  void sum(int first, std::span<const Scalar* const> zero, std::span<const Scalar* const> one, LinearAlgebra& algebra);

  // Sites in a product state stand between bonds of 1.
  bool alone(int i) const { return sites_[i].left == 1 && sites_[i].right == 1; }
  // Moves sites first … last − 1 behind last … end − 1; all three bonds at the seams are 1.
  void exchange(int first, int last, int end);
  // Moves a site that is alone so that it stands at `to` of the new chain, inside a bond of any size.
  void insert(int from, int to);

  double probability_of_one(int i) const;
  // Projects site i on an outcome of that probability; the site then stands alone.
  void project(int i, int outcome, double probability, LinearAlgebra& algebra);
  void set_alone(int i, Scalar zero, Scalar one);
  // Makes the form exact again after truncations, and the norm 1.
  void restore(LinearAlgebra& algebra);

 private:
  void need(std::size_t bytes) const;
  Threshold threshold() const;  // of the next decomposition
  void renumber(int from, int to);
  void orthonormalize(int first, int last, LinearAlgebra& algebra);  // right to left; site `first` absorbs
  void reweigh(int first, int last, bool settle, LinearAlgebra& algebra);   // left to right, bonds right of the sites
  const Scalar* acted(int i, const Scalar* factor, Buffer& out) const;
  Split split(int m, int n, int hint, Buffer& v, LinearAlgebra& algebra);
  void resized(const Site& site, std::ptrdiff_t sign) { elements_ += sign * static_cast<std::ptrdiff_t>(site.tensor.size()); }

  std::vector<Site> sites_;
  std::vector<int> at_;
  Threshold threshold_;
  double lost_ = 0;
  int bond_limit_ = 1 << 30;
  std::size_t memory_bytes_ = ~std::size_t{0};
  std::ptrdiff_t elements_ = 0;
  bool limited_ = false;
  Scratch pair_, theta_, rows_, left_;
  Scratch both_, weighed_, next_, density_;
  std::vector<Scratch> grams_;         // of `sum`: three blocks per bond
  std::vector<double> values_;
};

}  // namespace qrex::mps

// Sums of two products of one-site operators applied to a chain, in place (the density-matrix algorithm).
#include <algorithm>
#include <cmath>

#include "mps_chain.hpp"

namespace qrex::mps {

// The tensor of site i under a factor on its bit.
const Scalar* Chain::acted(int i, const Scalar* u, Buffer& out) const {
  const Site& site = sites_[i];
  if (!u) return site.tensor.data();
  out.resize(site.tensor.size());
  const int r = site.right;
  for (int a = 0; a < site.left; ++a) {
    const Scalar *x = site.tensor.data() + static_cast<std::size_t>(a) * 2 * r, *y = x + r;
    Scalar *p = out.data() + static_cast<std::size_t>(a) * 2 * r, *q = p + r;
    for (int b = 0; b < r; ++b) p[b] = u[0] * x[b] + u[1] * y[b], q[b] = u[2] * x[b] + u[3] * y[b];
  }
  return out.data();
}

void Chain::sum(int first, std::span<const Scalar* const> zero, std::span<const Scalar* const> one,
                LinearAlgebra& algebra) {
  const int count = static_cast<int>(zero.size()), last = first + count - 1;
  std::size_t extra = 0, most = 0;
  for (int i = first; i <= last; ++i) {
    const std::size_t r = sites_[i].right;
    extra += 3 * r * r;
    most = std::max(most, std::max<std::size_t>(sites_[i].left, r));
  }
  if (most > 32) need(sizeof(Scalar) * (extra + 28 * most * most) + LinearAlgebra::split_bytes(4 * most, 4 * most));
  if (grams_.size() < zero.size()) grams_.resize(zero.size());
  Buffer &acted_zero = pair_, &acted_one = theta_;
  // Gram matrices of the left parts: blocks (zero, zero), (zero, one), (one, one) of the bond right of each site.
  for (int k = 0; k + 1 < count; ++k) {
    const Site& site = sites_[first + k];
    const int l = site.left, r = site.right;
    const std::size_t block = static_cast<std::size_t>(r) * r, old = static_cast<std::size_t>(l) * l;
    const Scalar *x = acted(first + k, zero[k], acted_zero), *y = acted(first + k, one[k], acted_one);
    grams_[k].resize(3 * block);
    rows_.resize(static_cast<std::size_t>(2) * l * r);
    for (int part = 0; part < 3; ++part) {
      const Scalar *bra = part < 2 ? x : y, *ket = part < 1 ? x : y;
      if (k == 0) {
        for (int a = 0; a < l; ++a) {
          const double w = site.weights[a] * site.weights[a];
          for (int b = 0; b < 2 * r; ++b) rows_[static_cast<std::size_t>(a) * 2 * r + b] = w * ket[static_cast<std::size_t>(a) * 2 * r + b];
        }
      } else {
        algebra.multiply(l, l, 2 * r, grams_[k - 1].data() + part * old, ket, rows_.data());
      }
      algebra.adjoint_multiply(r, 2 * l, r, bra, rows_.data(), grams_[k].data() + part * block);
    }
  }
  // `both` holds the two parts of what is right of the bond, one below the other.
  Buffer &both = both_, &weighed = weighed_, &next = next_, &density = density_;
  int width = 0;
  for (int k = count - 1; k >= 0; --k) {
    const int i = first + k;
    Site& site = sites_[i];
    const int l = site.left, r = site.right;
    const Scalar *x = acted(i, zero[k], acted_zero), *y = acted(i, one[k], acted_one);
    if (k == count - 1) {
      width = 2 * r;
      both.resize(static_cast<std::size_t>(2) * l * width);
      std::copy(x, x + l * width, both.data());
      std::copy(y, y + l * width, both.data() + static_cast<std::size_t>(l) * width);
    } else {
      const int rank = width;  // of the bond right of this site, after its decomposition
      next.resize(static_cast<std::size_t>(4) * l * rank);
      algebra.multiply(2 * l, r, rank, x, both.data(), next.data());
      algebra.multiply(2 * l, r, rank, y, both.data() + static_cast<std::size_t>(r) * rank, next.data() + static_cast<std::size_t>(2) * l * rank);
      both.swap(next);
      width = 2 * rank;
    }
    if (k == 0) {
      resized(site, -1);
      const std::size_t size = static_cast<std::size_t>(l) * width;
      site.tensor.resize(size);
      for (std::size_t e = 0; e < size; ++e) site.tensor[e] = both[e] + both[size + e];
      resized(site, 1);
      site.right = width / 2;
      break;
    }
    const std::size_t block = static_cast<std::size_t>(l) * l, half = static_cast<std::size_t>(l) * width;
    const Scalar* gram = grams_[k - 1].data();
    weighed.resize(2 * half);
    next.resize(half);
    algebra.multiply(l, l, width, gram, both.data(), weighed.data());
    algebra.multiply(l, l, width, gram + block, both.data() + half, next.data());
    for (std::size_t e = 0; e < half; ++e) weighed[e] += next[e];
    algebra.multiply(l, l, width, gram + 2 * block, both.data() + half, weighed.data() + half);
    algebra.adjoint_multiply(l, l, width, gram + block, both.data(), next.data());
    for (std::size_t e = 0; e < half; ++e) weighed[half + e] += next[e];
    density.resize(static_cast<std::size_t>(width) * width);
    algebra.adjoint_multiply(width, 2 * l, width, both.data(), weighed.data(), density.data());
    const Split found = algebra.split_density(density.data(), width, threshold(), bond_limit_, rows_, values_);
    lost_ += std::sqrt(found.discarded);
    limited_ |= found.limited;
    next.resize(static_cast<std::size_t>(2) * l * found.rank);
    algebra.multiply_adjoint(2 * l, width, found.rank, both.data(), rows_.data(), next.data());
    both.swap(next);
    resized(site, -1);
    site.tensor.resize(rows_.size());
    std::copy(rows_.data(), rows_.data() + rows_.size(), site.tensor.data());
    resized(site, 1);
    site.left = found.rank;
    if (k + 1 < count) site.right = width / 2;
    site.weights = values_;
    width = found.rank;
  }
}

}  // namespace qrex::mps

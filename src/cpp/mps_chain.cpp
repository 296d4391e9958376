#include "mps_chain.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace qrex::mps {
namespace {

constexpr double kSettled = 1e-13;  // change of a Gram matrix that counts as none

// Where a matrix acts on the middle index of [outer][dim][inner].
void apply(const Entries& matrix, int outer, int dim, int inner, const Scalar* in, Scalar* out) {
  const std::size_t block = static_cast<std::size_t>(dim) * inner;
  std::fill(out, out + outer * block, Scalar{});
  for (int a = 0; a < outer; ++a)
    for (std::size_t e = 0; e < matrix.value.size(); ++e) {
      const Scalar value = matrix.value[e];
      const Scalar* from = in + a * block + static_cast<std::size_t>(matrix.column[e]) * inner;
      Scalar* to = out + a * block + static_cast<std::size_t>(matrix.row[e]) * inner;
      for (int b = 0; b < inner; ++b) to[b] += value * from[b];
    }
}

void apply_pair(const Scalar* u, int outer, int inner, Scalar* pair) {
  for (int a = 0; a < outer; ++a) {
    Scalar* x = pair + static_cast<std::size_t>(a) * 4 * inner;
    for (int b = 0; b < inner; ++b) {
      const Scalar p = x[b], q = x[b + inner], r = x[b + 2 * inner], s = x[b + 3 * inner];
      x[b] = u[0] * p + u[1] * q + u[2] * r + u[3] * s;
      x[b + inner] = u[4] * p + u[5] * q + u[6] * r + u[7] * s;
      x[b + 2 * inner] = u[8] * p + u[9] * q + u[10] * r + u[11] * s;
      x[b + 3 * inner] = u[12] * p + u[13] * q + u[14] * r + u[15] * s;
    }
  }
}

// out = weights · in, over rows of `length`.
void weigh(const std::vector<double>& weights, int length, const Scalar* in, Scalar* out) {
  for (std::size_t a = 0; a < weights.size(); ++a) {
    const double w = weights[a];
    for (int k = 0; k < length; ++k) out[a * length + k] = w * in[a * length + k];
  }
}

}  // namespace

Entries::Entries(const Scalar* matrix, int dim) {
  for (int r = 0; r < dim; ++r)
    for (int c = 0; c < dim; ++c)
      if (matrix[r * dim + c] != Scalar{}) {
        row.push_back(static_cast<std::int16_t>(r));
        column.push_back(static_cast<std::int16_t>(c));
        value.push_back(matrix[r * dim + c]);
      }
}

Chain::Chain(int num_sites) : sites_(num_sites), at_(num_sites), elements_(2 * num_sites) {
  for (int i = 0; i < num_sites; ++i) {
    sites_[i].tensor.resize(2);
    sites_[i].tensor[0] = 1, sites_[i].tensor[1] = 0;
    sites_[i].wire = at_[i] = i;
  }
}

int Chain::largest_bond() const {
  int most = 1;
  for (const Site& site : sites_) most = std::max(most, site.right);
  return most;
}

std::size_t Chain::bytes() const {
  return sizeof(Scalar) * static_cast<std::size_t>(elements_) + sites_.size() * sizeof(Site) + pair_.bytes() +
         theta_.bytes() + rows_.bytes() + left_.bytes();
}

void Chain::need(std::size_t extra) const {
  const std::size_t held = sizeof(Scalar) * static_cast<std::size_t>(elements_);
  if (held + extra > memory_bytes_) throw std::bad_alloc();
}

void Chain::renumber(int from, int to) {
  for (int i = from; i < to; ++i) at_[sites_[i].wire] = i;
}

void Chain::name_wires(int left, int right) {
  std::swap(sites_[left].wire, sites_[right].wire);
  at_[sites_[left].wire] = left, at_[sites_[right].wire] = right;
}

void Chain::one(int i, const Scalar* u) {
  Site& site = sites_[i];
  for (int a = 0; a < site.left; ++a) {
    Scalar *x = site.tensor.data() + static_cast<std::size_t>(a) * 2 * site.right, *y = x + site.right;
    for (int b = 0; b < site.right; ++b) {
      const Scalar p = x[b], q = y[b];
      x[b] = u[0] * p + u[1] * q;
      y[b] = u[2] * p + u[3] * q;
    }
  }
}

Threshold Chain::threshold() const {
  Threshold out = threshold_;
  const double left = out.budget > 0 ? std::clamp(4 * (1 - lost_ / out.budget), 0.0, 1.0) : 0.0;
  out.fine = std::max(out.fine, out.relaxed * left * left * left * left * left * left);
  return out;
}

Split Chain::split(int m, int n, int hint, Buffer& v, LinearAlgebra& algebra) {
  const Split found = algebra.split(theta_.data(), m, n, threshold(), bond_limit_, hint, v, values_);
  lost_ += std::sqrt(found.discarded);
  limited_ |= found.limited;
  return found;
}

void Chain::two(int i, const Scalar* u, LinearAlgebra& algebra) {
  Site &x = sites_[i], &y = sites_[i + 1];
  const int l = x.left, c = x.right, r = y.right;
  const std::size_t size = static_cast<std::size_t>(4) * l * r;
  if (size > 4096) need(sizeof(Scalar) * 3 * size + LinearAlgebra::split_bytes(2 * l, 2 * r));
  pair_.resize(size);
  algebra.multiply(2 * l, c, 2 * r, x.tensor.data(), y.tensor.data(), pair_.data());
  apply_pair(u, l, r, pair_.data());
  theta_.resize(size);
  weigh(x.weights, 4 * r, pair_.data(), theta_.data());
  const int rank = split(2 * l, 2 * r, c, rows_, algebra).rank;
  resized(x, -1), resized(y, -1);
  y.tensor.resize(rows_.size());
  std::copy(rows_.data(), rows_.data() + rows_.size(), y.tensor.data());
  x.tensor.resize(static_cast<std::size_t>(2) * l * rank);
  algebra.multiply_adjoint(2 * l, 2 * r, rank, pair_.data(), rows_.data(), x.tensor.data());
  resized(x, 1), resized(y, 1);
  x.right = y.left = rank;
  y.weights = values_;
}

void Chain::many(int i, int count, const Entries& matrix, LinearAlgebra& algebra) {
  const int l = sites_[i].left, r = sites_[i + count - 1].right, dim = 1 << count;
  const std::size_t size = static_cast<std::size_t>(l) * dim * r;
  need(sizeof(Scalar) * 3 * size + LinearAlgebra::split_bytes(l * dim / 2, 2 * r));
  pair_ = sites_[i].tensor;
  int rows = 2 * l;
  for (int k = 1; k < count; ++k) {
    const Site& next = sites_[i + k];
    theta_.resize(static_cast<std::size_t>(rows) * 2 * next.right);
    algebra.multiply(rows, next.left, 2 * next.right, pair_.data(), next.tensor.data(), theta_.data());
    pair_.swap(theta_);
    rows *= 2;
  }
  theta_.resize(size);
  apply(matrix, l, dim, r, pair_.data(), theta_.data());
  pair_.swap(theta_);
  int right = r;
  for (int k = count - 1; k > 0; --k) {
    const int m = l << k, n = 2 * right;
    theta_.resize(static_cast<std::size_t>(m) * n);
    weigh(sites_[i].weights, (m / l) * n, pair_.data(), theta_.data());
    const int rank = split(m, n, 0, rows_, algebra).rank;
    Site& site = sites_[i + k];
    resized(site, -1);
    site.tensor.resize(rows_.size());
    std::copy(rows_.data(), rows_.data() + rows_.size(), site.tensor.data());
    resized(site, 1);
    site.left = rank, site.right = right;
    site.weights = values_;
    theta_.resize(static_cast<std::size_t>(m) * rank);
    algebra.multiply_adjoint(m, n, rank, pair_.data(), rows_.data(), theta_.data());
    pair_.swap(theta_);
    right = rank;
  }
  Site& first = sites_[i];
  resized(first, -1);
  first.tensor = pair_;
  resized(first, 1);
  first.right = right;
}

void Chain::orthonormalize(int first, int last, LinearAlgebra& algebra) {
  for (int i = last; i > first; --i) {
    Site &site = sites_[i], &before = sites_[i - 1];
    theta_ = site.tensor;
    resized(site, -1), resized(before, -1);
    const int rank = algebra.orthonormal_rows(theta_.data(), site.left, 2 * site.right, left_, site.tensor);
    pair_.resize(static_cast<std::size_t>(2) * before.left * rank);
    algebra.multiply(2 * before.left, site.left, rank, before.tensor.data(), left_.data(), pair_.data());
    before.tensor.resize(pair_.size());
    std::copy(pair_.data(), pair_.data() + pair_.size(), before.tensor.data());
    resized(site, 1), resized(before, 1);
    before.right = site.left = rank;
  }
}

void Chain::reweigh(int first, int last, bool settle, LinearAlgebra& algebra) {
  for (int i = first; i <= last; ++i) {
    Site &site = sites_[i], &next = sites_[i + 1];
    const int l = site.left, r = site.right;
    theta_.resize(site.tensor.size());
    weigh(site.weights, 2 * r, site.tensor.data(), theta_.data());
    if (settle) {
      // Where the left part's Gram matrix is what it was, nothing further right has changed.
      pair_.resize(static_cast<std::size_t>(r) * r);
      algebra.adjoint_multiply(r, 2 * l, r, theta_.data(), theta_.data(), pair_.data());
      double change = 0;
      for (int a = 0; a < r; ++a)
        for (int b = 0; b < r; ++b) {
          const double was = a == b ? next.weights[a] * next.weights[a] : 0.0;
          change = std::max(change, std::abs(pair_[static_cast<std::size_t>(a) * r + b] - was));
        }
      if (change <= kSettled) return;
    }
    const int rank = split(2 * l, r, 0, rows_, algebra).rank;
    resized(site, -1), resized(next, -1);
    pair_.resize(static_cast<std::size_t>(2) * l * rank);
    algebra.multiply_adjoint(2 * l, r, rank, site.tensor.data(), rows_.data(), pair_.data());
    site.tensor = pair_;
    pair_.resize(static_cast<std::size_t>(rank) * 2 * next.right);
    algebra.multiply(rank, r, 2 * next.right, rows_.data(), next.tensor.data(), pair_.data());
    next.tensor = pair_;
    resized(site, 1), resized(next, 1);
    site.right = next.left = rank;
    next.weights = values_;
  }
}

void Chain::exchange(int first, int last, int end) {
  std::rotate(sites_.begin() + first, sites_.begin() + last, sites_.begin() + end);
  renumber(first, end);
}

void Chain::insert(int from, int to) {
  if (from < to) std::rotate(sites_.begin() + from, sites_.begin() + from + 1, sites_.begin() + to + 1);
  else std::rotate(sites_.begin() + to, sites_.begin() + from, sites_.begin() + from + 1);
  Site& site = sites_[to];
  const int bond = to > 0 ? sites_[to - 1].right : 1;
  resized(site, -1);
  const Scalar zero = site.tensor[0], one = site.tensor[1];
  site.tensor.resize(static_cast<std::size_t>(2) * bond * bond);
  std::fill(site.tensor.data(), site.tensor.data() + site.tensor.size(), Scalar{});
  for (int a = 0; a < bond; ++a) {
    site.tensor[(static_cast<std::size_t>(a) * 2) * bond + a] = zero;
    site.tensor[(static_cast<std::size_t>(a) * 2 + 1) * bond + a] = one;
  }
  resized(site, 1);
  site.left = site.right = bond;
  site.weights = to + 1 < size() ? sites_[to + 1].weights : std::vector<double>{1.0};
  renumber(std::min(from, to), std::max(from, to) + 1);
}

double Chain::probability_of_one(int i) const {
  const Site& site = sites_[i];
  double p[2] = {0, 0};
  for (int a = 0; a < site.left; ++a)
    for (int s = 0; s < 2; ++s) {
      double sum = 0;
      const Scalar* x = site.tensor.data() + (static_cast<std::size_t>(a) * 2 + s) * site.right;
      for (int b = 0; b < site.right; ++b) sum += std::norm(x[b]);
      p[s] += site.weights[a] * site.weights[a] * sum;
    }
  return p[1] / (p[0] + p[1]);
}

void Chain::set_alone(int i, Scalar zero, Scalar one) {
  sites_[i].tensor[0] = zero, sites_[i].tensor[1] = one;
}

void Chain::project(int i, int outcome, double probability, LinearAlgebra& algebra) {
  Site& site = sites_[i];
  const int l = site.left, r = site.right;
  if (l > 1 || r > 1) {
    const double scale = 1 / std::sqrt(probability);
    Buffer kept(static_cast<std::size_t>(l) * r);
    for (int a = 0; a < l; ++a)
      for (int b = 0; b < r; ++b)
        kept[static_cast<std::size_t>(a) * r + b] = scale * site.tensor[(static_cast<std::size_t>(a) * 2 + outcome) * r + b];
    // The site leaves: what remains of it goes into a neighbor.
    const bool right_end = i + 1 == size();
    Site& other = sites_[right_end ? i - 1 : i + 1];
    resized(site, -1), resized(other, -1);
    if (right_end) {
      pair_.resize(static_cast<std::size_t>(2) * other.left * r);
      algebra.multiply(2 * other.left, l, r, other.tensor.data(), kept.data(), pair_.data());
      other.right = r;
    } else {
      pair_.resize(static_cast<std::size_t>(l) * 2 * other.right);
      algebra.multiply(l, r, 2 * other.right, kept.data(), other.tensor.data(), pair_.data());
      other.left = l;
      other.weights = site.weights;
    }
    other.tensor = pair_;
    site.tensor.resize(2);
    site.left = site.right = 1;
    site.weights = {1.0};
    resized(site, 1), resized(other, 1);
    // It stands alone at the nearest seam to its left.
    int seam = i;
    while (seam > 0 && sites_[seam - 1].right > 1) --seam;
    if (right_end) seam = i;
    std::rotate(sites_.begin() + seam, sites_.begin() + i, sites_.begin() + i + 1);
    renumber(seam, i + 1);
    const int changed = right_end ? i - 1 : i + 1;  // the site that took it, at its new place
    const int from = right_end ? i - 1 : i + 1;
    int start = from;
    while (start > 0 && sites_[start].left > 1) --start;
    orthonormalize(start, changed, algebra);
    int end = changed;
    while (end + 1 < size() && sites_[end].right > 1) ++end;
    // Left of the change bonds must be weighed anew; right of it until they settle.
    if (changed > start) reweigh(start, changed - 1, false, algebra);
    if (end > changed) reweigh(changed, end - 1, true, algebra);
    i = seam;
  }
  set_alone(i, outcome == 0 ? 1.0 : 0.0, outcome == 1 ? 1.0 : 0.0);
}

void Chain::restore(LinearAlgebra& algebra) {
  if (sites_.empty()) return;
  orthonormalize(0, size() - 1, algebra);
  Site& first = sites_.front();
  double norm = 0;
  for (std::size_t k = 0; k < first.tensor.size(); ++k) norm += std::norm(first.tensor[k]);
  for (std::size_t k = 0; k < first.tensor.size(); ++k) first.tensor[k] /= std::sqrt(norm);
  first.weights = {1.0};
  reweigh(0, size() - 2, false, algebra);
}

}  // namespace qrex::mps

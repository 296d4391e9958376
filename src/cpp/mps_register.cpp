#include "mps_register.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qrex::mps {
namespace {

// Price of an update across a bond, in updates of the smallest kind.
constexpr double kCubicShare = 0.1;
// Weight of later gates in the choice of a meeting place, per gate further ahead.
constexpr double kDiscount = 0.6;
constexpr double kCertain = 1e-28;  // squared amplitude that counts as none

constexpr Matrix2 kNothing{1, 0, 0, 1};

}  // namespace

Register::Register(int num_qubits)
    : chain(num_qubits), single_(num_qubits), has_single_(num_qubits), pair_(num_qubits),
      pair_at_(num_qubits) {
}

void Register::one(int qubit, const Scalar* m) {
  const Matrix2 gate{m[0], m[1], m[2], m[3]};
  single_[qubit] = has_single_[qubit] ? product(gate, single_[qubit]) : gate;
  has_single_[qubit] = 1;
}

void Register::settle(int i, LinearAlgebra& algebra) {
  const int w = chain[i].wire;
  pair_at_[w] = 0;
  --waiting_;
  ++updates_;
  chain.two(i, pair_[w].data(), algebra);
}

void Register::settle_around(int i, LinearAlgebra& algebra) {
  if (waits(i)) settle(i, algebra);
  if (waits(i - 1)) settle(i - 1, algebra);
}

void Register::wait(int i, const Matrix4& matrix, LinearAlgebra& algebra) {
  const int w = chain[i].wire;
  if (pair_at_[w]) {
    pair_[w] = product(matrix, pair_[w]);
    return;
  }
  if (in_ladder(w) || in_ladder(chain[i + 1].wire)) settle_ladder(algebra);
  if (waits(i - 1)) settle(i - 1, algebra);
  if (waits(i + 1)) settle(i + 1, algebra);
  pair_[w] = matrix;
  pair_at_[w] = 1;
  ++waiting_;
}

void Register::step(int i, LinearAlgebra& algebra) {
  static constexpr Matrix4 kSwap{1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
  wait(i, kSwap, algebra);
  const int left = chain[i].wire, right = chain[i + 1].wire;
  std::swap(pair_[left], pair_[right]);
  std::swap(pair_at_[left], pair_at_[right]);
  chain.name_wires(i, i + 1);
}

double Register::crossing(int i) const {
  const double bond = chain.right_of(i);
  return 1 + kCubicShare * bond * bond * bond;
}

void Register::add_up_tolls() {
  toll_.resize(chain.size());
  double sum = 0;
  for (int k = 0; k < chain.size(); ++k) {
    toll_[k] = sum;
    sum += crossing(k);
  }
}

double Register::way(int from, int to) const {
  if (from > to) std::swap(from, to);
  return from == to ? 0 : toll_[to - 1] - toll_[from];
}

double Register::ahead(int position, const Partners& after) const {
  double price = 0, weight = kDiscount;
  for (const int partner : after) {
    if (partner < 0) break;
    price += weight * way(position, chain.at(partner));
    weight *= kDiscount;
  }
  return price;
}

void Register::jump(int from, int to, LinearAlgebra& algebra) {
  // `to` is an index of the new chain: the bond it enters must not have a gate waiting across it.
  const int seam = from < to ? to : to - 1;
  if (waits(seam)) settle(seam, algebra);
  chain.insert(from, to);
}

// Where two sites are not entangled with each other: brings the group of entangled sites around the one next to that
// around the other. With `may_turn` the right group may also go to the left of the left one.
void Register::close_gap(int left, int right, bool move_left, bool may_turn) {
  int first_seam = -1, last_seam = -1;
  for (int k = left; k < right; ++k)
    if (seam(k)) {
      if (first_seam < 0) first_seam = k;
      last_seam = k;
    }
  if (first_seam < 0) return;
  int end = right;
  while (end + 1 < chain.size() && !seam(end)) ++end;
  int start = left;
  while (start > 0 && !seam(start - 1)) --start;
  if (may_turn) {
    double straight = 0, turned = 0;
    for (int k = left; k < first_seam; ++k) straight += crossing(k);
    for (int k = last_seam + 1; k < right; ++k) straight += crossing(k);
    for (int k = start; k < left; ++k) turned += crossing(k);
    for (int k = right; k < end; ++k) turned += crossing(k);
    if (turned < straight) {
      chain.exchange(start, last_seam + 1, end + 1);
      return;
    }
  }
  if (last_seam == first_seam) return;
  if (move_left) chain.exchange(start, first_seam + 1, last_seam + 1);
  else chain.exchange(first_seam + 1, last_seam + 1, end + 1);
}

void Register::meet(int a, int b, const Partners& after_a, const Partners& after_b, LinearAlgebra& algebra) {
  const auto apart = [&] { return std::abs(chain.at(a) - chain.at(b)) > 1; };
  if (!apart()) return;
  add_up_tolls();
  const bool free_a = free_site(chain.at(a)), free_b = free_site(chain.at(b));
  if (free_a || free_b) {
    bool move_a = free_a;
    if (free_a && free_b) move_a = ahead(chain.at(b), after_a) <= ahead(chain.at(a), after_b);
    const int from = chain.at(move_a ? a : b), target = chain.at(move_a ? b : a);
    jump(from, from < target ? target - 1 : target + 1, algebra);
    return;
  }
  close_gap(std::min(chain.at(a), chain.at(b)), std::max(chain.at(a), chain.at(b)), false, true);
  if (!apart()) return;
  add_up_tolls();
  const bool a_left = chain.at(a) < chain.at(b);
  const int left = std::min(chain.at(a), chain.at(b)), right = std::max(chain.at(a), chain.at(b));
  const Partners &of_left = a_left ? after_a : after_b, &of_right = a_left ? after_b : after_a;
  double best = std::numeric_limits<double>::infinity();
  int place = left;
  for (int m = left; m < right; ++m) {  // the left one ends at m, the right one at m + 1
    const double price = -crossing(m) + ahead(m, of_left) + ahead(m + 1, of_right);
    if (price < best) best = price, place = m;
  }
  for (int k = left; k < place; ++k) step(k, algebra);
  for (int k = right - 1; k > place; --k) step(k, algebra);
}

// Moves one wire next to another, staying on its side of it.
void Register::approach(int wire, int target, LinearAlgebra& algebra) {
  const bool from_left = chain.at(wire) < chain.at(target);
  const auto apart = [&] { return std::abs(chain.at(wire) - chain.at(target)) > 1; };
  if (!apart()) return;
  if (free_site(chain.at(wire))) {
    jump(chain.at(wire), from_left ? chain.at(target) - 1 : chain.at(target) + 1, algebra);
    return;
  }
  close_gap(std::min(chain.at(wire), chain.at(target)), std::max(chain.at(wire), chain.at(target)), from_left, false);
  while (apart()) {
    if (from_left) step(chain.at(wire), algebra);
    else step(chain.at(wire) - 1, algebra);
  }
}

void Register::two(int a, int b, const Scalar* matrix, const Partners& after_a, const Partners& after_b,
                   LinearAlgebra& algebra) {
  Matrix4 gate;
  std::copy(matrix, matrix + 16, gate.begin());
  if (ladder_.open() && join_ladder(a, b, gate, algebra)) return;
  if (ladder_.open() && (in_ladder(a) || in_ladder(b))) settle_ladder(algebra);
  if (std::abs(chain.at(a) - chain.at(b)) > 1) {
    if (start_ladder(a, b, gate, algebra)) return;
    meet(a, b, after_a, after_b, algebra);
  }
  const bool a_left = chain.at(a) < chain.at(b);
  const int left = a_left ? a : b, right = a_left ? b : a;
  if (a_left) gate = turned(gate);  // sites have the left bit on top
  if (has_single_[left] || has_single_[right]) {
    const Matrix2 x = taken_single(left), y = taken_single(right);
    Matrix4 both;
    for (int r = 0; r < 4; ++r)
      for (int c = 0; c < 4; ++c) both[4 * r + c] = x[(r >> 1) * 2 + (c >> 1)] * y[(r & 1) * 2 + (c & 1)];
    gate = product(gate, both);
  }
  wait(chain.at(left), gate, algebra);
}

bool Register::side_by_side(std::span<const std::int32_t> qubits) const {
  int first = chain.size(), last = -1;
  for (const int q : qubits) first = std::min(first, chain.at(q)), last = std::max(last, chain.at(q));
  return last - first + 1 == static_cast<int>(qubits.size());
}

void Register::many(std::span<const std::int32_t> qubits, const Scalar* matrix, LinearAlgebra& algebra) {
  settle_ladder(algebra);
  const int count = static_cast<int>(qubits.size()), dim = 1 << count;
  std::vector<int> placed(qubits.begin(), qubits.end());
  std::sort(placed.begin(), placed.end(), [&](int x, int y) { return chain.at(x) < chain.at(y); });
  int anchor = count / 2;  // free ones come to the others: the anchor is one that is not
  for (int k = 0; k < count && free_site(chain.at(placed[anchor])); ++k) anchor = (anchor + 1) % count;
  for (int k = anchor; k > 0; --k) approach(placed[k - 1], placed[k], algebra);
  for (int k = anchor; k + 1 < count; ++k) approach(placed[k + 1], placed[k], algebra);
  const int first = chain.at(placed[0]);
  std::vector<int> bit(count);  // of the matrix, for the site first + k
  for (int k = 0; k < count; ++k) {
    const int w = placed[k];
    settle_around(first + k, algebra);
    settle_single(w);
    bit[k] = static_cast<int>(std::find(qubits.begin(), qubits.end(), w) - qubits.begin());
  }
  std::vector<int> place(dim, 0);  // index of the matrix for an index of the sites
  for (int x = 0; x < dim; ++x)
    for (int k = 0; k < count; ++k) place[x] |= (x >> (count - 1 - k) & 1) << bit[k];
  std::vector<Scalar> ordered(static_cast<std::size_t>(dim) * dim);
  for (int r = 0; r < dim; ++r)
    for (int c = 0; c < dim; ++c)
      ordered[static_cast<std::size_t>(r) * dim + c] = matrix[static_cast<std::size_t>(place[r]) * dim + place[c]];
  updates_ += count - 1;
  chain.many(first, count, Entries(ordered.data(), dim), algebra);
}

void Register::controlled(std::span<const std::int32_t> qubits, const Scalar* matrix, LinearAlgebra& algebra) {
  settle_ladder(algebra);
  int first = chain.size(), last = -1;
  for (const int q : qubits) first = std::min(first, chain.at(q)), last = std::max(last, chain.at(q));
  static constexpr Matrix2 kOne{0, 0, 0, 1};
  const Matrix2 rest{matrix[0] - 1.0, matrix[1], matrix[2], matrix[3] - 1.0};
  std::vector<const Scalar*> zero(last - first + 1, nullptr), one(last - first + 1, nullptr);
  for (std::size_t k = 0; k < qubits.size(); ++k) {
    settle_around(chain.at(qubits[k]), algebra);
    settle_single(qubits[k]);
    one[chain.at(qubits[k]) - first] = k + 1 < qubits.size() ? kOne.data() : rest.data();
  }
  updates_ += last - first;
  chain.sum(first, zero, one, algebra);
}

void Register::settle_single(int qubit) {
  if (!has_single_[qubit]) return;
  chain.one(chain.at(qubit), single_[qubit].data());
  has_single_[qubit] = 0;
}

bool Register::flush_one(LinearAlgebra& algebra) {
  if (ladder_.open()) {
    settle_ladder(algebra);
    return true;
  }
  for (int i = 0; waiting_ > 0 && i < chain.size(); ++i)
    if (waits(i)) {
      settle(i, algebra);
      return true;
    }
  for (int q = 0; q < chain.size(); ++q) settle_single(q);
  return false;
}

bool Register::alone(int qubit) const { return free_site(chain.at(qubit)); }

int Register::known(int qubit) const {
  const int i = chain.at(qubit);
  if (!free_site(i)) return -1;
  const Scalar *v = chain[i].tensor.data(), *m = single_[qubit].data();
  const bool turned = has_single_[qubit];
  const Scalar zero = turned ? m[0] * v[0] + m[1] * v[1] : v[0], one = turned ? m[2] * v[0] + m[3] * v[1] : v[1];
  if (std::norm(one) < kCertain) return 0;
  if (std::norm(zero) < kCertain) return 1;
  return -1;
}

double Register::probability_of_one(int qubit, LinearAlgebra& algebra) {
  if (in_ladder(qubit)) settle_ladder(algebra);
  settle_around(chain.at(qubit), algebra);
  settle_single(qubit);
  return chain.probability_of_one(chain.at(qubit));
}

void Register::project(int qubit, int outcome, double probability, LinearAlgebra& algebra) {
  // Sites move, bonds shrink and bases turn: nothing may wait.
  settle_ladder(algebra);
  for (int i = 0; waiting_ > 0 && i < chain.size(); ++i)
    if (waits(i)) settle(i, algebra);
  chain.project(chain.at(qubit), outcome, probability, algebra);
}

void Register::set_zero(int qubit) {
  has_single_[qubit] = 0;
  chain.set_alone(chain.at(qubit), 1.0, 0.0);
}

}  // namespace qrex::mps

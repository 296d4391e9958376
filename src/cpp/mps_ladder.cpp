// Ladders: gates that share a qubit and branch by it, carried out together.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "mps_register.hpp"

namespace qrex::mps {
namespace {

constexpr int kBases = 3;
constexpr double kNone = 1e-14;  // size of an entry that counts as none
constexpr double kHalf = std::numbers::sqrt2 / 2;
constexpr Scalar kI{0, 1};
// Two orthonormal vectors each: eigenvectors of Z, X, Y.
constexpr Scalar kVectors[kBases][2][2] = {
    {{1, 0}, {0, 1}}, {{kHalf, kHalf}, {kHalf, -kHalf}}, {{kHalf, kI* kHalf}, {kHalf, -kI* kHalf}}};

Matrix2 projector(int basis, int which) {
  const Scalar* v = kVectors[basis][which];
  return {v[0] * std::conj(v[0]), v[0] * std::conj(v[1]), v[1] * std::conj(v[0]), v[1] * std::conj(v[1])};
}

// ⟨u| gate |v⟩ over the shared qubit: a matrix on the partner.
Matrix2 between(const Matrix4& gate, const Scalar* u, const Scalar* v) {
  Matrix2 out{};
  for (int r = 0; r < 2; ++r)
    for (int c = 0; c < 2; ++c)
      for (int s = 0; s < 2; ++s)
        for (int t = 0; t < 2; ++t) out[2 * r + c] += std::conj(u[s]) * gate[4 * (2 * r + s) + 2 * c + t] * v[t];
  return out;
}

bool vanishes(const Matrix2& m) {
  return std::all_of(m.begin(), m.end(), [](Scalar x) { return std::abs(x) < kNone; });
}

// Whether a gate on the shared qubit leaves both vectors of a basis where they are.
bool keeps(const Matrix2& m, int basis) {
  for (int k = 0; k < 2; ++k) {
    const Scalar *u = kVectors[basis][1 - k], *v = kVectors[basis][k];
    const Scalar across = std::conj(u[0]) * (m[0] * v[0] + m[1] * v[1]) + std::conj(u[1]) * (m[2] * v[0] + m[3] * v[1]);
    if (std::abs(across) >= kNone) return false;
  }
  return true;
}

constexpr Matrix2 kNothing{1, 0, 0, 1};

}  // namespace

Matrix2 product(const Matrix2& a, const Matrix2& b) {
  return {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]};
}

Matrix4 product(const Matrix4& a, const Matrix4& b) {
  Matrix4 out{};
  for (int i = 0; i < 4; ++i)
    for (int k = 0; k < 4; ++k) {
      const Scalar x = a[4 * i + k];
      if (x == Scalar{}) continue;
      for (int j = 0; j < 4; ++j) out[4 * i + j] += x * b[4 * k + j];
    }
  return out;
}

Matrix4 turned(const Matrix4& gate) {
  static constexpr int kOther[4] = {0, 2, 1, 3};
  Matrix4 out;
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) out[4 * r + c] = gate[4 * kOther[r] + kOther[c]];
  return out;
}

Branching branching(const Matrix4& gate, int basis) {
  const auto& [u, v] = kVectors[basis];
  if (!vanishes(between(gate, u, v)) || !vanishes(between(gate, v, u))) return {};
  return {basis, between(gate, u, u), between(gate, v, v)};
}

bool Register::in_ladder(int qubit) const {
  if (!ladder_.open()) return false;
  return ladder_.shared == qubit || std::find(ladder_.partners.begin(), ladder_.partners.end(), qubit) != ladder_.partners.end();
}

Matrix2 Register::taken_single(int qubit) {
  const Matrix2 out = has_single_[qubit] ? single_[qubit] : kNothing;
  has_single_[qubit] = 0;
  return out;
}

// Makes the other qubit of a ladder's only gate the shared one, if the gate branches by it too.
void Register::turn_ladder() {
  const Matrix4 gate = turned(ladder_.first);
  for (int basis = 0; basis < kBases; ++basis) {
    const Branching found = branching(gate, basis);
    if (found.basis < 0) continue;
    std::swap(ladder_.shared, ladder_.partners[0]);
    std::swap(ladder_.before, ladder_.before_first);
    ladder_.first = gate;
    ladder_.basis = basis;
    ladder_.zero[0] = product(found.zero, ladder_.before_first);
    ladder_.one[0] = product(found.one, ladder_.before_first);
    return;
  }
}

bool Register::join_ladder(int a, int b, const Matrix4& gate, LinearAlgebra& algebra) {
  // Only one gate so far: let the qubit that comes again be the shared one.
  if (ladder_.gates == 1 && a != ladder_.shared && b != ladder_.shared &&
      (a == ladder_.partners[0] || b == ladder_.partners[0]))
    turn_ladder();
  const int shared = ladder_.shared;
  if (a != shared && b != shared) return false;
  if (has_single_[shared] && !keeps(single_[shared], ladder_.basis)) return false;
  const int partner = a == shared ? b : a;
  const Branching found = branching(a == shared ? gate : turned(gate), ladder_.basis);
  if (found.basis < 0) return false;
  const auto known = std::find(ladder_.partners.begin(), ladder_.partners.end(), partner);
  if (known == ladder_.partners.end()) settle_around(chain.at(partner), algebra);
  // What the shared qubit did meanwhile goes along with its branches: a number for each.
  Scalar phase[2] = {1, 1};
  if (has_single_[shared]) {
    const Matrix2 m = taken_single(shared);
    for (int k = 0; k < 2; ++k) {
      const Scalar* v = kVectors[ladder_.basis][k];
      phase[k] = std::conj(v[0]) * (m[0] * v[0] + m[1] * v[1]) + std::conj(v[1]) * (m[2] * v[0] + m[3] * v[1]);
    }
  }
  ++ladder_.gates;
  const Matrix2 before = taken_single(partner);
  Matrix2 zero = product(found.zero, before), one = product(found.one, before);
  for (Scalar& x : zero) x *= phase[0];
  for (Scalar& x : one) x *= phase[1];
  if (known == ladder_.partners.end()) {
    ladder_.partners.push_back(partner);
    ladder_.zero.push_back(zero);
    ladder_.one.push_back(one);
  } else {
    const auto k = known - ladder_.partners.begin();
    ladder_.zero[k] = product(zero, ladder_.zero[k]);
    ladder_.one[k] = product(one, ladder_.one[k]);
  }
  return true;
}

bool Register::start_ladder(int a, int b, const Matrix4& gate, LinearAlgebra& algebra) {
  Branching found;
  int shared = a, partner = b;
  Matrix4 seen = gate;
  for (int turn = 0; turn < 2 && found.basis < 0; ++turn) {
    shared = turn ? b : a, partner = turn ? a : b;
    seen = turn ? turned(gate) : gate;
    for (int basis = 0; basis < kBases && found.basis < 0; ++basis) found = branching(seen, basis);
  }
  if (found.basis < 0) return false;
  settle_ladder(algebra);
  settle_around(chain.at(a), algebra);
  settle_around(chain.at(b), algebra);
  ladder_.shared = shared;
  ladder_.basis = found.basis;
  ladder_.gates = 1;
  ladder_.before = taken_single(shared);
  ladder_.before_first = taken_single(partner);
  ladder_.first = seen;
  ladder_.partners = {partner};
  ladder_.zero = {product(found.zero, ladder_.before_first)};
  ladder_.one = {product(found.one, ladder_.before_first)};
  return true;
}

void Register::settle_ladder(LinearAlgebra& algebra) {
  if (!ladder_.open()) return;
  int first = chain.at(ladder_.shared), last = first;
  for (const int q : ladder_.partners) first = std::min(first, chain.at(q)), last = std::max(last, chain.at(q));
  const Matrix2 at_zero = product(projector(ladder_.basis, 0), ladder_.before);
  const Matrix2 at_one = product(projector(ladder_.basis, 1), ladder_.before);
  std::vector<const Scalar*> zero(last - first + 1, nullptr), one(last - first + 1, nullptr);
  zero[chain.at(ladder_.shared) - first] = at_zero.data();
  one[chain.at(ladder_.shared) - first] = at_one.data();
  for (std::size_t k = 0; k < ladder_.partners.size(); ++k) {
    zero[chain.at(ladder_.partners[k]) - first] = ladder_.zero[k].data();
    one[chain.at(ladder_.partners[k]) - first] = ladder_.one[k].data();
  }
  ladder_.shared = -1;
  updates_ += last - first;
  chain.sum(first, zero, one, algebra);
}

}  // namespace qrex::mps

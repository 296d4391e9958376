#include "support.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "algebra.hpp"

namespace qrex {
namespace {

constexpr double kHopeless = 40;          // log2: nobody holds that many amplitudes one by one
constexpr std::size_t kMaxStates = 2048;  // basis states listed
constexpr std::size_t kMaxSteps = 400'000;  // of work on the list: a few milliseconds

// What a row does to basis states. kBranch: the target is copied into both values where the controls are 1;
// kFlip: the target is flipped there; kMix: anything on all its qubits.
enum class Kind { kNothing, kFlip, kBranch, kSwap, kMix, kMeasure, kReset };

struct Effect {
  Kind kind;
  int controls = 0;   // first so many qubits
  double growth = 0;  // log2 of how many states one can become
};

Effect effect_of(const Row& row) {
  if (row.op == Op::kMeasure) return {Kind::kMeasure};
  if (row.op == Op::kReset) return {Kind::kReset};
  switch (row.op) {
    case Op::kRzz: case Op::kDiagonal: return {Kind::kNothing};
    case Op::kSwap: case Op::kIswap: return {Kind::kSwap, 0};
    case Op::kCswap: return {Kind::kSwap, 1};
    default: break;
  }
  const Controlled gate = controlled_gate(row.op, row.width(), row.params);
  if (gate.controls >= 0) {
    if (is_diagonal(gate.matrix)) return {Kind::kNothing};
    if (is_antidiagonal(gate.matrix)) return {Kind::kFlip, gate.controls};
    return {Kind::kBranch, gate.controls, 1};
  }
  const std::vector<Amplitude> m = gate_matrix(row.op, row.width(), row.params);
  const std::size_t dim = std::size_t{1} << row.width();
  std::size_t most = 1, off = 0;
  for (std::size_t c = 0; c < dim; ++c) {
    std::size_t filled = 0;
    for (std::size_t r = 0; r < dim; ++r) {
      const bool here = !is_tiny(m[r * dim + c]);
      filled += here, off += here && r != c;
    }
    most = std::max(most, filled);
  }
  if (!off) return {Kind::kNothing};
  return {Kind::kMix, 0, std::log2(static_cast<double>(most))};
}

// x = offset + any sum of `columns`; each has a qubit, its pivot, where no other column is 1.
class Affine {
 public:
  explicit Affine(int n) : words_((n + 63) / 64), offset_(words_, 0), pivot_of_(n, -1) {}

  int dimension() const { return static_cast<int>(pivots_.size()); }
  bool varies(int q) const {
    if (pivot_of_[q] >= 0) return true;
    for (int j = 0; j < dimension(); ++j)
      if (get(j, q)) return true;
    return false;
  }
  bool offset(int q) const { return offset_[q / 64] >> q % 64 & 1; }  // its value where it does not vary
  void flip(int q) { offset_[q / 64] ^= 1ull << q % 64; }

  void free(int q) {  // adds the direction of q
    project(q);
    columns_.insert(columns_.end(), words_, 0);
    pivots_.push_back(q);
    pivot_of_[q] = dimension() - 1;
    toggle(dimension() - 1, q);
  }

  void controlled_flip(int c, int t) {
    const int owner = pivot_of_[t];
    for (int j = 0; j < dimension(); ++j)
      if (get(j, c)) toggle(j, t);
    if (offset(c)) flip(t);
    if (owner < 0) return;
    // t was 1 in its owner alone; now perhaps in others, or no more in the owner.
    if (get(owner, t)) {
      for (int j = 0; j < dimension(); ++j)
        if (j != owner && get(j, t)) add(j, owner);
      if (offset(t)) add_to_offset(owner);
    } else {
      pivot_of_[t] = -1;
      repivot(owner);
    }
  }

  void project(int q) {  // sets q to 0 everywhere
    const int j = pivot_of_[q];
    offset_[q / 64] &= ~(1ull << q % 64);
    for (int k = 0; k < dimension(); ++k) clear(k, q);
    if (j < 0) return;
    pivot_of_[q] = -1;
    if (!repivot(j)) remove(j);
  }

 private:
  bool get(int j, int q) const { return columns_[static_cast<std::size_t>(j) * words_ + q / 64] >> q % 64 & 1; }
  void clear(int j, int q) { columns_[static_cast<std::size_t>(j) * words_ + q / 64] &= ~(1ull << q % 64); }
  void toggle(int j, int q) { columns_[static_cast<std::size_t>(j) * words_ + q / 64] ^= 1ull << q % 64; }
  void add(int to, int from) {
    for (int w = 0; w < words_; ++w) columns_[static_cast<std::size_t>(to) * words_ + w] ^= columns_[static_cast<std::size_t>(from) * words_ + w];
  }
  void add_to_offset(int from) {
    for (int w = 0; w < words_; ++w) offset_[w] ^= columns_[static_cast<std::size_t>(from) * words_ + w];
  }
  // A new pivot for column j, whose own is gone; false where the column is 0.
  bool repivot(int j) {
    for (int w = 0; w < words_; ++w) {
      const std::uint64_t word = columns_[static_cast<std::size_t>(j) * words_ + w];
      if (!word) continue;
      const int q = 64 * w + std::countr_zero(word);
      for (int k = 0; k < dimension(); ++k)
        if (k != j && get(k, q)) add(k, j);
      if (offset(q)) add_to_offset(j);
      pivots_[j] = q;
      pivot_of_[q] = j;
      return true;
    }
    return false;
  }
  void remove(int j) {
    const int last = dimension() - 1;
    if (j != last) {
      std::copy_n(columns_.begin() + static_cast<std::ptrdiff_t>(last) * words_, words_, columns_.begin() + static_cast<std::ptrdiff_t>(j) * words_);
      pivots_[j] = pivots_[last];
      pivot_of_[pivots_[j]] = j;
    }
    columns_.resize(static_cast<std::size_t>(last) * words_);
    pivots_.pop_back();
  }

  int words_;
  std::vector<std::uint64_t> offset_, columns_;
  std::vector<std::int32_t> pivots_, pivot_of_;
};

// The basis states themselves; `given_up` once they are too many.
class Listed {
 public:
  explicit Listed(int n) : words_((n + 63) / 64), states_(words_, 0) {}

  bool given_up = false;
  std::size_t size() const { return states_.size() / words_; }

  void apply(const Row& row, const Effect& effect) {
    if (given_up || effect.kind == Kind::kNothing || effect.kind == Kind::kMeasure) return;
    const bool guarded = row.guard >= 0;
    const std::size_t count = size();
    steps_ += count;
    const auto q = row.qubits;
    const std::size_t dim = std::size_t{1} << (effect.kind == Kind::kMix ? row.width() : 0);
    const std::vector<Amplitude> m = effect.kind == Kind::kMix ? gate_matrix(row.op, row.width(), row.params)
                                                               : std::vector<Amplitude>{};
    bool grown = false;
    for (std::size_t s = 0; s < count; ++s) {
      std::uint64_t* x = states_.data() + s * words_;
      bool on = true;
      for (int k = 0; k < effect.controls && on; ++k) on = get(x, q[k]);
      if (!on) continue;
      const bool keep = guarded || effect.kind == Kind::kBranch;
      if (effect.kind == Kind::kMix) {
        std::size_t from = 0;
        for (std::size_t k = 0; k < q.size(); ++k) from |= static_cast<std::size_t>(get(x, q[k])) << k;
        for (std::size_t to = 0; to < dim; ++to)
          if (to != from && !is_tiny(m[to * dim + from])) {
            x = copy(s);
            for (std::size_t k = 0; k < q.size(); ++k) set(x, q[k], to >> k & 1);
            grown = true;
          }
        // Where it cannot stay, keeping it is still a superset, but a permutation must not grow.
        if (is_tiny(m[from * dim + from]) && !guarded) leave_.push_back(s);
        continue;
      }
      if (effect.kind == Kind::kSwap) {
        const int a = q[effect.controls], b = q[effect.controls + 1];
        if (get(x, a) == get(x, b)) continue;
        if (keep) x = copy(s), grown = true;
        flip(x, a), flip(x, b);
      } else if (effect.kind == Kind::kReset) {
        if (!get(x, q[0])) continue;
        if (keep) x = copy(s);
        flip(x, q[0]);
        grown = true;
      } else {
        if (keep) x = copy(s), grown = true;
        flip(x, q[effect.controls]);
      }
      if (size() > 2 * kMaxStates) {
        given_up = true;
        return;
      }
    }
    for (std::size_t k = leave_.size(); k-- > 0;) {
      std::copy_n(states_.end() - words_, words_, states_.begin() + static_cast<std::ptrdiff_t>(leave_[k] * words_));
      states_.resize(states_.size() - words_);
    }
    leave_.clear();
    if (grown) unite();
    given_up = size() > kMaxStates || steps_ > kMaxSteps;
  }

 private:
  static bool get(const std::uint64_t* x, int q) { return x[q / 64] >> q % 64 & 1; }
  static void flip(std::uint64_t* x, int q) { x[q / 64] ^= 1ull << q % 64; }
  static void set(std::uint64_t* x, int q, bool value) {
    x[q / 64] = (x[q / 64] & ~(1ull << q % 64)) | static_cast<std::uint64_t>(value) << q % 64;
  }
  std::uint64_t* copy(std::size_t s) {
    const std::size_t end = states_.size();
    states_.resize(end + words_);
    std::copy_n(states_.begin() + static_cast<std::ptrdiff_t>(s * words_), words_, states_.begin() + static_cast<std::ptrdiff_t>(end));
    return states_.data() + end;
  }
  void unite() {
    const std::size_t count = size();
    steps_ += 4 * count;
    std::vector<std::size_t> order(count);
    for (std::size_t k = 0; k < count; ++k) order[k] = k;
    const auto at = [this](std::size_t k) { return std::span(states_).subspan(k * words_, words_); };
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::ranges::lexicographical_compare(at(a), at(b));
    });
    std::vector<std::uint64_t> united;
    for (std::size_t k = 0; k < count; ++k)
      if (k == 0 || !std::ranges::equal(at(order[k]), at(order[k - 1])))
        united.insert(united.end(), at(order[k]).begin(), at(order[k]).end());
    states_.swap(united);
  }

  int words_;
  std::vector<std::uint64_t> states_;
  std::vector<std::size_t> leave_;
  std::size_t steps_ = 0;
};

// Takes the space through a row; false where the row does nothing to it.
bool widen(Affine& space, const Row& row, const Effect& effect) {
  const auto q = row.qubits;
  const bool guarded = row.guard >= 0;
  // Outcomes of a measurement are not told apart: the space holds them all.
  if (effect.kind == Kind::kNothing || effect.kind == Kind::kMeasure) return false;
  int control = -1, varying = 0;
  for (int k = 0; k < effect.controls; ++k) {
    if (space.varies(q[k])) varying += 1, control = q[k];
    else if (!space.offset(q[k])) return false;
  }
  const int target = q[effect.controls];
  switch (effect.kind) {
    case Kind::kReset:
      if (guarded) space.free(target);
      else space.project(target);
      break;
    case Kind::kMix:
      for (const int k : q) space.free(k);
      break;
    case Kind::kSwap: {
      const int other = q[effect.controls + 1];
      if (varying || guarded) {
        space.free(target), space.free(other);
      } else {
        space.controlled_flip(target, other), space.controlled_flip(other, target);
        space.controlled_flip(target, other);
      }
      break;
    }
    default:
      if (effect.kind == Kind::kBranch || varying > 1 || guarded) space.free(target);
      else if (varying == 1) space.controlled_flip(control, target);
      else space.flip(target);
  }
  return true;
}

}  // namespace

double log2_support(const Rows& rows, int num_qubits) {
  if (num_qubits == 0) return 0;
  Affine space(num_qubits);
  Listed listed(num_qubits);
  std::vector<std::uint8_t> touched(num_qubits, 0);
  int touched_count = 0;
  double now = 0, most = 0;
  bool hopeless = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row = rows[i];
    for (const int q : row.qubits) touched_count += !touched[q], touched[q] = 1;
    if (hopeless) continue;
    const Effect effect = effect_of(row);
    if (widen(space, row, effect)) now += effect.growth;
    now = std::min(now, static_cast<double>(space.dimension()));
    if (!listed.given_up) {
      listed.apply(row, effect);
      if (!listed.given_up) now = std::min(now, std::log2(static_cast<double>(listed.size())));
    }
    most = std::max(most, now);
    hopeless = most > kHopeless;
  }
  return hopeless ? touched_count : most;
}

}  // namespace qrex

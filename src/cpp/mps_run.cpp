#include "mps_run.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace qrex::mps {
namespace {

constexpr double kCertain = 1e-12;      // an outcome less likely than this does not occur
constexpr double kInexact = 1e-12;      // infidelity from which the form is made exact before sampling
constexpr int kWidestContraction = 5;   // controlled gates on more qubits go as a sum of two products
constexpr double kMarkStep = 1.0 / 64;
constexpr double kGrowthTaken = 0.5;    // share of the growth of bonds so far that forecasts carry on

// Matrix of a gate with `controls` controls first and then one target.
std::vector<Scalar> controlled_matrix(int controls, const Scalar* m) {
  const std::size_t dim = std::size_t{2} << controls, ones = dim / 2 - 1;
  std::vector<Scalar> out(dim * dim);
  for (std::size_t x = 0; x < dim; ++x) out[x * dim + x] = 1;
  const std::size_t low = ones, high = dim - 1;
  out[low * dim + low] = m[0], out[low * dim + high] = m[1], out[high * dim + low] = m[2], out[high * dim + high] = m[3];
  return out;
}

}  // namespace

Run::Run(std::shared_ptr<const Circuit> circuit, const Routines& routines, const Settings& settings,
         std::int64_t shots, std::uint64_t seed)
    : circuit_(std::move(circuit)), settings_(settings), shots_(shots), random_(seed),
      algebra_(routines, settings.threads) {
  prepare();
  const int n = circuit_->num_qubits;
  // Tensors of all sites, and what an update holds besides: see Chain::two.
  const double per_square = sizeof(Scalar) * (2.0 * n + 36);
  bond_limit_ = std::max(2, static_cast<int>(std::sqrt(static_cast<double>(settings.memory_bytes) / per_square)));
  auto branch = std::make_unique<Branch>(Branch{Register(n), 0, shots, false, {}, {}});
  branch->bits.assign(circuit_->num_clbits, 0);
  branch->source.assign(circuit_->num_clbits, -1);
  branch->qubits.chain.set_limits(settings.threshold, bond_limit_, settings.memory_bytes);
  branches_open_.push_back(std::move(branch));
}

void Run::prepare() {
  const Circuit& circuit = *circuit_;
  const std::size_t rows = circuit.size();
  start_.resize(rows + 1);
  for (std::size_t row = 0; row < rows; ++row) start_[row + 1] = start_[row] + circuit.qubits(row).size();
  wire_.resize(start_[rows]), next_.assign(start_[rows], -1), row_of_.resize(start_[rows]);
  at_end_.assign(rows, 0);
  final_wire_.resize(circuit.num_qubits);
  for (int q = 0; q < circuit.num_qubits; ++q) final_wire_[q] = q;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto qubits = circuit.qubits(row);
    for (std::size_t k = 0; k < qubits.size(); ++k) {
      wire_[start_[row] + k] = final_wire_[qubits[k]];
      row_of_[start_[row] + k] = static_cast<std::int32_t>(row);
    }
    // A SWAP is a change of names.
    if (circuit.op(row) == Op::kSwap && circuit.guard(row) < 0) std::swap(final_wire_[qubits[0]], final_wire_[qubits[1]]);
  }
  std::vector<std::int32_t> upcoming(circuit.num_qubits, -1);
  std::vector<std::uint8_t> touched(circuit.num_qubits, 0), read(circuit.num_clbits, 0);
  for (std::size_t row = rows; row-- > 0;) {
    const Op op = circuit.op(row);
    if (circuit.guard(row) >= 0)
      for (const auto bit : circuit.guard_bits(circuit.guard(row))) read[bit] = 1;
    if (op == Op::kMeasure) {
      at_end_[row] = !touched[wire_[start_[row]]] && !read[circuit.clbit(row)];
      continue;
    }
    if (op == Op::kSwap && circuit.guard(row) < 0) continue;
    for (std::size_t slot = start_[row]; slot < start_[row + 1]; ++slot) {
      touched[wire_[slot]] = 1;
      if (start_[row + 1] - start_[row] < 2) continue;
      next_[slot] = upcoming[wire_[slot]];
      upcoming[wire_[slot]] = static_cast<std::int32_t>(slot);
    }
  }
}

Partners Run::partners(std::size_t slot) const {
  Partners out;
  out.fill(-1);
  std::int32_t at = next_[slot];
  for (int k = 0; k < kForesight && at >= 0; ++k, at = next_[at]) {
    const std::size_t first = start_[row_of_[at]];
    out[k] = wire_[static_cast<std::size_t>(at) == first ? first + 1 : first];
  }
  return out;
}

void Run::gate(Branch& branch, std::size_t row) {
  const Circuit& circuit = *circuit_;
  const std::size_t from = start_[row], width = start_[row + 1] - from;
  Register& qubits = branch.qubits;
  const Op op = circuit.op(row);
  if (op == Op::kSwap && circuit.guard(row) < 0) return;
  const Controlled simple = circuit.controlled(row);
  if (width == 1) {
    qubits.one(wire_[from], simple.matrix);
    return;
  }
  if (simple.controls > 0) {
    controlled(branch, row, simple);
    return;
  }
  const std::vector<Amplitude> matrix = circuit.matrix(row);
  const std::span<const std::int32_t> wires(wire_.data() + from, width);
  if (width == 2) {
    qubits.two(wires[0], wires[1], matrix.data(), partners(from), partners(from + 1), algebra_);
  } else if (op == Op::kCswap && !qubits.side_by_side(wires)) {
    static constexpr Scalar kX[4] = {0, 1, 1, 0};
    const std::vector<Scalar> cx = controlled_matrix(1, kX);
    qubits.two(wires[2], wires[1], cx.data(), partners(from + 2), partners(from + 1), algebra_);
    qubits.controlled(wires, kX, algebra_);
    qubits.two(wires[2], wires[1], cx.data(), partners(from + 2), partners(from + 1), algebra_);
  } else {
    qubits.many(wires, matrix.data(), algebra_);
  }
}

void Run::controlled(Branch& branch, std::size_t row, const Controlled& gate) {
  Register& qubits = branch.qubits;
  const std::size_t from = start_[row], width = start_[row + 1] - from;
  // A phase has no target: each of its qubits counts as a control.
  const bool phase = gate.matrix[0] == 1.0 && gate.matrix[1] == 0.0 && gate.matrix[2] == 0.0;
  std::vector<std::int32_t>& wires = operands_;
  wires.clear();
  for (std::size_t k = 0; k < width; ++k) {
    const std::int32_t wire = wire_[from + k];
    const int known = k + 1 < width || phase ? qubits.known(wire) : -1;
    if (known == 0) return;
    if (known < 0) wires.push_back(wire);
  }
  if (wires.empty()) wires.push_back(wire_[from]);  // a phase on nothing but ones
  const int controls = static_cast<int>(wires.size()) - 1;
  if (controls == 0) {
    qubits.one(wires[0], gate.matrix);
  } else if (controls == 1) {
    const Scalar* m = gate.matrix;
    const Scalar matrix[16] = {1, 0, 0, 0, 0, m[0], 0, m[1], 0, 0, 1, 0, 0, m[2], 0, m[3]};
    const auto slot = [&](std::int32_t wire) { return from + (std::find(wire_.begin() + from, wire_.end(), wire) - wire_.begin() - from); };
    qubits.two(wires[0], wires[1], matrix, partners(slot(wires[0])), partners(slot(wires[1])), algebra_);
  } else if (controls + 1 > kWidestContraction || !qubits.side_by_side(wires)) {
    qubits.controlled(wires, gate.matrix, algebra_);
  } else {
    qubits.many(wires, controlled_matrix(controls, gate.matrix).data(), algebra_);
  }
}

void Run::observe(Branch& branch, std::size_t row) {
  const std::int32_t wire = wire_[start_[row]];
  const bool reset = circuit_->op(row) == Op::kReset;
  if (reset && branch.qubits.alone(wire)) {
    branch.qubits.set_zero(wire);
    return;
  }
  double one = branch.qubits.probability_of_one(wire, algebra_);
  if (one < kCertain) one = 0;
  if (one > 1 - kCertain) one = 1;
  const auto decide = [&](Branch& taken, int outcome, double probability) {
    taken.qubits.project(wire, outcome, probability, algebra_);
    if (reset) {
      taken.qubits.set_zero(wire);
    } else {
      taken.bits[circuit_->clbit(row)] = static_cast<std::uint8_t>(outcome);
      taken.source[circuit_->clbit(row)] = -1;
    }
  };
  const std::int64_t ones = binomial(branch.shots, one, random_);
  if (ones > 0 && ones < branch.shots) {
    if (2 * branch.qubits.chain.bytes() + bytes() > settings_.memory_bytes) throw std::bad_alloc();
    auto other = std::make_unique<Branch>(branch);
    other->shots = ones;
    other->row = row + 1;
    decide(*other, 1, one);
    branch.shots -= ones;
    branches_open_.insert(branches_open_.end() - 1, std::move(other));
    ++branches_;
    decide(branch, 0, 1 - one);
    return;
  }
  if (ones) decide(branch, 1, one);
  else decide(branch, 0, 1 - one);
}

void Run::step(Branch& branch) {
  const std::size_t row = branch.row++;
  const Circuit& circuit = *circuit_;
  if (circuit.guard(row) >= 0 && !circuit.holds(circuit.guard(row), [&](int bit) { return branch.bits[bit]; })) return;
  const Op op = circuit.op(row);
  if (op == Op::kMeasure && at_end_[row]) branch.source[circuit.clbit(row)] = wire_[start_[row]];
  else if (op == Op::kMeasure || op == Op::kReset) observe(branch, row);
  else gate(branch, row);
}

Progress Run::advance(double seconds) {
  const auto begin = Clock::now();
  const auto deadline = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  Progress out;
  const double total = std::max<double>(1.0, static_cast<double>(circuit_->size()));
  const auto share = [&] {
    const double here = branches_open_.empty() ? 0 : static_cast<double>(branches_open_.back()->shots) *
                                                         static_cast<double>(branches_open_.back()->row) / total;
    return shots_ ? (static_cast<double>(finished_) + here) / static_cast<double>(shots_) : 1.0;
  };
  try {
    while (!branches_open_.empty()) {
      Branch& branch = *branches_open_.back();
      const bool ended = at_end(branch);
      if (ended && !branch.qubits.flush_one(algebra_)) {
        branch.flushed = true;
        if (branches_open_.size() == 1) break;
        if (!sample_top(deadline)) break;
        continue;
      }
      if (!ended) step(branch);
      const Chain& chain = branch.qubits.chain;
      if (chain.limited() && chain.lost() * chain.lost() > settings_.max_infidelity)
        throw MemoryLimit("bonds limited to " + std::to_string(bond_limit_) + " lose too much of the state");
      if (Clock::now() >= deadline) break;
      if (branches_ == 1 && share() >= kMarkStep * static_cast<double>(marks_.size())) {
        marks_.push_back({share(), seconds_ + std::chrono::duration<double>(Clock::now() - begin).count(),
                          std::log2(static_cast<double>(chain.largest_bond()))});
      }
    }
  } catch (const std::bad_alloc&) {
    throw MemoryLimit("the tensors of the matrix product state have no room");
  }
  seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
  out.done = branches_open_.size() == 1 && branches_open_.back()->flushed;
  out.fraction = out.done ? 1.0 : std::min(1.0, share());
  if (!branches_open_.empty()) {
    const Register& top = branches_open_.back()->qubits;
    largest_ = std::max(largest_, out.bond = top.chain.largest_bond());
    if (branches_ == 1) updates_ = top.updates();
  }
  out.bytes = bytes();
  out.forecast = forecast(out.fraction);
  return out;
}

double Run::forecast(double fraction) {
  double rest = 0;
  if (branches_open_.size() == 1) {
    double squares = 0;
    const Chain& chain = branches_open_.back()->qubits.chain;
    for (int i = 0; i < chain.size(); ++i) squares += static_cast<double>(chain[i].left) * chain[i].right + 20;
    rest = 1.5 * squares * static_cast<double>(shots_) * settings_.seconds_per_product;
  }
  if (fraction >= 1) return rest;
  if (fraction <= 0) return rest;
  if (branches_ > 1) return seconds_ * (1 - fraction) / fraction;
  const double bond = std::log2(static_cast<double>(branches_open_.back()->qubits.chain.largest_bond()));
  Mark half{0, 0, 0};
  for (const Mark& mark : marks_)
    if (mark.fraction <= fraction / 2) half = mark;
  const double span = std::max(fraction - half.fraction, 1e-9);
  const double rate = (seconds_ - half.seconds) / span, slope = kGrowthTaken * std::max(0.0, bond - half.log2_bond) / span;
  const double ceiling = std::max(bond, std::min<double>(circuit_->num_qubits / 2, 40));
  constexpr int kParts = 16;
  for (int k = 0; k < kParts; ++k) {
    const double later = std::min(ceiling, bond + slope * (1 - fraction) * (k + 0.5) / kParts);
    if (later > std::log2(static_cast<double>(bond_limit_)) + 1) return std::numeric_limits<double>::infinity();
    // Updates between small bonds cost alike; beyond that, the third power of the bond.
    const double factor = (8 + std::exp2(3 * later) * 0.1) / (8 + std::exp2(3 * bond) * 0.1);
    rest += rate * (1 - fraction) / kParts * factor;
  }
  return rest;
}

bool Run::sample_top(Clock::time_point deadline) {
  Branch& branch = *branches_open_.back();
  const int width = circuit_->num_clbits;
  if (!sampler_) {
    Chain& chain = branch.qubits.chain;
    lost_ = std::max(lost_, chain.lost());
    limited_ |= chain.limited();
    largest_ = std::max(largest_, chain.largest_bond());
    updates_ = std::max(updates_, branch.qubits.updates());
    if (chain.lost() * chain.lost() > kInexact) chain.restore(algebra_);
    std::vector<int> column(chain.size(), -1);
    for (int c = width - 1; c >= 0; --c)
      if (branch.source[c] >= 0) column[chain.at(branch.source[c])] = c;
    sampler_.emplace(chain, std::move(column), width, branch.shots, settings_.memory_bytes - std::min(bytes(), settings_.memory_bytes));
  }
  if (!sampler_->advance(deadline, algebra_, random_)) return false;
  const int words = sampler_->words();
  std::vector<std::uint64_t> fixed(words, 0);
  std::vector<std::pair<int, int>> copies;  // classical bits that read a site which another bit reads as well
  const Chain& chain = branch.qubits.chain;
  std::vector<int> reader(chain.size(), -1);
  for (int c = 0; c < width; ++c) {
    if (branch.source[c] < 0) {
      if (branch.bits[c]) fixed[c / 64] |= std::uint64_t{1} << c % 64;
      continue;
    }
    int& first = reader[chain.at(branch.source[c])];
    if (first < 0) first = c;
    else copies.emplace_back(first, c);
  }
  for (std::size_t k = 0; k < sampler_->counts.size(); ++k) {
    std::uint64_t* row = sampler_->rows.data() + k * words;
    for (const auto& [from, to] : copies)
      if (row[from / 64] >> from % 64 & 1) row[to / 64] |= std::uint64_t{1} << to % 64;
    for (int w = 0; w < words; ++w) row[w] |= fixed[w];
  }
  rows.insert(rows.end(), sampler_->rows.begin(), sampler_->rows.end());
  counts.insert(counts.end(), sampler_->counts.begin(), sampler_->counts.end());
  finished_ += branch.shots;
  sampler_.reset();
  if (branches_ == 1) last_.emplace(std::move(branch));
  branches_open_.pop_back();
  return true;
}

bool Run::sample(double seconds) {
  if (branches_open_.empty()) return true;
  if (branches_open_.size() > 1 || !branches_open_.back()->flushed)
    throw std::invalid_argument("samples are drawn once all rows are run");
  try {
    return sample_top(Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)));
  } catch (const std::bad_alloc&) {
    throw MemoryLimit("the samples have no room");
  }
}

std::size_t Run::bytes() const {
  std::size_t sum = algebra_.workspace_bytes() + 8 * (rows.capacity() + counts.capacity()) + 12 * wire_.size();
  for (const auto& branch : branches_open_) sum += branch->qubits.chain.bytes();
  if (sampler_) sum += sampler_->bytes();
  return sum;
}

double Run::infidelity() const {
  double lost = lost_;
  for (const auto& branch : branches_open_) lost = std::max(lost, branch->qubits.chain.lost());
  return std::min(1.0, lost * lost);
}

double Run::probability(std::span<const std::uint8_t> bits) {
  if (!last_) throw std::invalid_argument("probabilities are known only where no random outcome split the state");
  const Chain& chain = last_->qubits.chain;
  std::vector<int> column(chain.size(), -1);
  for (int c = circuit_->num_clbits - 1; c >= 0; --c) {
    if (last_->source[c] < 0) {
      if (bits[c] != last_->bits[c]) return 0;
      continue;
    }
    int& there = column[chain.at(last_->source[c])];
    if (there >= 0 && bits[there] != bits[c]) return 0;
    there = c;
  }
  return mps::probability(chain, column, bits, algebra_);
}

std::vector<Scalar> Run::amplitudes() {
  const int n = circuit_->num_qubits;
  if (branches_open_.size() != 1 || branches_ > 1 || n > 20)
    throw std::invalid_argument("amplitudes are given for at most 20 qubits, before sampling, of one branch");
  const Register& qubits = branches_open_.back()->qubits;
  if (!branches_open_.back()->flushed) throw std::invalid_argument("amplitudes are given once all rows are run");
  std::vector<Scalar> out(std::size_t{1} << n);
  for (std::size_t x = 0; x < out.size(); ++x) {
    std::vector<Scalar> vector{1.0};
    for (int i = 0; i < n; ++i) {
      const Site& site = qubits.chain[i];
      const int q = static_cast<int>(std::find(final_wire_.begin(), final_wire_.end(), site.wire) - final_wire_.begin());
      std::vector<Scalar> next(site.right);
      for (int a = 0; a < site.left; ++a)
        for (int b = 0; b < site.right; ++b)
          next[b] += vector[a] * site.tensor[(static_cast<std::size_t>(a) * 2 + (x >> q & 1)) * site.right + b];
      vector.swap(next);
    }
    out[x] = vector[0];
  }
  return out;
}

}  // namespace qrex::mps

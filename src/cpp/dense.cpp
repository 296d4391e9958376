#include "dense.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <new>
#include <stdexcept>

#include "sampling.hpp"

namespace qrex::dense {
namespace {

constexpr std::size_t kChunk = 8192;  // gates lowered and planned at a time
constexpr double kSlice = 0.01;       // seconds of blocks between looks at the clock
constexpr double kFirstSlice = 1 << 21;  // gates times amplitudes before the speed of a stage is known

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }
std::uint64_t bytes_of(int positions) { return std::uint64_t{8} << positions; }

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// `count` uniforms in [0, 1) in ascending order: spacings of a Poisson process, normalized.
std::vector<double> ascending_uniforms(std::uint64_t count, std::mt19937_64& random) {
  std::vector<double> out(count);
  double sum = 0;
  const auto gap = [&] { return -std::log1p(-std::ldexp(static_cast<double>(random() >> 11), -53)); };
  for (double& value : out) value = sum += gap();
  sum += gap();
  for (double& value : out) value = std::min(value / sum, std::nextafter(1.0, 0.0));
  return out;
}

}  // namespace

DenseRun::DenseRun(std::unique_ptr<Circuit> circuit, std::uint64_t shots, std::uint64_t seed, int threads,
                   std::uint64_t amplitude_bytes, const BlockSizes& sizes, const KernelSet& kernels)
    : circuit_(std::move(circuit)), outlook_(*circuit_), threads_(std::max(threads, 1)), amplitude_bytes_(amplitude_bytes),
      sizes_(sizes), kernels_(kernels), shots_(shots), random_(seed) {
  if (sizes.chunk_bits < 4 || sizes.chunk_bits > sizes.block_bits - 2)
    throw std::invalid_argument("need 4 <= chunk_bits <= block_bits - 2, got " + std::to_string(sizes.chunk_bits) +
                                " and " + std::to_string(sizes.block_bits));
  now_.shots = shots;
  now_.wiring.qubits.resize(circuit_->num_qubits);
  now_.wiring.bits.resize(circuit_->num_clbits);
}

bool DenseRun::advance(double seconds) {
  const double end = now() + seconds;
  while (!done_) {
    const double left = end - now();
    if (left <= 0) break;
    step(left);
  }
  return done_;
}

void DenseRun::step(double seconds) {
  if (stage_) return run_blocks(seconds);
  if (pass_ < passes_.size()) {
    const Pass& pass = passes_[pass_];
    stage_.emplace(compile(gates_, pass, now_.layout, sizes_, kernels_));
    zero_ = now_.layout.wires <= sizes_.block_bits ? 0 : now_.layout.placed(now_.wiring.used & ~now_.touched);
    for (const int k : pass.order) now_.touched |= gates_.list[k].dense;
    block_ = 0;
    blocks_ = stage_->blocks(zero_);
    blocks_per_second_ = 0;
    return;
  }
  switch (lowered_.stop) {
    case Stop::Full: return prepare();
    case Stop::Collapse: return collapse();
    case Stop::End: return finish_branch();
  }
}

void DenseRun::prepare() {
  gates_.clear();
  const std::size_t from = now_.row;
  lowered_ = lower(*circuit_, outlook_, now_.wiring, from, kChunk, gates_);
  now_.row = lowered_.row;
  const double rows = static_cast<double>(std::max<std::size_t>(circuit_->size(), 1));
  row_share_ = static_cast<double>(now_.row - from) / rows * (shots_ ? double(now_.shots) / double(shots_) : 1.0);
  passes_ = plan_passes(gates_, now_.wiring.used, sizes_, now_.layout);
  pass_ = 0;
  gates_run_ += gates_.list.size();
  if (passes_.empty()) fraction_ += row_share_;
  most_wires_ = std::max(most_wires_, now_.layout.wires);
  const int positions = now_.layout.positions();
  if (positions <= now_.state.positions) return;
  const std::uint64_t more = bytes_of(positions) - 8 * now_.state.size();
  require(more);
  if (now_.state.positions < 0) now_.state.start(positions);
  else now_.state.resize(positions);
  held_ += more;
}

void DenseRun::run_blocks(double seconds) {
  const double per_block = static_cast<double>((stage_->size() + 2) << stage_->block_bits());
  const double wanted = blocks_per_second_ > 0 ? blocks_per_second_ * std::min(seconds, kSlice) : kFirstSlice / per_block;
  const std::uint64_t least = 2 * static_cast<std::uint64_t>(threads_);
  const std::uint64_t count = std::min(blocks_ - block_, std::max(least, static_cast<std::uint64_t>(wanted)));
  const double start = now();
  stage_->run(now_.state.re.data(), now_.state.im.data(), threads_, zero_, block_, count, workspaces_);
  blocks_per_second_ = static_cast<double>(count) / std::max(now() - start, 1e-9);
  block_ += count;
  fraction_ += row_share_ / static_cast<double>(passes_.size()) * static_cast<double>(count) / static_cast<double>(blocks_);
  if (block_ < blocks_) return;
  stage_.reset();
  ++pass_;
  ++passes_run_;
}

// Splits the shots by the outcome of the qubit that the next row measures or resets.
void DenseRun::collapse() {
  collapsed_ = true;
  const int wire = now_.wiring.qubits[circuit_->qubits(now_.row)[0]].wire;
  const int position = now_.layout.position_of[wire];
  const auto [zero, one] = now_.state.halves(position, threads_, kernels_);
  const double probability = one / (zero + one);
  std::uint64_t ones = probability > 0.5 ? now_.shots : 0;  // with a certain outcome
  if (now_.shots && probability > 0 && probability < 1)
    ones = std::binomial_distribution<std::uint64_t>(now_.shots, probability)(random_);
  const auto settle = [&](Branch& branch, bool outcome, std::uint64_t shots) {
    branch.shots = shots;
    branch.wiring.settle(wire, outcome);
    branch.layout.remove(wire);
    branch.touched &= ~bit(wire);
  };
  const auto scale = [&](bool outcome) { return static_cast<float>(1 / std::sqrt(outcome ? one : zero)); };
  const std::uint64_t zeros = now_.shots - ones;
  const int positions = std::max(now_.layout.wires - 1, 4);
  const bool more = now_.shots ? ones >= zeros : probability > 0.5;  // the outcome of the part that stays in place
  Branch rare;
  const bool splits = std::min(ones, zeros) > 0;
  if (splits) {
    require(bytes_of(positions));
    rare.row = now_.row;
    rare.wiring = now_.wiring;
    rare.layout = now_.layout;
    rare.touched = now_.touched;
    rare.state = now_.state.half(position, !more, scale(!more), positions);
    held_ += bytes_of(positions);
    settle(rare, !more, std::min(ones, zeros));
    ++branches_;
  }
  held_ -= 8 * now_.state.size();
  now_.state.collapse(position, more, scale(more), positions);
  held_ += 8 * now_.state.size();
  settle(now_, more, std::max(ones, zeros));
  if (splits) {
    waiting_.push_back(std::move(now_));
    now_ = std::move(rare);
  }
  passes_.clear();
  pass_ = 0;
  lowered_.stop = Stop::Full;
}

void DenseRun::finish_branch() {
  const float *re = now_.state.re.data(), *im = now_.state.im.data();
  const std::vector<double> norms = block_norms(re, im, now_.state.size(), threads_, kernels_);
  norm_ = 0;
  for (const double part : norms) norm_ += part;
  const std::vector<double> uniforms = ascending_uniforms(now_.shots, random_);
  const std::vector<std::uint64_t> drawn =
      sample(re, im, now_.state.size(), norms, uniforms.data(), uniforms.size(), threads_);
  const std::size_t width = now_.wiring.bits.size();
  std::string text(width, '0');
  struct Reader { std::size_t at; int position; bool flip; };
  std::vector<Reader> readers;
  for (std::size_t c = 0; c < width; ++c) {
    const Slot& source = now_.wiring.bits[c];
    if (source.wire >= 0) readers.push_back({width - 1 - c, now_.layout.position_of[source.wire], source.value});
    else text[width - 1 - c] = source.value ? '1' : '0';
  }
  for (std::size_t k = 0; k < drawn.size();) {
    std::size_t last = k + 1;
    while (last < drawn.size() && drawn[last] == drawn[k]) ++last;
    for (const Reader& reader : readers) text[reader.at] = static_cast<char>('0' + ((drawn[k] >> reader.position & 1) ^ reader.flip));
    counts_[text] += last - k;
    k = last;
  }
  if (waiting_.empty()) {
    done_ = true;
    fraction_ = 1;
    return;
  }
  held_ -= 8 * now_.state.size();
  now_ = Branch{};
  now_ = std::move(waiting_.back());
  waiting_.pop_back();
  passes_.clear();
  pass_ = 0;
  lowered_.stop = Stop::Full;
}

void DenseRun::require(std::uint64_t more) {
  needed_ = held_ + more;
  if (needed_ > amplitude_bytes_) throw std::bad_alloc();
  peak_ = std::max(peak_, needed_);
}

double DenseRun::probability(const std::string& bits) const {
  const std::size_t width = now_.wiring.bits.size();
  if (bits.size() != width) return 0;
  std::uint64_t mask = 0, value = 0;
  for (std::size_t c = 0; c < width; ++c) {
    const char text = bits[width - 1 - c];
    if (text != '0' && text != '1') return 0;
    const Slot& source = now_.wiring.bits[c];
    const bool one = (text == '1') != source.value;
    if (source.wire < 0) {
      if (one) return 0;
      continue;
    }
    const std::uint64_t place = bit(now_.layout.position_of[source.wire]);
    if (mask & place && static_cast<bool>(value & place) != one) return 0;
    mask |= place;
    if (one) value |= place;
  }
  return masked_norm(now_.state.re.data(), now_.state.im.data(), now_.state.size(), mask, value) / norm_;
}

bool DenseRun::all_read() const {
  std::uint64_t read = 0;
  for (const Slot& source : now_.wiring.bits)
    if (source.wire >= 0) read |= bit(source.wire);
  return read == now_.wiring.used;
}

double DenseRun::collision_probability() const {
  double total = 0;
  const float *re = now_.state.re.data(), *im = now_.state.im.data();
  for (std::uint64_t x = 0; x < now_.state.size(); ++x) {
    const double p = double(re[x]) * re[x] + double(im[x]) * im[x];
    total += p * p;
  }
  return total / (norm_ * norm_);
}

}  // namespace qrex::dense

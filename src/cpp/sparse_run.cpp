#include "sparse_run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>

#include "parallel.hpp"

namespace qrex::sparse {
namespace {

constexpr double kLook = 1 << 16;       // work between looks at the clock
constexpr double kStepWork = 4, kBlockWork = 12;  // in sweeps of one amplitude
constexpr std::uint32_t kPacked = 64;   // states of up to that many amplitudes wait packed
constexpr std::uint32_t kTrend = 8;     // blocks between two readings of the size
constexpr std::size_t kRows = 1 << 14;  // compiled between looks at the clock

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Run::Run(nanobind::handle program, std::uint64_t shots, std::uint64_t seed, std::size_t memory, int threads,
         int fused_bits)
    : circuit_(program), compiler_(std::make_unique<Compiler>(circuit_, plan_, fused_bits)),
      kernels_(kernels_for(plan_.words)), budget_(memory),
      pool_(budget_, plan_.words), records_(budget_), threads_(std::max(1, threads)), scratch_(threads_),
      random_(seed), shots_(shots), clbit_words_((circuit_.num_clbits + 63) / 64) {
  branch_.shots = shots;
  branch_.bits.assign(clbit_words_, 0);
  done_ = shots == 0;
}

void Run::compile() {
  const bool complete = compiler_->some(kRows);
  const std::size_t bytes = plan_.bytes();
  budget_.take(bytes - plan_bytes_);
  plan_bytes_ = bytes;
  if (!complete) return;
  compiler_.reset();
  guard_seen_.assign(plan_.guards.size(), 0);
  Chunk chunk = pool_.get();
  std::fill(chunk.keys, chunk.keys + plan_.words, 0);
  chunk.amps[0] = 1;
  chunk.count = 1;
  branch_.state.chunks.push_back(chunk);
}

bool Run::advance(double seconds) {
  if (failed_) throw OutOfMemory{};
  const double start = now(), until = start + seconds;
  double at = start;
  try {
    while (!done_ && at < until) {
      const double before = at;
      if (compiler_) {
        compile();
        at = now();
        compiled_seconds_ += at - before;
      } else {
        run_steps();
        at = now();
      }
    }
  } catch (const OutOfMemory&) {
    failed_ = true;
    elapsed_ += now() - start;
    throw;
  }
  elapsed_ += at - start;
  return done_;
}

void Run::run_steps() {
  const double stop = work_ + kLook;
  while (work_ < stop && !done_) {
    if (pass_) {
      work_ += kLook;
      if (!pass_->step(threads_)) continue;
      double dropped = 0;
      pass_->finish(branch_.state, dropped);
      pass_.reset();
      adopt(dropped);
    } else if (branch_.at == plan_.steps.size()) {
      end_branch();
    } else {
      const Step& step = plan_.steps[branch_.at];
      if (step.kind == Kind::Block) block(step);
      else if (step.kind < Kind::Block) sweep(plan_.run_end[branch_.at]);
      else measure(step);
    }
  }
}

bool Run::holds(int guard) {
  std::uint32_t& seen = guard_seen_[guard];
  if (seen >> 1 == generation_) return seen & 1;
  const GuardTest& test = plan_.guards[guard];
  const auto& bits = branch_.bits;
  const bool yes = test.simple ? ((bits[test.word] & test.mask) ? test.if_one : test.if_zero)
                               : circuit_.holds(guard, [&](int c) { return bits[c >> 6] >> (c & 63) & 1; });
  seen = generation_ << 1 | std::uint32_t(yes);
  return yes;
}

void Run::sweep(std::uint32_t end) {
  const std::uint32_t first = branch_.at;
  if (size_ == 1) {  // phases are global
    Chunk& chunk = branch_.state.chunks[0];
    std::uint32_t k = first, done = 0;
    while ((k = plan_.next_moving[k]) < end && done++ < kLook) {
      const Step& step = plan_.steps[k++];
      if (step.guard < 0 || holds(step.guard)) kernels_.sweep(plan_, step, chunk.keys, chunk.amps, 1);
    }
    branch_.at = std::min(k, end);
    work_ += (kStepWork + 1) * done + 1;
    return;
  }
  if (branch_.state.chunks.size() == 1) {
    Chunk& chunk = branch_.state.chunks[0];
    end = std::min<std::uint32_t>(end, first + 1 + std::uint32_t(kLook) / chunk.count);
    for (std::uint32_t k = first; k < end; ++k) {
      const Step& step = plan_.steps[k];
      if (step.guard < 0 || holds(step.guard)) kernels_.sweep(plan_, step, chunk.keys, chunk.amps, chunk.count);
    }
  } else {
    end = std::min<std::uint32_t>(end, first + 1 + std::uint32_t((1 << 22) / size_));
    active_.clear();
    for (std::uint32_t k = first; k < end; ++k)
      if (const Step& step = plan_.steps[k]; step.guard < 0 || holds(step.guard)) active_.push_back(&step);
    auto& chunks = branch_.state.chunks;
    parallel_for(chunks.size(), size_ * active_.size() > (1 << 18) ? threads_ : 1, [&](int, std::uint64_t c) {
      for (const Step* step : active_) kernels_.sweep(plan_, *step, chunks[c].keys, chunks[c].amps, chunks[c].count);
    });
  }
  branch_.at = end;
  work_ += (kStepWork + double(size_)) * (end - first);
}

void Run::block(const Step& step) {
  const Block& block = plan_.blocks[step.index];
  std::vector<const LocalGate*>& gates = scratch_[0].gates;
  gates.clear();
  for (std::uint32_t k = block.first; k < block.last; ++k)
    if (const LocalGate& gate = plan_.gates[k]; gate.guard < 0 || holds(gate.guard)) gates.push_back(&gate);
  work_ += kStepWork * 4 + kBlockWork * double(size_);
  if (gates.empty()) {
    ++branch_.at;
    return;
  }
  if (branch_.state.chunks.size() > 1) {
    branch_.ordered = false;
    pass_ = std::make_unique<BlockPass>(plan_, block, gates, branch_.state, pool_, records_, scratch_);
    return;
  }
  const Chunk chunk = branch_.state.chunks[0];
  const Source source{chunk.keys, reinterpret_cast<const double*>(chunk.amps), plan_.words, 2, chunk.count};
  Appender out(pool_, plan_.words);
  out.chunks = std::move(branch_.state.chunks);
  if (!spare_.keys) spare_ = pool_.get();
  spare_.count = 0;
  out.chunks[0] = spare_;
  spare_ = chunk;
  kernels_.combine(plan_, block, source, gates, scratch_[0], out);
  branch_.state.chunks = std::move(out.chunks);
  adopt(out.dropped);
}

// A block has been applied: `branch_.state` is new.
void Run::adopt(double dropped) {
  if (dropped > 0) branch_.error += std::sqrt(dropped);
  if (branch_.state.chunks.size() > 1) compact();
  size_ = branch_.state.size();
  largest_ = std::max(largest_, size_);
  ++branch_.at;
  if (++blocks_done_ - past_blocks_ >= 2 * kTrend) {
    past_blocks_ += kTrend;
    past_size_ = middle_size_;
  }
  if (blocks_done_ - past_blocks_ == kTrend) middle_size_ = size_;
  std::size_t bytes = 0;
  for (const Scratch& scratch : scratch_) bytes += scratch.bytes();
  if (bytes > scratch_bytes_) {
    budget_.take(bytes - scratch_bytes_);
    scratch_bytes_ = bytes;
  }
}

// Chunks that are nearly empty are merged: a state of few amplitudes lies in one.
void Run::compact() {
  auto& chunks = branch_.state.chunks;
  const std::uint64_t needed = (branch_.state.size() + kChunk - 1) / kChunk;
  if (chunks.size() <= std::max<std::uint64_t>(needed, 1) + (needed > 4 ? needed / 4 : 0)) return;
  std::size_t to = 0;
  for (std::size_t from = 1; from < chunks.size(); ++from) {
    Chunk& source = chunks[from];
    while (source.count) {
      if (chunks[to].count == kChunk) {
        ++to;
        if (to == from) break;
      }
      Chunk& target = chunks[to];
      const std::uint32_t moved = std::min(source.count, kChunk - target.count), rest = source.count - moved;
      std::copy_n(source.keys + std::size_t{rest} * plan_.words, std::size_t{moved} * plan_.words,
                  target.keys + std::size_t{target.count} * plan_.words);
      std::copy_n(source.amps + rest, moved, target.amps + target.count);
      target.count += moved;
      source.count = rest;
    }
  }
  while (chunks.size() > 1 && chunks.back().count == 0) {
    pool_.put(chunks.back());
    chunks.pop_back();
  }
}

void Run::measure(const Step& step) {
  work_ += kStepWork * 4 + 2 * double(size_);
  ++branch_.at;
  if (step.guard >= 0 && !holds(step.guard)) return;
  ++generation_;
  const std::uint32_t n = plan_.words;
  std::uint64_t weights[2] = {0, 0}, counts[2] = {0, 0};
  for (const Chunk& chunk : branch_.state.chunks)
    for (std::uint32_t i = 0; i < chunk.count; ++i) {
      const int one = (chunk.keys[std::size_t{i} * n + step.word] & step.bit) != 0;
      weights[one] += weight(chunk.amps[i]);
      ++counts[one];
    }
  std::uint64_t ones = counts[0] == 0 ? branch_.shots : 0;
  if (counts[0] && counts[1]) {
    drew_ = true;
    const std::uint64_t total = weights[0] + weights[1];
    for (std::uint64_t shot = 0; shot < branch_.shots; ++shot) ones += random_.below(total) < weights[1];
    const double scales[2] = {std::sqrt(double(total) / double(std::max<std::uint64_t>(weights[0], 1))),
                              std::sqrt(double(total) / double(std::max<std::uint64_t>(weights[1], 1)))};
    if (ones && ones < branch_.shots) {
      Branch other;
      other.at = branch_.at;
      other.shots = ones;
      other.error = branch_.error;
      other.ordered = branch_.ordered;
      other.bits = branch_.bits;
      keep(step.word, step.bit, false, scales[0], &other.state, scales[1]);
      settle(step, other, true);
      branch_.shots -= ones;
      ones = 0;
      rest(std::move(other));
    } else {
      keep(step.word, step.bit, ones != 0, scales[ones != 0], nullptr, 0);
    }
  }
  settle(step, branch_, ones != 0);
}

// Record the outcome, or clear the bit where it is a reset.
void Run::settle(const Step& step, Branch& branch, bool one) {
  if (step.kind == Kind::Measure) {
    const std::uint64_t bit = std::uint64_t{1} << (step.clbit & 63);
    auto& word = branch.bits[step.clbit >> 6];
    word = one ? word | bit : word & ~bit;
  } else if (one) {
    for (const Chunk& chunk : branch.state.chunks)
      for (std::uint32_t i = 0; i < chunk.count; ++i) chunk.keys[std::size_t{i} * plan_.words + step.word] &= ~step.bit;
  }
}

// Keep the amplitudes whose bit is `one`, scaled; the others go to `other`, scaled likewise, or away.
void Run::keep(std::uint32_t word, std::uint64_t bit, bool one, double scale, State* other, double other_scale) {
  const std::uint32_t n = plan_.words;
  Appender away(pool_, n);
  for (Chunk& chunk : branch_.state.chunks) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < chunk.count; ++i) {
      const std::uint64_t* key = chunk.keys + std::size_t{i} * n;
      if (((key[word] & bit) != 0) == one) {
        std::copy_n(key, n, chunk.keys + std::size_t{kept} * n);
        chunk.amps[kept++] = chunk.amps[i] * scale;
      } else if (other) {
        Chunk& room = away.room();
        std::copy_n(key, n, room.keys + std::size_t{room.count} * n);
        room.amps[room.count++] = chunk.amps[i] * other_scale;
      }
    }
    chunk.count = kept;
  }
  if (other) other->chunks = std::move(away.chunks);
  auto& chunks = branch_.state.chunks;
  if (chunks.size() > 1) {
    for (std::size_t c = chunks.size(); c-- > 0 && chunks.size() > 1;)
      if (chunks[c].count == 0) {
        pool_.put(chunks[c]);
        chunks.erase(chunks.begin() + c);
      }
    compact();
  }
  size_ = branch_.state.size();
}

void Run::rest(Branch&& branch) {
  auto& chunks = branch.state.chunks;
  if (chunks.size() == 1 && chunks[0].count <= kPacked) {
    const Chunk& chunk = chunks[0];
    if (!spare_words_.empty()) {
      branch.packed = std::move(spare_words_.back());
      spare_words_.pop_back();
    }
    const std::size_t words = std::size_t{chunk.count} * plan_.words;
    branch.packed.resize(words + 2 * std::size_t{chunk.count});
    std::copy_n(chunk.keys, words, branch.packed.data());
    std::copy_n(chunk.amps, chunk.count, reinterpret_cast<Amplitude*>(branch.packed.data() + words));
    branch.packed_count = chunk.count;
    pool_.put(chunk);
    chunks.clear();
  }
  waiting_progress_ += double(branch.shots) * branch.at;
  waiting_.push_back(std::move(branch));
}

void Run::resume() {
  branch_ = std::move(waiting_.back());
  waiting_.pop_back();
  waiting_progress_ -= double(branch_.shots) * branch_.at;
  ++generation_;
  if (branch_.packed_count) {
    Chunk chunk = pool_.get();
    const std::size_t words = std::size_t{branch_.packed_count} * plan_.words;
    std::copy_n(branch_.packed.data(), words, chunk.keys);
    std::copy_n(reinterpret_cast<const Amplitude*>(branch_.packed.data() + words), branch_.packed_count, chunk.amps);
    chunk.count = branch_.packed_count;
    branch_.state.chunks.push_back(chunk);
    spare_words_.push_back(std::move(branch_.packed));
    branch_.packed_count = 0;
  }
  size_ = branch_.state.size();
}

void Run::end_branch() {
  work_ += kStepWork * 4 + double(plan_.finals.size());
  if (branch_.state.chunks.size() == 1 && branch_.ordered) sample_small();
  else sample_large();
  worst_error_ = std::max(worst_error_, branch_.error);
  ended_shots_ += branch_.shots;
  ++ended_branches_;
  if (waiting_.empty()) {
    done_ = true;
    return;
  }
  for (const Chunk& chunk : branch_.state.chunks) pool_.put(chunk);
  branch_.state.chunks.clear();
  resume();
}

double Run::fraction() const {
  if (done_) return 1;
  if (compiler_) return 0;
  const double steps = double(plan_.steps.size()) + 1;
  return std::min(1.0, (double(ended_shots_) + (waiting_progress_ + double(branch_.shots) * branch_.at) / steps) /
                           double(shots_));
}

// Optimistic: a state that grew over the last blocks gains half as many bits again as it has, at most; others stay.
double Run::forecast() const {
  if (done_) return 0;
  if (compiler_) return compiler_->fraction() > 0 ? elapsed_ / compiler_->fraction() - elapsed_ : 0;
  if (work_ <= 0) return 0;
  if (ended_shots_ > 0) return elapsed_ / double(ended_shots_) * double(shots_ - ended_shots_);
  const double left = plan_.blocks_after[branch_.at], steps = double(plan_.steps.size() - branch_.at);
  const double bits = std::log2(double(size_));
  double top = bits;
  if (size_ > past_size_) top += 0.5 * bits * std::min(1.0, left / std::max(1.0, double(blocks_done_)));
  top = std::min(top, std::max<double>(circuit_.num_qubits, bits));
  const double room = std::log2(double(budget_.limit()) / (2.0 * (8 * plan_.words + sizeof(Amplitude))));
  if (top > room) return std::numeric_limits<double>::infinity();
  // Steps and blocks spread evenly over a size that rises from `bits` to `top`.
  const double rise = (top - bits) * std::numbers::ln2;
  const double mean = double(size_) * (rise > 1e-6 ? std::expm1(rise) / rise : 1.0);
  const double waiting = double(waiting_.size()) + 1;
  return (elapsed_ - compiled_seconds_) / work_ * waiting *
         ((steps - left) * (kStepWork + mean) + left * (4 * kStepWork + kBlockWork * mean));
}

}  // namespace qrex::sparse

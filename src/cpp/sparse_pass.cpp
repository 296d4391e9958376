#include "sparse_pass.hpp"

#include <algorithm>

#include "parallel.hpp"

namespace qrex::sparse {
namespace {

constexpr std::size_t kGroupBytes = 192 << 10;  // of one partition's groups: in the second-level cache
constexpr std::uint64_t kSlice = 1 << 17;       // amplitudes per slice and thread

}  // namespace

BlockPass::BlockPass(const Plan& plan, const Block& block, std::vector<const LocalGate*> gates, State& state,
                     Pool& pool, Region& records, std::vector<Scratch>& scratch)
    : plan_(plan), block_(block), kernels_(kernels_for(plan.words)), gates_(std::move(gates)),
      input_(std::move(state.chunks)), pool_(pool), records_(records), scratch_(scratch) {
  state.chunks.clear();
  for (const Chunk& chunk : input_) amplitudes_ += chunk.count;
  const std::size_t group = plan.words * 8 + (std::size_t{16} << block.bits) + 16;
  const std::uint64_t partition = std::max<std::uint64_t>(kGroupBytes / group, 64);
  while (bits_ < 12 && (amplitudes_ >> bits_) > partition) ++bits_;
  ranges_ = std::min<std::size_t>(input_.size(), 64);
  histogram_.assign(ranges_ << bits_, 0);
  const std::size_t bytes = amplitudes_ * (plan.words + 2) * 8;
  if (bytes > records.bytes()) {
    records.release();
    try {
      records.reserve(bytes + bytes / 4);  // the next state may be somewhat larger
    } catch (const OutOfMemory&) {
      records.reserve(bytes);
    }
  }
  out_.assign(scratch.size(), Appender(pool, plan.words));
}

void BlockPass::plan_partitions() {
  const std::size_t partitions = std::size_t{1} << bits_;
  next_.resize(ranges_ * partitions);
  starts_.resize(partitions + 1);
  std::uint64_t at = 0;
  for (std::size_t p = 0; p < partitions; ++p) {
    starts_[p] = at;
    for (std::size_t r = 0; r < ranges_; ++r) {
      next_[r * partitions + p] = at;
      at += histogram_[r * partitions + p];
    }
  }
  starts_[partitions] = at;
}

bool BlockPass::step(int threads) {
  const std::size_t partitions = std::size_t{1} << bits_;
  threads = std::clamp<int>(std::min<std::uint64_t>(amplitudes_ >> 14, threads), 1, int(scratch_.size()));
  if (phase_ == 1 && !records_.touch(amplitudes_ * (plan_.words + 2) * 8, threads)) return false;
  const std::size_t items = phase_ < 2 ? ranges_ : partitions;
  const std::uint64_t per_item = std::max<std::uint64_t>(1, amplitudes_ / items);
  // A partition may grow by 2^bits, on pages that are touched for the first time.
  const std::uint64_t slice = phase_ < 2 ? kSlice : kSlice >> block_.bits;
  const std::size_t some = std::max<std::uint64_t>(threads, slice * threads / per_item);
  const std::size_t end = std::min(items, cursor_ + some);
  const auto range = [&](std::size_t r, auto&& body) {
    for (std::size_t c = input_.size() * r / ranges_; c < input_.size() * (r + 1) / ranges_; ++c) body(input_[c]);
  };
  auto* records = static_cast<std::uint64_t*>(records_.data());
  const std::uint32_t record_words = plan_.words + 2;
  parallel_for(end - cursor_, threads, [&](int worker, std::uint64_t item) {
    const std::size_t at = cursor_ + item;
    if (phase_ == 0) {
      range(at, [&](const Chunk& chunk) { kernels_.count(plan_, block_, chunk, bits_, &histogram_[at * partitions]); });
    } else if (phase_ == 1) {
      range(at, [&](const Chunk& chunk) {
        kernels_.scatter(plan_, block_, chunk, bits_, &next_[at * partitions], records);
      });
    } else {
      const std::uint64_t* first = records + starts_[at] * record_words;
      const Source source{first, reinterpret_cast<const double*>(first + plan_.words), record_words, record_words,
                          std::uint32_t(starts_[at + 1] - starts_[at])};
      if (source.count) kernels_.combine(plan_, block_, source, gates_, scratch_[worker], out_[worker]);
    }
  });
  cursor_ = end;
  if (cursor_ < items) return false;
  cursor_ = 0;
  if (phase_ == 0) plan_partitions();
  if (phase_ == 1) {
    for (const Chunk& chunk : input_) pool_.put(chunk);
    input_.clear();
  }
  return ++phase_ == 3;
}

void BlockPass::finish(State& state, double& dropped) {
  for (Appender& out : out_) {
    state.chunks.insert(state.chunks.end(), out.chunks.begin(), out.chunks.end());
    dropped += out.dropped;
  }
}

}  // namespace qrex::sparse

// A block applied to a state of many chunks, in slices: amplitudes are moved into partitions by the hash of
// their key without the block's bits, so that whole groups lie together, and each partition is combined in cache.
#pragma once

#include "sparse_state.hpp"

namespace qrex::sparse {

class BlockPass {
 public:
  // Takes the chunks of `state`; `records` is working memory that may be used again by the next pass.
  BlockPass(const Plan& plan, const Block& block, std::vector<const LocalGate*> gates, State& state, Pool& pool,
            Region& records, std::vector<Scratch>& scratch);
  bool step(int threads);  // one slice; true when done
  // The new state; adds what was dropped.
  void finish(State& state, double& dropped);
  std::uint64_t amplitudes() const { return amplitudes_; }

 private:
  void plan_partitions();
  const Plan& plan_;
  const Block& block_;
  const Kernels& kernels_;
  std::vector<const LocalGate*> gates_;
  std::vector<Chunk> input_;
  Pool& pool_;
  Region& records_;
  std::vector<Scratch>& scratch_;
  std::vector<Appender> out_;
  std::uint64_t amplitudes_ = 0;
  int bits_ = 1, phase_ = 0;
  std::size_t ranges_ = 1, cursor_ = 0;
  std::vector<std::uint32_t> histogram_;    // ranges × partitions
  std::vector<std::uint64_t> next_, starts_;  // records of each range and partition; of each partition
};

}  // namespace qrex::sparse

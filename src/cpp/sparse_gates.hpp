// Between rows and steps: gates, and how they become steps and blocks.
#pragma once

#include <span>

#include "sparse_plan.hpp"

namespace qrex::sparse {

// One row, or one-qubit rows multiplied, before it becomes a step or part of a block. Positions: `controls`
// that must be 1 (`inverted`: the last of them 0), then `targets`.
struct Gate {
  Kind kind;
  bool inverted = false;
  std::int32_t guard = -1;
  std::uint32_t at = 0, controls = 0, targets = 0;
  Amplitude m[4]{};
  std::uint32_t table = 0;
  bool branches() const { return kind == Kind::One || kind == Kind::Matrix; }
  bool changes() const { return kind != Kind::Phase && kind != Kind::Parity && kind != Kind::Diagonal; }
};

// Takes gates in order; `emit` appends them to the plan.
class GateSink {
 public:
  GateSink(Plan& plan, int fused_bits) : plan_(plan), fused_bits_(fused_bits) {}

  // A gate on the bits at `positions`, the first `controls` of which are controls.
  Gate& add(Kind kind, std::span<const std::int32_t> positions, std::uint32_t controls, int guard);
  void add_table(Kind kind, MonomialTable table, std::span<const std::int32_t> positions, int guard);
  void add_matrix(std::vector<Amplitude> entries, std::span<const std::int32_t> positions, int guard);
  void emit();

 private:
  struct Bits;
  bool join(Bits& bits, const Gate& gate, int most) const;
  Step as_step(const Gate& gate);
  void add_block(const Bits& bits, std::size_t first, std::size_t end);
  LocalGate as_local(const Gate& gate, const Bits& bits);
  void add_test(std::int32_t position, bool wanted);

  Plan& plan_;
  const int fused_bits_;
  std::vector<Gate> gates_;
  std::vector<std::int32_t> positions_;
  std::vector<std::vector<Amplitude>> matrices_;
  std::vector<Test> found_;
};

inline void set_bit(std::uint32_t& word, std::uint64_t& bit, int position) {
  word = position >> 6;
  bit = std::uint64_t{1} << (position & 63);
}

}  // namespace qrex::sparse

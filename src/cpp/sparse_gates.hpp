// From rows to gates, from gates to steps and blocks.
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
  std::size_t waiting() const { return gates_.size(); }

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

// Lowers a circuit, some rows at a time.
class Compiler {
 public:
  Compiler(const Circuit& circuit, Plan& plan, int fused_bits);
  bool some(std::size_t rows);  // whether the plan is complete
  double fraction() const { return circuit_.size() ? double(row_) / double(circuit_.size()) : 1.0; }

 private:
  struct Pending {  // one-qubit rows on a qubit, multiplied, that nothing has met yet
    bool any = false, diagonal = true;
    Amplitude m[4];
  };
  void find_finals();
  void finish();
  void read(std::size_t row);
  void fuse(int qubit, const Amplitude* m);
  void flush(int qubit);
  void meet(int qubit, bool diagonal);
  std::span<const std::int32_t> places(std::span<const std::int32_t> qubits);
  Gate& add(Kind kind, std::span<const std::int32_t> qubits, std::uint32_t controls, int guard);
  void one_qubit(std::span<const std::int32_t> qubits, const Amplitude* m, int guard);
  void controlled(std::span<const std::int32_t> qubits, const Amplitude* m, int guard);
  void several(std::size_t row, Op op, std::span<const std::int32_t> qubits, int guard);
  void matrix(std::vector<Amplitude> m, std::span<const std::int32_t> qubits, int guard);

  const Circuit& circuit_;
  Plan& plan_;
  GateSink sink_;
  std::size_t row_ = 0;
  std::vector<char> final_;  // per row: 1 measured at the end, 2 without effect
  std::vector<Pending> pending_;
  std::vector<std::int32_t> places_;
};

inline void set_bit(std::uint32_t& word, std::uint64_t& bit, int position) {
  word = position >> 6;
  bit = std::uint64_t{1} << (position & 63);
}

}  // namespace qrex::sparse

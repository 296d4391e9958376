// A stage: a set of local qubits and the gates on them, applied to a whole state in one pass.
//
// "Position" means the place of a qubit in the state's index, "bit" its place in the block. For each value of
// the other positions the 2^L local amplitudes are gathered into a buffer that stays in cache, every gate is
// applied to them, and they are scattered back. Controls and diagonal gates may lie on any position: outside
// the block they are the same for all its amplitudes.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "memory.hpp"
#include "program.hpp"

namespace qrex {

using Complex = std::complex<double>;

// What one thread needs to run stages; it grows to what the largest of them wants.
class StageWorkspace {
 public:
  void reserve(std::size_t buffer_floats, std::size_t table_floats);
  float* buffer() const { return buffer_->data(); }
  float* tables() const { return tables_->data(); }
  std::vector<double> linear, row_phase;

 private:
  std::unique_ptr<AlignedFloats> buffer_, tables_;
  std::size_t buffer_size_ = 0, table_size_ = 0;
};

// 2^bits consecutive amplitudes of a state, from index `base` on; all local positions of a stage lie below `bits`.
struct Window {
  int bits;
  std::uint64_t base;
};

class Stage {
 public:
  // `local` holds the local positions in ascending order, one per bit; its lowest ones must be 0, 1, ... so
  // that a vector of amplitudes is contiguous. 2^inner_bits amplitudes are taken to fit the first-level cache.
  Stage(int num_qubits, std::vector<int> local, int inner_bits, const KernelSet& kernels);

  // One-qubit gate (row-major 2x2) on amplitudes that satisfy the controls.
  void one(int target, const Complex* matrix, std::uint64_t control_mask, std::uint64_t control_value);
  // One of two one-qubit gates, chosen by the bit at position `selector`: matrices[0:4] and matrices[4:8].
  void select(int selector, int target, const Complex* matrices);
  // Two-qubit gate, row-major 4x4, on amplitudes that satisfy the controls; q0 is the low bit of its index.
  void two(int q0, int q1, const Complex* matrix, std::uint64_t control_mask, std::uint64_t control_value);
  // Gate on up to kMaxManyQubits qubits, row-major; the first position is the low bit of its index.
  void many(const std::vector<int>& positions, const Complex* matrix);
  // Product over k of exp(i angles[k] [x contains masks[k]]); masks are sets of positions, local or not.
  void diagonal(const std::vector<std::uint64_t>& masks, const std::vector<double>& angles);

  // Diagonal gate with one entry per value of the bits at `positions` (the first one low), local or not.
  void table(const std::vector<int>& positions, const Complex* diagonal);

  // Applies the stage to the planar state of 2^num_qubits amplitudes in place. Amplitudes whose index meets
  // `zero_mask` are known to be zero and are not read.
  void run(float* re, float* im, int threads, std::uint64_t zero_mask) const;
  // The same for `count` of its `blocks` from `first` on; `workspaces` may serve other stages too.
  void run(float* re, float* im, int threads, std::uint64_t zero_mask, std::uint64_t first, std::uint64_t count,
           std::vector<StageWorkspace>& workspaces) const {
    run(re, im, threads, {num_qubits_, 0}, zero_mask, first, count, workspaces);
  }
  // The same where `re` and `im` hold only the part in `window`.
  void run(float* re, float* im, int threads, Window window, std::uint64_t zero_mask, std::uint64_t first,
           std::uint64_t count, std::vector<StageWorkspace>& workspaces) const;
  std::uint64_t blocks(std::uint64_t zero_mask) const { return blocks({num_qubits_, 0}, zero_mask); }
  std::uint64_t blocks(Window window, std::uint64_t zero_mask) const;

  std::uint64_t workspace_bytes(int threads) const;
  std::uint64_t held_bytes() const;
  std::size_t size() const { return ops_.size(); }
  int block_bits() const { return bits_; }
  int num_qubits() const { return num_qubits_; }

 private:
  struct Diagonal {
    struct Outer {
      std::uint64_t mask;
      int bit;  // of the block, or -1
      double angle;
    };
    int table_bits;
    std::vector<double> linear;  // per bit
    std::vector<float> columns;  // pair terms within the columns: re, im
    std::vector<float> rows_re, rows_im;
    std::vector<double> pairs;
    std::vector<std::uint8_t> row_flat;
    std::vector<Outer> outer;
    bool columns_trivial;
  };
  struct Many {
    std::vector<std::uint64_t> offset;
    std::vector<int> flip;
    std::vector<std::uint32_t> start;
    std::vector<std::uint16_t> column;
    std::vector<float> coefficients;
    std::uint64_t targets = 0;
  };
  struct Lookup {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> inside, outside;  // a bit's mask, its place in the index
    std::vector<float> re, im;
  };

  struct Member {
    std::uint64_t target;
    Complex matrix[4];
  };

  int bit_of(int position) const;
  std::uint64_t split(std::uint64_t mask, std::uint64_t* outer) const;
  void push_one(int target_bit, const Complex* satisfied, const Complex* otherwise, std::uint64_t lane_mask,
                std::uint64_t lane_value, MatrixOp op);
  void push_phase(std::uint64_t mask, double angle);
  bool shares_visits(const MatrixOp& op) const;
  void join_layer(const Complex* matrix);
  void write_layer(MatrixOp& op);
  // Whether the controls that lie outside a block are met there.
  static bool concerns(const MatrixOp& op, std::uint64_t base) { return ((base ^ op.outer_value) & op.outer_mask) == 0; }
  bool gathers() const { return chunk_bits_ != bits_; }
  std::uint64_t place(std::uint64_t x) const { return x + (x >> kRowBits) * skip_; }
  std::size_t plane_floats() const;
  std::vector<std::uint64_t> piece_offsets() const;
  void run_block(float* re, float* im, std::uint64_t base, std::uint64_t zero_mask,
                 const std::vector<std::uint64_t>& pieces, StageWorkspace& workspace) const;
  void run_gates(float* re, float* im, std::uint64_t base, StageWorkspace& workspace) const;
  void run_diagonal(const Diagonal& d, float* re, float* im, std::uint64_t base, StageWorkspace& workspace) const;
  void run_many(const Many& gate, float* re, float* im) const;
  void run_table(const Lookup& table, float* re, float* im, std::uint64_t base) const;
  std::size_t table_floats() const;

  int num_qubits_, bits_, chunk_bits_, piece_bits_, inner_bits_;
  std::uint64_t skip_;  // between rows of a block, as in Space
  std::vector<int> local_;
  std::vector<std::int8_t> bit_of_;
  std::uint64_t local_mask_;
  const KernelSet& kernels_;
  std::vector<MatrixOp> ops_;  // `coefficients` of a Diagonal, Many or Table op is its index in the lists below
  std::vector<float> table_;
  std::vector<Member> layer_;  // the gates of the operation that ends at layer_end_, as long as others may join it
  std::size_t layer_end_ = 0;
  std::vector<Diagonal> diagonals_;
  std::vector<Many> manies_;
  std::vector<Lookup> lookups_;
};

}  // namespace qrex

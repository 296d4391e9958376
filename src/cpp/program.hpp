// What a kernel set is: plain structs and one function table per instruction set.
//
// Amplitudes are planar float32 (real parts, imaginary parts). A block is 2^bits consecutive amplitudes in a
// buffer; the lowest bits are SIMD lanes. Coefficients are stored once per lane, so that a target or a
// control that lies in the lanes costs a shuffle and no extra arithmetic.
//
// The kernels are compiled once per instruction set, so nothing here may define code that the linker could
// merge between those objects: structs only, no templates of the standard library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qrex {

// Layer: one-qubit gates of one structure, not General, on two or three targets above the lanes.
// The last three are on whole blocks.
enum class OpKind : std::uint8_t { One, Two, Swap, Phase, Layer, Diagonal, Many, Table };

// Which parts of the entries are nonzero. CrossImaginary: real diagonal, imaginary off-diagonal (RX, RXX).
enum class Structure : std::uint8_t { General, Real, CrossImaginary };

// One gate, or one layer of gates, on a block. Bits are buffer bits. `lane0`/`lane1` are the targets that lie in the
// lanes, or -1 (lane0 < lane1 when both do); `high0` to `high2` the others as amplitude strides, or 0.
struct MatrixOp {
  OpKind kind;
  Structure structure;
  bool scaled;  // of a Layer: its first gates lack their scale (see `layer` of the kernels)
  std::int8_t lane0, lane1;
  std::uint64_t high0, high1, high2;
  std::uint64_t control_mask, control_value;  // buffer bits above the lanes
  std::uint64_t outer_mask, outer_value;      // bits of the state that the block does not contain
  std::size_t coefficients;                   // offset into the stage's table, in floats
};

// Part of a block: the amplitudes whose index agrees with `offset` in the bits outside `inner`, which contains the
// lanes. Amplitude x of the block lies at x + (x >> kRowBits) * skip.
struct Space {
  std::uint64_t inner, offset, skip;
};

// Gathered blocks leave kRowSkip floats free after every 2^kRowBits amplitudes. Without them amplitudes that differ
// in high bits fall into the same few sets of the first-level cache; with them any 11 bits of an index, the lowest four
// among them, address what fits it, but for 3 choices of 330 (found by trying all multiples of a cache line).
constexpr int kRowBits = 10;
constexpr std::uint64_t kRowSkip = 80;

// A product of phases exp(i f(x)), f quadratic in the bits of x, on one block: x = (row, column),
// 2^table_bits columns. `rows[j]` is the factor that row bit j brings to each column.
struct DiagonalBlock {
  int table_bits, row_bits;
  const float *root_re, *root_im;  // row 0
  const float *rows_re, *rows_im;  // row_bits tables of 2^table_bits
  std::uint64_t skip;              // as in Space
  const double* row_phase;         // row_bits complex factors
  const double* pair_phase;        // row_bits x row_bits complex factors, [j][k] for k > j
  const std::uint8_t* row_flat;            // rows[j] is one everywhere
  bool root_trivial;               // the root is one everywhere
  float* scratch;                  // row_bits tables, real and imaginary
};

constexpr int kMaxManyQubits = 8;

// A dense gate on several qubits, on one block. Result row r, of `rows`, lies `offset[r]` vectors further and is
// the sum over k from start[r] to start[r + 1] of coefficient k times input column[k]: vector column / flips, its
// lanes exchanged by flip[column % flips].
struct ManyBlock {
  Space space;
  int rows, flips;
  const std::uint64_t* offset;
  const int* flip;
  const std::uint32_t* start;
  const std::uint16_t* column;
  const float* coefficients;  // per k real parts, then imaginary parts, one per lane
  std::uint64_t targets;      // block bits above the lanes
};

// The consecutive pieces of a block, each `floats` long, and where they lie in a plane of the state. Those whose
// offset meets `zero` are known to be zero.
struct Pieces {
  const std::uint64_t* offset;
  std::uint64_t count, floats, zero;
  std::uint64_t skip;  // of the block, as in Space
};

struct KernelSet {
  const char* name;
  int lane_bits;
  void (*apply)(const MatrixOp& op, const float* coefficients, float* re, float* im, const Space& space);
  void (*diagonal)(const DiagonalBlock& block, float* re, float* im);
  void (*many)(const ManyBlock& block, float* re, float* im);
  void (*gather)(const Pieces& pieces, const float* plane, float* block);
  void (*scatter)(const Pieces& pieces, const float* block, float* plane);
  double (*norm)(const float* re, const float* im, std::uint64_t count);
};

}  // namespace qrex

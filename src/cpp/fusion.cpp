#include "fusion.hpp"

#include <algorithm>

namespace qrex::dense {
namespace {

constexpr unsigned kLow = kDiagonalLow | kControlsLow, kHigh = kDiagonalHigh | kControlsHigh;

// A one-wire gate as one on two wires, itself on wire `place`; returns its flags.
unsigned widen(unsigned flags, const Complex* m, int place, Complex* out) {
  std::fill(out, out + 16, Complex(0));
  if (place == 0) {
    out[0] = out[10] = m[0], out[1] = out[11] = m[1], out[4] = out[14] = m[2], out[5] = out[15] = m[3];
    return (flags & ~kHigh) | kDiagonalHigh;
  }
  out[0] = out[5] = m[0], out[2] = out[7] = m[1], out[8] = out[13] = m[2], out[10] = out[15] = m[3];
  const unsigned diagonal = flags & kDiagonalLow ? kDiagonalHigh : 0;
  return (flags & ~(kLow | kHigh)) | kDiagonalLow | diagonal;
}

// The same gate with its two wires named in the other order.
unsigned exchange(unsigned flags, const Complex* m, Complex* out) {
  constexpr int kOrder[4] = {0, 2, 1, 3};
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) out[4 * r + c] = m[4 * kOrder[r] + kOrder[c]];
  return (flags & ~(kLow | kHigh)) | (flags & kLow) << 1 | (flags & kHigh) >> 1;
}

// a = a · b. Most factors are sparse: rows skip the zeros of a.
template <int Size>
void multiply(Complex* a, const Complex* b) {
  Complex out[Size * Size];
  for (int r = 0; r < Size; ++r) {
    Complex* row = out + Size * r;
    std::fill(row, row + Size, Complex(0));
    for (int k = 0; k < Size; ++k) {
      const Complex x = a[Size * r + k];
      if (x.real() == 0 && x.imag() == 0) continue;
      for (int c = 0; c < Size; ++c) row[c] += times(x, b[Size * k + c]);
    }
  }
  std::copy(out, out + Size * Size, a);
}

}  // namespace

Fuser::Fuser(Gates& out) : out_(out) { std::fill(std::begin(open_), std::end(open_), std::int16_t{-1}); }

void Fuser::push(Block& block, unsigned flags, const Complex* matrix) {
  const int width = block.width, count = static_cast<int>(block.segments.size());
  double separate = modelled_cost(flags, width), best_saving = 0;
  unsigned product = flags;
  int best_start = count;
  for (int start = count - 1; start >= 0; --start) {
    separate += modelled_cost(block.segments[start].flags, width);
    product &= block.segments[start].flags;
    const double saving = separate - modelled_cost(product, width);
    if (saving > best_saving || (saving == best_saving && best_start == start + 1)) best_saving = saving, best_start = start;
  }
  Segment segment;
  segment.flags = flags;
  segment.product = best_start < count;
  const int entries = width == 1 ? 4 : 16;
  std::copy(matrix, matrix + entries, segment.m);
  for (int earlier = count - 1; earlier >= best_start; --earlier) {
    if (width == 1) multiply<2>(segment.m, block.segments[earlier].m);
    else multiply<4>(segment.m, block.segments[earlier].m);
    segment.flags &= block.segments[earlier].flags;
  }
  block.segments.resize(best_start);
  block.segments.push_back(segment);
}

int Fuser::open_block(int width, int low, int high) {
  int index;
  if (free_.empty()) {
    index = static_cast<int>(blocks_.size());
    blocks_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Block& block = blocks_[index];
  block.width = width;
  block.wires[0] = low, block.wires[1] = high;
  block.segments.clear();
  open_[low] = static_cast<std::int16_t>(index);
  if (width == 2) open_[high] = static_cast<std::int16_t>(index);
  return index;
}

void Fuser::one(int wire, unsigned flags, const Complex* matrix) {
  int index = open_[wire];
  if (index < 0) index = open_block(1, wire, 0);
  Block& block = blocks_[index];
  if (block.width == 1) return push(block, flags, matrix);
  Complex wide[16];
  const unsigned known = widen(flags, matrix, block.wires[0] == wire ? 0 : 1, wide);
  push(block, known, wide);
}

void Fuser::two(int low, int high, unsigned flags, const Complex* matrix) {
  const int index[2] = {open_[low], open_[high]};
  if (index[0] < 0 || index[0] != index[1]) {
    for (const int earlier : index)
      if (earlier >= 0 && blocks_[earlier].width == 2) close(earlier);
    const int opened = open_block(2, low, high);
    for (int place = 0; place < 2; ++place) {
      const int earlier = index[place];
      if (earlier < 0 || earlier == opened || blocks_[earlier].width != 1) continue;
      Complex wide[16];
      for (const Segment& segment : blocks_[earlier].segments) {
        const unsigned known = widen(segment.flags, segment.m, place, wide);
        push(blocks_[opened], known, wide);
      }
      free_.push_back(earlier);
    }
  }
  Block& block = blocks_[open_[low]];
  if (block.wires[0] == low) return push(block, flags, matrix);
  Complex turned[16];
  const unsigned known = exchange(flags, matrix, turned);
  push(block, known, turned);
}

void Fuser::close(int index) {
  Block& block = blocks_[index];
  for (Segment& segment : block.segments) {
    const int size = block.width == 1 ? 2 : 4;
    if (segment.product) {  // a product can be simpler than its factors: gates undo each other
      snap(segment.m, size);
      segment.flags = matrix_flags(segment.m, size);
    }
    out_.matrix(segment.m, segment.flags, block.width, block.wires);
  }
  for (int k = 0; k < block.width; ++k) open_[block.wires[k]] = -1;
  block.width = 0;
  free_.push_back(index);
}

void Fuser::close_all(std::uint64_t touched) {
  for (; touched; touched &= touched - 1) {
    const int wire = __builtin_ctzll(touched);
    if (open_[wire] >= 0) close(open_[wire]);
  }
}

}  // namespace qrex::dense

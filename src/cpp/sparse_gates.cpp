#include "sparse_gates.hpp"

#include <algorithm>
#include <stdexcept>

namespace qrex::sparse {

namespace {

// Entries x of a block of `bits` bits with (x & mask) == value; none for wide blocks, which need none.
std::uint64_t entries(int bits, std::uint32_t mask, std::uint32_t value) {
  std::uint64_t out = 0;
  for (std::uint32_t x = 0; bits <= kOccupancyBits && x < 1u << bits; ++x)
    if ((x & mask) == value) out |= std::uint64_t{1} << x;
  return out;
}

LocalTable local_table(const MonomialTable& table, int bits, std::span<const std::uint32_t> inside) {
  LocalTable local;
  for (std::uint32_t x = 0; x < 1u << bits; ++x) {
    std::uint32_t in = 0, out = x;
    for (std::size_t t = 0; t < inside.size(); ++t) in |= ((x & inside[t]) ? 1u : 0u) << t;
    for (std::size_t t = 0; t < inside.size() && !table.to.empty(); ++t)
      out = (out & ~inside[t]) | ((table.to[in] >> t & 1) ? inside[t] : 0u);
    local.to[x] = std::uint8_t(out);
    local.factor[x] = table.factor[in];
  }
  return local;
}

LocalMatrix local_matrix(std::vector<Amplitude> values, int bits, std::span<const std::uint32_t> inside) {
  LocalMatrix local{1u << inside.size(), {}, {}, std::move(values)};
  std::uint32_t all = 0;
  for (const std::uint32_t bit : inside) all |= bit;
  for (std::uint32_t y = 0; y < local.dim; ++y) {
    std::uint32_t x = 0;
    for (std::size_t t = 0; t < inside.size(); ++t) x |= (y >> t & 1) ? inside[t] : 0u;
    local.offsets.push_back(x);
  }
  for (std::uint32_t x = 0; x < 1u << bits; ++x)
    if (!(x & all)) local.starts.push_back(x);
  return local;
}

}  // namespace

constexpr int kLookAhead = 64;  // gates scanned for another branching one of the same block

struct GateSink::Bits {  // the positions of a block while it is put together
  int count = 0;
  std::int32_t position[kWidestBlock];
  int find(std::int32_t p) const {
    for (int j = 0; j < count; ++j)
      if (position[j] == p) return j;
    return -1;
  }
  std::uint32_t mask(std::int32_t p) const {
    const int j = find(p);
    return j < 0 ? 0 : 1u << j;
  }
};

Gate& GateSink::add(Kind kind, std::span<const std::int32_t> positions, std::uint32_t controls, int guard) {
  Gate gate{kind};
  gate.guard = guard;
  gate.at = positions_.size();
  gate.controls = controls;
  gate.targets = positions.size() - controls;
  positions_.insert(positions_.end(), positions.begin(), positions.end());
  gates_.push_back(gate);
  return gates_.back();
}

void GateSink::add_table(Kind kind, MonomialTable table, std::span<const std::int32_t> positions, int guard) {
  add(kind, positions, 0, guard).table = plan_.tables.size();
  for (const std::uint32_t p : positions) table.places.push_back({p >> 6, p & 63});
  plan_.tables.push_back(std::move(table));
}

void GateSink::add_matrix(std::vector<Amplitude> entries, std::span<const std::int32_t> positions, int guard) {
  if (positions.size() > kWidestBlock) throw std::invalid_argument("a matrix has at most 10 qubits here");
  add(Kind::Matrix, positions, 0, guard).table = matrices_.size();
  matrices_.push_back(std::move(entries));
}

// Gates since the last measurement become steps and blocks. A block starts at a branching gate and
// goes on to the last one within reach that changes nothing beyond `fused_bits_` bits.
void GateSink::emit() {
  for (std::size_t i = 0; i < gates_.size();) {
    if (!gates_[i].branches()) {
      plan_.steps.push_back(as_step(gates_[i++]));
      continue;
    }
    Bits bits, wider;
    join(bits, gates_[i], kWidestBlock);
    wider = bits;
    const int most = bits.count > kOccupancyBits ? 0 : std::max(fused_bits_, bits.count);
    std::size_t last = i;
    for (std::size_t j = i + 1; j < gates_.size() && j < last + kLookAhead && join(wider, gates_[j], most); ++j)
      if (gates_[j].branches()) last = j, bits = wider;
    add_block(bits, i, last + 1);
    i = last + 1;
  }
  gates_.clear();
  positions_.clear();
  matrices_.clear();
}

// Whether `bits`, extended by what `gate` changes, stays within `most` bits and can hold the gate.
bool GateSink::join(Bits& bits, const Gate& gate, int most) const {
  if (gate.kind == Kind::Diagonal) {
    for (std::uint32_t t = 0; t < gate.targets; ++t)
      if (bits.find(positions_[gate.at + t]) < 0) return false;
    return bits.count <= most;
  }
  Bits wider = bits;
  if (gate.changes())
    for (std::uint32_t t = 0; t < gate.targets; ++t) {
      const std::int32_t p = positions_[gate.at + gate.controls + t];
      if (wider.find(p) >= 0) continue;
      if (wider.count >= most) return false;
      wider.position[wider.count++] = p;
    }
  if (wider.count > most) return false;
  bits = wider;
  return true;
}

void GateSink::add_test(std::int32_t position, bool wanted) {
  Test test{};
  set_bit(test.word, test.mask, position);
  test.value = wanted ? test.mask : 0;
  for (Test& other : found_)
    if (other.word == test.word) {
      other.mask |= test.mask, other.value |= test.value;
      return;
    }
  found_.push_back(test);
}

Step GateSink::as_step(const Gate& gate) {
  Step step{gate.kind};
  step.guard = gate.guard;
  step.factor[0] = gate.m[0], step.factor[1] = gate.m[1];
  step.index = gate.table;
  found_.clear();
  for (std::uint32_t c = 0; c < gate.controls; ++c)
    add_test(positions_[gate.at + c], !(gate.inverted && c + 1 == gate.controls));
  step.tests = found_.size();
  if (step.tests) step.test = found_[0];
  step.more = plan_.tests.size();
  if (step.tests > 1) plan_.tests.insert(plan_.tests.end(), found_.begin() + 1, found_.end());
  const std::int32_t* target = positions_.data() + gate.at + gate.controls;
  if (gate.targets > 0) set_bit(step.word, step.bit, target[0]);
  if (gate.targets > 1) set_bit(step.word2, step.bit2, target[1]);
  return step;
}

void GateSink::add_block(const Bits& bits, std::size_t first, std::size_t end) {
  Block block;
  block.bits = bits.count;
  for (int j = 0; j < bits.count; ++j) {
    const std::uint32_t p = bits.position[j];
    block.places[j] = {p >> 6, p & 63};
    if (p < 128) block.mask[p >> 6] |= std::uint64_t{1} << (p & 63);
  }
  block.first = plan_.gates.size();
  for (std::size_t i = first; i < end; ++i) plan_.gates.push_back(as_local(gates_[i], bits));
  block.last = plan_.gates.size();
  Step step{Kind::Block};
  step.index = plan_.blocks.size();
  plan_.steps.push_back(step);
  plan_.blocks.push_back(block);
}

LocalGate GateSink::as_local(const Gate& gate, const Bits& bits) {
  LocalGate local{gate.kind};
  local.guard = gate.guard;
  std::copy(gate.m, gate.m + 4, local.matrix);
  found_.clear();
  std::uint32_t mask = 0, value = 0;
  for (std::uint32_t c = 0; c < gate.controls; ++c) {
    const std::int32_t p = positions_[gate.at + c];
    const bool wanted = !(gate.inverted && c + 1 == gate.controls);
    if (const int j = bits.find(p); j >= 0) mask |= 1u << j, value |= std::uint32_t(wanted) << j;
    else add_test(p, wanted);
  }
  const std::int32_t* target = positions_.data() + gate.at + gate.controls;
  std::vector<std::uint32_t> inside;  // the block's bit of each target
  if (gate.kind >= Kind::Table)
    for (std::uint32_t t = 0; t < gate.targets; ++t) inside.push_back(bits.mask(target[t]));
  if (gate.kind == Kind::Parity) {
    std::uint32_t odd = 0;
    for (int t = 0; t < 2; ++t)
      if (const int j = bits.find(target[t]); j >= 0) odd |= 1u << j;
      else add_test(target[t], true);
    for (std::uint32_t x = 0; x < 1u << bits.count; ++x)
      if (__builtin_parity(x & odd)) local.where |= std::uint64_t{1} << x;
  } else if (gate.kind == Kind::Exchange) {
    const std::uint32_t a = 1u << bits.find(target[0]), b = 1u << bits.find(target[1]);
    local.where = entries(bits.count, mask | a | b, value | std::min(a, b));
    local.stride = std::int32_t(std::max(a, b) - std::min(a, b));
  } else if (gate.kind == Kind::Table || gate.kind == Kind::Diagonal) {
    local.index = plan_.local_tables.size();
    plan_.local_tables.push_back(local_table(plan_.tables[gate.table], bits.count, inside));
  } else if (gate.kind == Kind::Matrix) {
    local.index = plan_.local_matrices.size();
    plan_.local_matrices.push_back(local_matrix(std::move(matrices_[gate.table]), bits.count, inside));
  } else if (gate.kind == Kind::Phase) {
    local.where = entries(bits.count, mask, value);
  } else {
    local.stride = 1 << bits.find(target[0]);
    local.where = entries(bits.count, mask | local.stride, value);
  }
  local.tests = found_.size();
  local.first_test = plan_.tests.size();
  plan_.tests.insert(plan_.tests.end(), found_.begin(), found_.end());
  return local;
}

}  // namespace qrex::sparse

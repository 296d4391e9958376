#include <cstring>

#include "sparse_state.hpp"

namespace qrex::sparse {
namespace {

inline Amplitude times(Amplitude a, Amplitude b) {  // without the checks for infinities of std::complex
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

inline std::uint64_t mix(std::uint64_t h) {
  h *= 0x9e3779b97f4a7c15u;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93u;
  return h ^ h >> 32;
}

template <int W>
struct For {
  static std::uint32_t stride(const Plan& plan) { return W ? W : plan.words; }

  static bool passes(const Plan& plan, const Step& s, const std::uint64_t* key) {
    if ((key[s.test.word] & s.test.mask) != s.test.value) return false;
    for (std::uint32_t k = 0; k + 1 < s.tests; ++k) {
      const Test& t = plan.tests[s.more + k];
      if ((key[t.word] & t.mask) != t.value) return false;
    }
    return true;
  }

  // body(index) for each amplitude that passes the step's tests.
  template <class Body>
  static void where(const Plan& plan, const Step& s, const std::uint64_t* keys, std::uint32_t count, Body body) {
    const std::uint32_t n = stride(plan);
    if (s.tests == 0) {
      for (std::uint32_t i = 0; i < count; ++i) body(i);
    } else if (s.tests == 1) {
      const Test t = s.test;
      for (std::uint32_t i = 0; i < count; ++i)
        if ((keys[i * n + t.word] & t.mask) == t.value) body(i);
    } else {
      for (std::uint32_t i = 0; i < count; ++i)
        if (passes(plan, s, keys + i * n)) body(i);
    }
  }

  static void flip(const Plan& plan, const Step& s, std::uint64_t* keys, std::uint32_t count) {
    const std::uint32_t n = stride(plan), word = s.word;
    const std::uint64_t bit = s.bit;
    if (s.tests != 1) return where(plan, s, keys, count, [=](std::uint32_t i) { keys[i * n + word] ^= bit; });
    const Test t = s.test;
    for (std::uint32_t i = 0; i < count; ++i)  // without branches: outcomes are as good as random
      keys[i * n + word] ^= (keys[i * n + t.word] & t.mask) == t.value ? bit : 0;
  }

  static void phase(const Plan& plan, const Step& s, const std::uint64_t* keys, Amplitude* amps, std::uint32_t count) {
    const std::uint32_t n = stride(plan);
    const Amplitude f = s.factor[0];
    if (s.tests != 1 || count < 8)
      return where(plan, s, keys, count, [=](std::uint32_t i) { amps[i] = times(amps[i], f); });
    const Test t = s.test;
    for (std::uint32_t i = 0; i < count; ++i) {
      const bool hit = (keys[i * n + t.word] & t.mask) == t.value;
      amps[i] = times(amps[i], {hit ? f.real() : 1.0, hit ? f.imag() : 0.0});
    }
  }

  static std::uint32_t table_index(const MonomialTable& table, const std::uint64_t* key) {
    std::uint32_t x = 0, place = 0;
    for (const Place& p : table.places) x |= std::uint32_t(key[p.word] >> p.shift & 1) << place++;
    return x;
  }

  static void sweep(const Plan& plan, const Step& s, std::uint64_t* keys, Amplitude* amps, std::uint32_t count) {
    const std::uint32_t n = stride(plan);
    switch (s.kind) {
      case Kind::Flip: flip(plan, s, keys, count); break;
      case Kind::Phase: phase(plan, s, keys, amps, count); break;
      case Kind::FlipPhase:
        where(plan, s, keys, count, [&](std::uint32_t i) {
          amps[i] = times(amps[i], s.factor[(keys[i * n + s.word] & s.bit) ? 1 : 0]);
          keys[i * n + s.word] ^= s.bit;
        });
        break;
      case Kind::Parity:
        for (std::uint32_t i = 0; i < count; ++i) {
          const bool odd = ((keys[i * n + s.word] & s.bit) != 0) != ((keys[i * n + s.word2] & s.bit2) != 0);
          amps[i] = times(amps[i], {odd ? s.factor[0].real() : 1.0, odd ? s.factor[0].imag() : 0.0});
        }
        break;
      case Kind::Exchange:
        where(plan, s, keys, count, [&](std::uint32_t i) {
          std::uint64_t* key = keys + i * n;
          if (((key[s.word] & s.bit) != 0) == ((key[s.word2] & s.bit2) != 0)) return;
          key[s.word] ^= s.bit;
          key[s.word2] ^= s.bit2;
          amps[i] = times(amps[i], s.factor[0]);
        });
        break;
      case Kind::Table:
      case Kind::Diagonal: {
        const MonomialTable& table = plan.tables[s.index];
        for (std::uint32_t i = 0; i < count; ++i) {
          std::uint64_t* key = keys + i * n;
          const std::uint32_t x = table_index(table, key);
          amps[i] = times(amps[i], table.factor[x]);
          if (table.to.empty()) continue;
          const std::uint32_t flips = x ^ table.to[x];
          for (std::size_t k = 0; k < table.places.size(); ++k)
            key[table.places[k].word] ^= std::uint64_t(flips >> k & 1) << table.places[k].shift;
        }
        break;
      }
      default: break;
    }
  }

  static void base_of(const Plan& plan, const Block& block, const std::uint64_t* key, std::uint64_t* base) {
    if constexpr (W == 1) {
      base[0] = key[0] & ~block.mask[0];
    } else if constexpr (W == 2) {
      base[0] = key[0] & ~block.mask[0];
      base[1] = key[1] & ~block.mask[1];
    } else {
      std::memcpy(base, key, plan.words * 8);
      for (int j = 0; j < block.bits; ++j) base[block.places[j].word] &= ~(std::uint64_t{1} << block.places[j].shift);
    }
  }

  static std::uint64_t hash_of(const Plan& plan, const std::uint64_t* base) {
    std::uint64_t h = mix(base[0]);
    for (std::uint32_t w = 1; w < stride(plan); ++w) h = mix(h ^ base[w]);
    return h;
  }

  static std::uint64_t base_hash(const Plan& plan, const Block& block, const std::uint64_t* key) {
    if constexpr (W == 1) {
      return mix(key[0] & ~block.mask[0]);
    } else if constexpr (W == 2) {
      return mix(mix(key[0] & ~block.mask[0]) ^ (key[1] & ~block.mask[1]));
    } else {
      std::uint64_t h = 0;
      for (std::uint32_t w = 0; w < plan.words; ++w) {
        std::uint64_t value = key[w];
        for (int j = 0; j < block.bits; ++j)
          if (block.places[j].word == w) value &= ~(std::uint64_t{1} << block.places[j].shift);
        h = w ? mix(h ^ value) : mix(value);
      }
      return h;
    }
  }

  static std::uint32_t local_index(const Block& block, const std::uint64_t* key) {
    std::uint32_t x = 0;
    for (int j = 0; j < block.bits; ++j) {
      const std::uint32_t word = W == 1 ? 0 : block.places[j].word;
      x |= std::uint32_t(key[word] >> block.places[j].shift & 1) << j;
    }
    return x;
  }

  static bool outside(const Plan& plan, const LocalGate& g, const std::uint64_t* base) {
    for (std::uint32_t k = 0; k < g.tests; ++k) {
      const Test& t = plan.tests[g.first_test + k];
      if ((base[t.word] & t.mask) != t.value) return false;
    }
    return true;
  }

  // One group: entries v of the block, zero but for those in `occupied`.
  static void apply(const Plan& plan, const LocalGate& g, const std::uint64_t* base, Amplitude* v,
                    std::uint64_t& occupied) {
    switch (g.kind) {
      case Kind::One: {
        if (g.tests && !outside(plan, g, base)) return;
        std::uint64_t pairs = (occupied | occupied >> g.stride) & g.where;
        occupied |= pairs | pairs << g.stride;
        for (; pairs; pairs &= pairs - 1) {
          const int x = __builtin_ctzll(pairs);
          const Amplitude a = v[x], b = v[x + g.stride];
          v[x] = times(g.matrix[0], a) + times(g.matrix[1], b);
          v[x + g.stride] = times(g.matrix[2], a) + times(g.matrix[3], b);
        }
        return;
      }
      case Kind::Flip:
      case Kind::FlipPhase: {
        if (g.tests && !outside(plan, g, base)) return;
        std::uint64_t pairs = (occupied | occupied >> g.stride) & g.where;
        occupied = swapped(occupied, pairs, g.stride);
        for (; pairs; pairs &= pairs - 1) {
          const int x = __builtin_ctzll(pairs);
          const Amplitude a = v[x], b = v[x + g.stride];
          v[x] = g.kind == Kind::Flip ? b : times(b, g.matrix[1]);
          v[x + g.stride] = g.kind == Kind::Flip ? a : times(a, g.matrix[0]);
        }
        return;
      }
      case Kind::Exchange: {
        if (g.tests && !outside(plan, g, base)) return;
        std::uint64_t pairs = (occupied | occupied >> g.stride) & g.where;
        occupied = swapped(occupied, pairs, g.stride);
        for (; pairs; pairs &= pairs - 1) {
          const int x = __builtin_ctzll(pairs);
          const Amplitude a = v[x];
          v[x] = times(v[x + g.stride], g.matrix[0]);
          v[x + g.stride] = times(a, g.matrix[0]);
        }
        return;
      }
      case Kind::Phase:
        if (g.tests && !outside(plan, g, base)) return;
        turn(v, occupied & g.where, g.matrix[0]);
        return;
      case Kind::Parity: {
        int odd = 0;
        for (std::uint32_t k = 0; k < g.tests; ++k) {
          const Test& t = plan.tests[g.first_test + k];
          odd ^= __builtin_parityll(base[t.word] & t.mask);
        }
        turn(v, occupied & (odd ? ~g.where : g.where), g.matrix[0]);
        return;
      }
      case Kind::Table:
      case Kind::Diagonal: {
        const LocalTable& table = plan.local_tables[g.index];
        Amplitude moved[1 << kOccupancyBits];
        std::uint64_t after = 0;
        for (std::uint64_t left = occupied; left; left &= left - 1) {
          const int x = __builtin_ctzll(left);
          moved[table.to[x]] = times(v[x], table.factor[x]);
          after |= std::uint64_t{1} << table.to[x];
          v[x] = 0;
        }
        for (std::uint64_t left = after; left; left &= left - 1) {
          const int x = __builtin_ctzll(left);
          v[x] = moved[x];
        }
        occupied = after;
        return;
      }
      case Kind::Matrix: apply_matrix(plan.local_matrices[g.index], v, occupied); return;
      default: return;
    }
  }

  static std::uint64_t swapped(std::uint64_t occupied, std::uint64_t pairs, int stride) {
    const std::uint64_t low = occupied & pairs, high = occupied & pairs << stride;
    return (occupied & ~(low | high)) | low << stride | high >> stride;
  }

  static void turn(Amplitude* v, std::uint64_t entries, Amplitude factor) {
    for (; entries; entries &= entries - 1) {
      Amplitude& a = v[__builtin_ctzll(entries)];
      a = times(a, factor);
    }
  }

  static void apply_matrix(const LocalMatrix& m, Amplitude* v, std::uint64_t& occupied) {
    Amplitude in[1 << kWidestBlock], out[1 << kWidestBlock];
    for (const std::uint32_t start : m.starts) {
      bool any = false;
      for (std::uint32_t c = 0; c < m.dim; ++c) {
        in[c] = v[start + m.offsets[c]];
        any |= in[c] != 0.0;
        out[c] = 0;
      }
      if (!any) continue;
      for (std::uint32_t r = 0; r < m.dim; ++r) {
        Amplitude sum = 0;
        for (std::uint32_t c = 0; c < m.dim; ++c) sum += times(m.entries[r * m.dim + c], in[c]);
        out[r] = sum;
      }
      for (std::uint32_t r = 0; r < m.dim; ++r) {
        v[start + m.offsets[r]] = out[r];
        occupied |= std::uint64_t{1} << (start + m.offsets[r] & 63);  // not read for wide blocks
      }
    }
  }

  static void emit_one(const Plan& plan, const Block& block, const std::uint64_t* base, std::uint32_t x, Amplitude a,
                       Appender& out) {
    const double norm = a.real() * a.real() + a.imag() * a.imag();
    if (norm < kDropped) {
      out.dropped += norm;
      return;
    }
    Chunk& chunk = out.room();
    std::uint64_t* key = chunk.keys + std::size_t{chunk.count} * stride(plan);
    for (std::uint32_t w = 0; w < stride(plan); ++w) key[w] = base[w];
    for (int j = 0; j < block.bits; ++j)
      key[W == 1 ? 0 : block.places[j].word] |= std::uint64_t(x >> j & 1) << block.places[j].shift;
    chunk.amps[chunk.count++] = a;
  }

  static void finish_group(const Plan& plan, const Block& block, const std::vector<const LocalGate*>& gates,
                           const std::uint64_t* base, Amplitude* v, std::uint64_t occupied, Appender& out) {
    for (const LocalGate* gate : gates) apply(plan, *gate, base, v, occupied);
    if (block.bits > kOccupancyBits) {
      for (std::uint32_t x = 0; x < 1u << block.bits; ++x) emit_one(plan, block, base, x, v[x], out);
      return;
    }
    for (; occupied; occupied &= occupied - 1) {
      const int x = __builtin_ctzll(occupied);
      emit_one(plan, block, base, x, v[x], out);
    }
  }

  static void combine(const Plan& plan, const Block& block, const Source& in,
                      const std::vector<const LocalGate*>& gates, Scratch& s, Appender& out) {
    const std::uint32_t n = stride(plan);
    const std::size_t width = std::size_t{1} << block.bits;
    std::uint32_t table_size = 4;
    while (table_size < 2 * in.count) table_size *= 2;
    if (in.count > 1) s.slots.assign(table_size, 0);
    if (s.bases.size() < std::size_t{in.count} * n) s.bases.resize(std::size_t{in.count} * n);
    if (s.occupied.size() < in.count) s.occupied.resize(in.count);
    if (s.entries.size() < in.count * width) s.entries.resize(in.count * width);
    std::uint32_t groups = 0;
    for (std::uint32_t i = 0; i < in.count; ++i) {
      const std::uint64_t* key = in.keys + std::size_t{i} * in.key_stride;
      const double* amp = in.amps + std::size_t{i} * in.amp_stride;
      std::uint64_t* fresh = &s.bases[std::size_t{groups} * n];  // kept if no group has this base yet
      base_of(plan, block, key, fresh);
      std::uint32_t group = groups;
      if (in.count > 1) {
        std::uint32_t slot = std::uint32_t(hash_of(plan, fresh)) & (table_size - 1);
        while (s.slots[slot]) {
          const std::uint64_t* other = &s.bases[std::size_t{s.slots[slot] - 1} * n];
          bool equal = true;
          for (std::uint32_t w = 0; w < n; ++w) equal &= other[w] == fresh[w];
          if (equal) break;
          slot = (slot + 1) & (table_size - 1);
        }
        if (s.slots[slot]) group = s.slots[slot] - 1;
        else s.slots[slot] = groups + 1;
      }
      Amplitude* v = &s.entries[group * width];
      if (group == groups) {
        ++groups;
        for (std::size_t x = 0; x < width; ++x) v[x] = 0;
        s.occupied[group] = 0;
      }
      const std::uint32_t x = local_index(block, key);
      v[x] = {amp[0], amp[1]};
      s.occupied[group] |= std::uint64_t{1} << (x & 63);
    }
    for (std::uint32_t g = 0; g < groups; ++g)
      finish_group(plan, block, gates, &s.bases[std::size_t{g} * n], &s.entries[g * width], s.occupied[g], out);
  }

  static void count(const Plan& plan, const Block& block, const Chunk& chunk, int bits, std::uint32_t* histogram) {
    for (std::uint32_t i = 0; i < chunk.count; ++i)
      ++histogram[base_hash(plan, block, chunk.keys + std::size_t{i} * stride(plan)) >> (64 - bits)];
  }

  static void scatter(const Plan& plan, const Block& block, const Chunk& chunk, int bits, std::uint64_t* next,
                      std::uint64_t* records) {
    const std::uint32_t n = stride(plan);
    for (std::uint32_t i = 0; i < chunk.count; ++i) {
      const std::uint64_t* key = chunk.keys + std::size_t{i} * n;
      std::uint64_t* record = records + next[base_hash(plan, block, key) >> (64 - bits)]++ * (n + 2);
      for (std::uint32_t w = 0; w < n; ++w) record[w] = key[w];
      std::memcpy(record + n, &chunk.amps[i], sizeof(Amplitude));
    }
  }

  static constexpr Kernels table{&sweep, &combine, &base_hash, &count, &scatter};
};

}  // namespace

const Kernels& kernels_for(std::uint32_t words) {
  return words == 1 ? For<1>::table : words == 2 ? For<2>::table : For<0>::table;
}

std::uint64_t key_hash(const std::uint64_t* key, std::uint32_t words) {
  std::uint64_t h = mix(key[0]);
  for (std::uint32_t w = 1; w < words; ++w) h = mix(h ^ key[w]);
  return h;
}

}  // namespace qrex::sparse

#include "tier_io.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "parallel.hpp"
#include "permutation.hpp"

namespace qrex {
namespace {

constexpr std::uint64_t kHugePage = 2 << 20;

std::uint64_t aligned(std::uint64_t bytes) { return (bytes + kFileAlignment - 1) / kFileAlignment * kFileAlignment; }

std::string place(const char* verb, std::int64_t slot) {
  return std::string("cannot ") + verb + " slot " + std::to_string(slot) + " of the block file";
}

template <class Call>
void whole(const char* verb, std::int64_t slot, std::uint64_t bytes, std::uint64_t at, Call&& call) {
  for (std::uint64_t done = 0; done < bytes;) {
    const ssize_t count = call(done, bytes - done, at + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw FileFailure(errno, place(verb, slot) + ": " + std::strerror(errno));
    if (count == 0) throw FileFailure(0, place(verb, slot) + ": the file ends at byte " + std::to_string(at + done));
    done += static_cast<std::uint64_t>(count);
  }
}

std::uint64_t checked_bytes(const BlockFile& file, std::uint64_t amplitudes) {
  const std::uint64_t bytes = aligned(encoded_bytes(file.codec, amplitudes));
  if (file.slot_bytes % kFileAlignment || bytes > file.slot_bytes)
    throw std::invalid_argument("a block takes " + std::to_string(bytes) + " bytes, a slot has " +
                                std::to_string(file.slot_bytes) + ", which must be a multiple of 4096");
  return bytes;
}

// The parts of a block that are coded one after the other: in which order their amplitudes stand in the sub-state, and
// how far from each other.
class Tiles {
 public:
  Tiles(const std::vector<int>& bits, bool into)
      : amplitudes(std::uint64_t{1} << std::min<std::size_t>(bits.size(), kTileBits)), order(numbered(bits, into)) {
    places.push_back(0);
    for (std::size_t k = kTileBits; k < bits.size(); ++k)
      for (std::size_t j = 0, half = places.size(); j < half; ++j)
        places.push_back(places[j] | std::uint64_t{1} << bits[k]);
  }

  std::uint64_t amplitudes;
  BitPermutation order;
  std::vector<std::uint64_t> places;

  void copy(const float* from, float* to, float scale) const {
    for (std::uint64_t item = 0; item < order.items(); ++item) order.run(item, from, to, scale);
  }

 private:
  static std::vector<std::pair<int, int>> numbered(const std::vector<int>& bits, bool into) {
    std::vector<std::pair<int, int>> out;
    for (int k = 0; k < static_cast<int>(std::min<std::size_t>(bits.size(), kTileBits)); ++k)
      out.emplace_back(into ? k : bits[k], into ? bits[k] : k);
    return out;
  }
};

void add(Encoded& all, const Encoded& part) {
  all.norm += part.norm, all.kept_norm += part.kept_norm, all.error += part.error;
  all.zero = all.zero && part.zero;
}

}  // namespace

Desks::Desks(int threads) : desks_(static_cast<std::size_t>(std::max(threads, 1))) {}

Desks::Desk& Desks::at(int worker, std::uint64_t coded_bytes) {
  Desk& desk = desks_[static_cast<std::size_t>(worker)];
  if (!desk.planes) desk.planes.emplace((std::size_t{2} << kTileBits) + kSkewFloats);
  if (desk.coded_bytes < coded_bytes) {
    // The system hands huge pages to the disk in one piece, others one by one; so that there are some, they are aligned.
    const bool huge = coded_bytes >= kHugePage / 2;
    const std::uint64_t room = huge ? (coded_bytes + kHugePage - 1) / kHugePage * kHugePage + kHugePage : coded_bytes;
    desk.coded.emplace(room / sizeof(float));
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(desk.coded->data());
    desk.start = reinterpret_cast<unsigned char*>(huge ? (at + kHugePage - 1) / kHugePage * kHugePage : at);
    desk.coded_bytes = coded_bytes;
  }
  return desk;
}

std::vector<std::uint8_t> fetch_blocks(const BlockFile& file, const std::vector<int>& bits,
                                       const std::vector<PlacedBlock>& blocks, float scale, float* re, float* im,
                                       Desks& desks) {
  const std::uint64_t bytes = checked_bytes(file, std::uint64_t{1} << bits.size());
  const Tiles tiles(bits, true);
  const std::uint64_t tile_bytes = encoded_bytes(file.codec, tiles.amplitudes);
  std::vector<std::uint8_t> damaged(blocks.size(), 0);
  parallel_for(blocks.size(), desks.threads(), [&](int worker, std::uint64_t k) {
    const PlacedBlock& block = blocks[k];
    const Desks::Desk& desk = desks.at(worker, bytes);
    if (block.slot < 0) {
      std::memset(desk.re(), 0, tiles.amplitudes * sizeof(float));
      for (const std::uint64_t place : tiles.places)
        for (float* plane : {re, im}) tiles.copy(desk.re(), plane + block.offset + place, 1.0F);
      return;
    }
    const std::uint64_t at = static_cast<std::uint64_t>(block.slot) * file.slot_bytes;
    whole("read", block.slot, bytes, at, [&](std::uint64_t done, std::uint64_t left, std::uint64_t from) {
      return pread(file.descriptor, desk.bytes() + done, left, static_cast<off_t>(from));
    });
    std::uint32_t crc = 0;
    const unsigned char* coded = desk.bytes();
    for (const std::uint64_t place : tiles.places) {
      crc = crc32c(coded, tile_bytes, crc);
      const float *tile_re = reinterpret_cast<const float*>(coded), *tile_im = tile_re + tiles.amplitudes;
      if (file.codec != Codec::Float32) {
        decode(file.codec, coded, tiles.amplitudes, desk.re(), desk.im());
        tile_re = desk.re(), tile_im = desk.im();
      }
      tiles.copy(tile_re, re + block.offset + place, scale);
      tiles.copy(tile_im, im + block.offset + place, scale);
      coded += tile_bytes;
    }
    damaged[k] = crc != block.crc;
  });
  return damaged;
}

void put_blocks(const BlockFile& file, const std::vector<int>& bits, std::vector<PlacedBlock>& blocks,
                std::vector<Encoded>& coded, const float* re, const float* im, Desks& desks) {
  const std::uint64_t bytes = checked_bytes(file, std::uint64_t{1} << bits.size());
  const Tiles tiles(bits, false);
  const std::uint64_t tile_bytes = encoded_bytes(file.codec, tiles.amplitudes);
  coded.assign(blocks.size(), {0, 0, 0, true});
  parallel_for(blocks.size(), desks.threads(), [&](int worker, std::uint64_t k) {
    PlacedBlock& block = blocks[k];
    const Desks::Desk& desk = desks.at(worker, bytes);
    unsigned char* out = desk.bytes();
    block.crc = 0;
    for (const std::uint64_t place : tiles.places) {
      const bool as_is = file.codec == Codec::Float32;
      float* tile_re = as_is ? reinterpret_cast<float*>(out) : desk.re();
      float* tile_im = as_is ? tile_re + tiles.amplitudes : desk.im();
      tiles.copy(re + block.offset + place, tile_re, 1.0F);
      tiles.copy(im + block.offset + place, tile_im, 1.0F);
      add(coded[k], as_is ? as_floats(tile_re, tile_im, tiles.amplitudes)
                          : encode(file.codec, tile_re, tile_im, tiles.amplitudes, out));
      block.crc = crc32c(out, tile_bytes, block.crc);
      out += tile_bytes;
    }
    if (coded[k].zero) {
      block.slot = -1;
      block.crc = 0;
      return;
    }
    const std::uint64_t at = static_cast<std::uint64_t>(block.slot) * file.slot_bytes;
    whole("write", block.slot, bytes, at, [&](std::uint64_t done, std::uint64_t left, std::uint64_t to) {
      return pwrite(file.descriptor, desk.bytes() + done, left, static_cast<off_t>(to));
    });
  });
}

}  // namespace qrex

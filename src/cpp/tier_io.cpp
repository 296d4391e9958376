#include "tier_io.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "memory.hpp"
#include "parallel.hpp"
#include "permutation.hpp"

namespace qrex {
namespace {


std::uint64_t aligned(std::uint64_t bytes) { return (bytes + kFileAlignment - 1) / kFileAlignment * kFileAlignment; }

// What one thread works in: a block's amplitudes and its coded bytes.
class Desk {
 public:
  Desk(std::uint64_t amplitudes, std::uint64_t bytes) : planes_(2 * amplitudes + kSkewFloats), coded_(bytes / sizeof(float)) {}
  float* re() const { return planes_.data(); }
  float* im(std::uint64_t amplitudes) const { return planes_.data() + amplitudes + kSkewFloats; }
  unsigned char* coded() const { return reinterpret_cast<unsigned char*>(coded_.data()); }

 private:
  AlignedFloats planes_, coded_;
};

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

std::vector<std::pair<int, int>> numbered(const std::vector<int>& bits, bool into) {
  std::vector<std::pair<int, int>> out;
  for (std::size_t k = 0; k < bits.size(); ++k) {
    const int own = static_cast<int>(k);
    out.emplace_back(into ? own : bits[k], into ? bits[k] : own);
  }
  return out;
}

void copy(const BitPermutation& order, const float* from, float* to, float scale) {
  for (std::uint64_t item = 0; item < order.items(); ++item) order.run(item, from, to, scale);
}

// Each thread gets a desk when it first needs one.
class Desks {
 public:
  Desks(int threads, std::uint64_t amplitudes, std::uint64_t bytes)
      : desks_(static_cast<std::size_t>(std::max(threads, 1))), amplitudes_(amplitudes), bytes_(bytes) {}
  Desk& at(int worker) {
    auto& desk = desks_[static_cast<std::size_t>(worker)];
    if (!desk) desk = std::make_unique<Desk>(amplitudes_, bytes_);
    return *desk;
  }

 private:
  std::vector<std::unique_ptr<Desk>> desks_;
  std::uint64_t amplitudes_, bytes_;
};

}  // namespace

std::vector<std::uint8_t> fetch_blocks(const BlockFile& file, const std::vector<int>& bits,
                                       const std::vector<PlacedBlock>& blocks, float scale, float* re, float* im,
                                       int threads) {
  const std::uint64_t amplitudes = std::uint64_t{1} << bits.size();
  const std::uint64_t bytes = checked_bytes(file, amplitudes), coded = encoded_bytes(file.codec, amplitudes);
  const BitPermutation order(numbered(bits, true));
  std::vector<std::uint8_t> damaged(blocks.size(), 0);
  Desks desks(threads, amplitudes, bytes);
  parallel_for(blocks.size(), std::max(threads, 1), [&](int worker, std::uint64_t k) {
    const PlacedBlock& block = blocks[k];
    Desk& desk = desks.at(worker);
    float *own_re = desk.re(), *own_im = desk.im(amplitudes);
    if (block.slot < 0) {
      std::memset(own_re, 0, amplitudes * sizeof(float));
      std::memset(own_im, 0, amplitudes * sizeof(float));
    } else {
      const std::uint64_t at = static_cast<std::uint64_t>(block.slot) * file.slot_bytes;
      whole("read", block.slot, bytes, at, [&](std::uint64_t done, std::uint64_t left, std::uint64_t from) {
        return pread(file.descriptor, desk.coded() + done, left, static_cast<off_t>(from));
      });
      if (crc32c(desk.coded(), coded) != block.crc) {
        damaged[k] = 1;
        return;
      }
      decode(file.codec, desk.coded(), amplitudes, own_re, own_im);
    }
    copy(order, own_re, re + block.offset, scale);
    copy(order, own_im, im + block.offset, scale);
  });
  return damaged;
}

void put_blocks(const BlockFile& file, const std::vector<int>& bits, std::vector<PlacedBlock>& blocks,
                std::vector<Encoded>& coded, const float* re, const float* im, int threads) {
  const std::uint64_t amplitudes = std::uint64_t{1} << bits.size();
  const std::uint64_t bytes = checked_bytes(file, amplitudes), used = encoded_bytes(file.codec, amplitudes);
  const BitPermutation order(numbered(bits, false));
  coded.assign(blocks.size(), {});
  Desks desks(threads, amplitudes, bytes);
  parallel_for(blocks.size(), std::max(threads, 1), [&](int worker, std::uint64_t k) {
    PlacedBlock& block = blocks[k];
    Desk& desk = desks.at(worker);
    float *own_re = desk.re(), *own_im = desk.im(amplitudes);
    copy(order, re + block.offset, own_re, 1.0F);
    copy(order, im + block.offset, own_im, 1.0F);
    coded[k] = encode(file.codec, own_re, own_im, amplitudes, desk.coded());
    if (coded[k].zero) {
      block.slot = -1;
      block.crc = 0;
      return;
    }
    block.crc = crc32c(desk.coded(), used);
    const std::uint64_t at = static_cast<std::uint64_t>(block.slot) * file.slot_bytes;
    whole("write", block.slot, bytes, at, [&](std::uint64_t done, std::uint64_t left, std::uint64_t to) {
      return pwrite(file.descriptor, desk.coded() + done, left, static_cast<off_t>(to));
    });
  });
}

}  // namespace qrex

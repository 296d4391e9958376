// Blocks of a state between a file and a sub-state in memory: read or written, coded, checked, in their order.
//
// A block holds 2^B amplitudes over the lowest B bits of the file's index. In the sub-state bit k of these stands at
// position bits[k]; `offset` is where the block's amplitude 0 stands. Slots have `slot_bytes` each, a multiple of the
// alignment that direct I/O asks for. A block of zeros alone takes no slot: -1. A block is coded in tiles of 2^kTileBits
// amplitudes, one after the other, so that each is brought in order, coded and summed up while it is in the cache.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "codecs.hpp"
#include "memory.hpp"

namespace qrex {

struct BlockFile {
  int descriptor;
  std::uint64_t slot_bytes;
  Codec codec;
};

struct PlacedBlock {
  std::int64_t slot;
  std::uint64_t offset;
  std::uint32_t crc;  // of the coded bytes
};

// A system call on the block file failed.
struct FileFailure : std::runtime_error {
  FileFailure(int code, const std::string& what) : std::runtime_error(what), code(code) {}
  int code;  // errno, or 0 where the file ended early
};

constexpr std::uint64_t kFileAlignment = 4096;
constexpr int kTileBits = 13;

// What the threads of one call at a time work in: per thread a tile of amplitudes, and a block's coded bytes. Kept from
// call to call, since pages that are new cost more than what is done in them.
class Desks {
 public:
  class Desk {
   public:
    float* re() const { return planes->data(); }
    float* im() const { return planes->data() + (std::size_t{1} << kTileBits) + kSkewFloats; }
    unsigned char* bytes() const { return start; }

   private:
    friend class Desks;
    std::optional<AlignedFloats> planes, coded;
    unsigned char* start = nullptr;
    std::uint64_t coded_bytes = 0;
  };

  explicit Desks(int threads);
  Desks(const Desks&) = delete;
  int threads() const { return static_cast<int>(desks_.size()); }
  Desk& at(int worker, std::uint64_t coded_bytes);

 private:
  std::vector<Desk> desks_;
};

// Reads `blocks` into `re` and `im`, all values multiplied by `scale`. Which of them do not agree with their checksum.
// Throws FileFailure.
std::vector<std::uint8_t> fetch_blocks(const BlockFile& file, const std::vector<int>& bits,
                                       const std::vector<PlacedBlock>& blocks, float scale, float* re, float* im,
                                       Desks& desks);

// Writes `blocks` and fills in their checksums; `coded[k]` says what the codec made of block k. Blocks that are zero
// are not written, and lose their slot. Throws FileFailure.
void put_blocks(const BlockFile& file, const std::vector<int>& bits, std::vector<PlacedBlock>& blocks,
                std::vector<Encoded>& coded, const float* re, const float* im, Desks& desks);

}  // namespace qrex

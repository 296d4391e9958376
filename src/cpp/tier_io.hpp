// Blocks of a state between a file and a sub-state in memory: read or written, coded, checked, in their order.
//
// A block holds 2^B amplitudes over the lowest B bits of the file's index. In the sub-state bit k of these stands at
// position bits[k]; `offset` is where the block's amplitude 0 stands. Slots have `slot_bytes` each, a multiple of the
// alignment that direct I/O asks for. A block of zeros alone takes no slot: -1.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "codecs.hpp"

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

// Reads `blocks` into `re` and `im`, all values multiplied by `scale`. Which of them do not agree with their checksum:
// these are not written. Throws FileFailure.
std::vector<std::uint8_t> fetch_blocks(const BlockFile& file, const std::vector<int>& bits,
                                       const std::vector<PlacedBlock>& blocks, float scale, float* re, float* im,
                                       int threads);

// Writes `blocks` and fills in their checksums; `coded[k]` says what the codec made of block k. Blocks that are zero
// are not written, and lose their slot. Throws FileFailure.
void put_blocks(const BlockFile& file, const std::vector<int>& bits, std::vector<PlacedBlock>& blocks,
                std::vector<Encoded>& coded, const float* re, const float* im, int threads);

}  // namespace qrex

// The loops of the codecs, once per instruction set; the choice is made at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "codecs.hpp"

namespace qrex {

// Partial sums of squares, in double precision. Part k belongs to lane k % kSumLanes whatever the vectors' width.
constexpr int kSumLanes = 8;
struct SquareSums {
  double norm[kSumLanes] = {}, kept[kSumLanes] = {}, error[kSumLanes] = {};
};

// Loops over whole groups of kScaledAmplitudes amplitudes. Pointers need no alignment.
struct CodecLoops {
  const char* name;
  // Adds the squares of both planes to sums.norm.
  void (*squares)(const float* re, const float* im, std::uint64_t groups, SquareSums& sums);
  // False, with nothing of use written, where a part is not finite or not below 2^127.
  bool (*encode16)(const float* re, const float* im, std::uint64_t groups, unsigned char* scales,
                   unsigned char* out_re, unsigned char* out_im, SquareSums& sums);
  bool (*encode8)(const float* re, const float* im, std::uint64_t groups, unsigned char* scales,
                  unsigned char* out_re, unsigned char* out_im, SquareSums& sums);
  // One plane.
  void (*decode16)(const unsigned char* scales, const unsigned char* in, std::uint64_t groups, float* out);
  void (*decode8)(const unsigned char* scales, const unsigned char* in, std::uint64_t groups, float* out);
};

// Those that this processor runs, best first. Never empty; all of them give the same bytes and the same sums.
const std::vector<const CodecLoops*>& available_codec_loops();

// The named loops, or the best ones for "". Throws std::invalid_argument when this processor has them not.
const CodecLoops& find_codec_loops(const std::string& name);

// encode, decode and crc32c by chosen means: what tests compare.
Encoded encode(const CodecLoops& loops, Codec codec, const float* re, const float* im, std::uint64_t amplitudes,
               unsigned char* out);
void decode(const CodecLoops& loops, Codec codec, const unsigned char* in, std::uint64_t amplitudes, float* re,
            float* im);
std::uint32_t crc32c_by_table(const void* data, std::size_t bytes, std::uint32_t crc);

}  // namespace qrex

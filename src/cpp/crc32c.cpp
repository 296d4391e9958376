#include <array>
#include <cstring>

#include "codec_loops.hpp"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace qrex {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// kTables[k][b]: what byte b does to the remainder when k bytes follow it.
constexpr Tables kTables = [] {
  constexpr std::uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reversed
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest & 1 ? rest >> 1 ^ kPolynomial : rest >> 1;
    tables[0][byte] = rest;
  }
  for (int k = 1; k < 8; ++k)
    for (int byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 255];
    }
  return tables;
}();

std::uint64_t word(const unsigned char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::uint32_t by_table(const unsigned char* at, std::size_t bytes, std::uint32_t rest) {
  for (; bytes >= 8; at += 8, bytes -= 8) {
    const std::uint64_t mixed = word(at) ^ rest;
    rest = 0;
    for (int k = 0; k < 8; ++k) rest ^= kTables[7 - k][mixed >> 8 * k & 255];
  }
  for (; bytes; ++at, --bytes) rest = rest >> 8 ^ kTables[0][(rest ^ *at) & 255];
  return rest;
}

// An instruction's result comes some cycles later: three checksums at a time keep it busy. kApart[k][b]: what byte b at
// place k of the remainder is after kThird bytes of zeros, by which the checksums of parts are joined.
constexpr std::size_t kThird = 1024;

using Apart = std::array<std::array<std::uint32_t, 256>, 4>;

const Apart& apart() {
  static const Apart table = [] {
    const std::array<unsigned char, kThird> zeros{};
    Apart out{};
    for (int bit = 0; bit < 32; ++bit) {
      const std::uint32_t moved = by_table(zeros.data(), kThird, std::uint32_t{1} << bit);
      for (int byte = 0; byte < 256; ++byte)
        if (byte >> bit % 8 & 1) out[bit / 8][byte] ^= moved;
    }
    return out;
  }();
  return table;
}

std::uint32_t moved(const Apart& table, std::uint32_t rest) {
  return table[0][rest & 255] ^ table[1][rest >> 8 & 255] ^ table[2][rest >> 16 & 255] ^ table[3][rest >> 24];
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(const unsigned char* at, std::size_t bytes,
                                                               std::uint32_t rest) {
  const Apart& table = apart();
  for (; bytes >= 3 * kThird; at += 3 * kThird, bytes -= 3 * kThird) {
    std::uint64_t a = rest, b = 0, c = 0;
    for (std::size_t k = 0; k < kThird; k += 8) {
      a = __builtin_ia32_crc32di(a, word(at + k));
      b = __builtin_ia32_crc32di(b, word(at + kThird + k));
      c = __builtin_ia32_crc32di(c, word(at + 2 * kThird + k));
    }
    rest = moved(table, moved(table, static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b)) ^
           static_cast<std::uint32_t>(c);
  }
  std::uint64_t wide = rest;
  for (; bytes >= 8; at += 8, bytes -= 8) wide = __builtin_ia32_crc32di(wide, word(at));
  rest = static_cast<std::uint32_t>(wide);
  for (; bytes; ++at, --bytes) rest = __builtin_ia32_crc32qi(rest, *at);
  return rest;
}

bool has_instruction() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__) && defined(__linux__)
__attribute__((target("+crc"))) std::uint32_t by_instruction(const unsigned char* at, std::size_t bytes,
                                                             std::uint32_t rest) {
  const Apart& table = apart();
  for (; bytes >= 3 * kThird; at += 3 * kThird, bytes -= 3 * kThird) {
    std::uint32_t a = rest, b = 0, c = 0;
    for (std::size_t k = 0; k < kThird; k += 8) {
      a = __builtin_aarch64_crc32cx(a, word(at + k));
      b = __builtin_aarch64_crc32cx(b, word(at + kThird + k));
      c = __builtin_aarch64_crc32cx(c, word(at + 2 * kThird + k));
    }
    rest = moved(table, moved(table, a) ^ b) ^ c;
  }
  for (; bytes >= 8; at += 8, bytes -= 8) rest = __builtin_aarch64_crc32cx(rest, word(at));
  for (; bytes; ++at, --bytes) rest = __builtin_aarch64_crc32cb(rest, *at);
  return rest;
}

bool has_instruction() { return getauxval(AT_HWCAP) & 1 << 7; }  // HWCAP_CRC32
#else
constexpr auto by_instruction = by_table;
bool has_instruction() { return false; }
#endif

}  // namespace

std::uint32_t crc32c_by_table(const void* data, std::size_t bytes, std::uint32_t crc) {
  return ~by_table(static_cast<const unsigned char*>(data), bytes, ~crc);
}

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t crc) {
  static const auto best = has_instruction() ? by_instruction : by_table;
  return ~best(static_cast<const unsigned char*>(data), bytes, ~crc);
}

}  // namespace qrex

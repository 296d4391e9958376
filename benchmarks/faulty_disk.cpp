// A disk that fails when told to: loaded into a process before all other libraries.
//
// Counts the calls by which a scratch area under $QREX_FAULT_FOLDER is made, read and written, and at number
// $QREX_FAULT_AT does what $QREX_FAULT names:
//   kill     the process group is killed, before the call
//   short    half of what is to be written is, then the process group is killed; other calls: as "kill"
//   partial  half of what is to be read or written is, and the call says so; other calls go on as they are
//   flip     one bit of what is written is another; other calls wait for the next write
//   full     no room: this call that needs some, and every later one
//   broken   an input/output error: this call, and every later one
// Whatever the fault, the process group is killed before call number $QREX_FAULT_KILL_AT.
// Without a fault, the number of calls is left in $QREX_FAULT_COUNT, a file. 0 calls: nothing was met.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::atomic<long> calls{0};

const char* setting(const char* name) {
  const char* found = std::getenv(name);
  return found ? found : "";
}

const std::string& folder() {
  static const std::string path = setting("QREX_FAULT_FOLDER");
  return path;
}

const std::string& kind() {
  static const std::string name = setting("QREX_FAULT");
  return name;
}

bool watched(int file) {
  if (folder().empty()) return false;
  char link[64], path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return false;
  path[length] = 0;
  return std::strncmp(path, folder().c_str(), folder().size()) == 0 && std::strstr(path, "/qrex-") != nullptr;
}

void report() {
  const char* place = setting("QREX_FAULT_COUNT");
  if (!*place || calls == 0) return;
  if (FILE* out = std::fopen(place, "w")) std::fprintf(out, "%ld\n", calls.load()), std::fclose(out);
}

[[noreturn]] void end() {
  kill(0, SIGKILL);
  for (;;) pause();
}

// Whether the fault falls on this call.
bool met(int file) {
  if (!watched(file)) return false;
  static const long at = std::atol(setting("QREX_FAULT_AT")), last = std::atol(setting("QREX_FAULT_KILL_AT"));
  const long number = ++calls;
  if (number == last) end();
  if (kind().empty()) report();
  if (kind().empty()) return false;
  return kind() == "full" || kind() == "broken" || kind() == "flip" ? number >= at : number == at;
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

ssize_t written(const char* name, int file, const void* data, size_t bytes, off_t at) {
  const auto call = real<ssize_t (*)(int, const void*, size_t, off_t)>(name);
  if (!met(file)) return call(file, data, bytes, at);
  if (kind() == "kill") end();
  const size_t half = bytes > 8192 ? bytes / 8192 * 4096 : bytes > 4096 ? 4096 : bytes / 2;
  if (kind() == "short") {
    if (half) call(file, data, half, at);
    end();
  }
  if (kind() == "partial" && half) return call(file, data, half, at);
  if (kind() == "full" || kind() == "broken") {
    errno = kind() == "full" ? ENOSPC : EIO;
    return -1;
  }
  static std::atomic<bool> flipped{false};
  if (kind() == "flip" && !flipped.exchange(true)) {
    void* copy = nullptr;
    if (posix_memalign(&copy, 4096, bytes + 4096)) end();
    std::memcpy(copy, data, bytes);
    const size_t bit = static_cast<size_t>(std::atol(setting("QREX_FAULT_BIT"))) % (8 * bytes);
    static_cast<unsigned char*>(copy)[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    const ssize_t count = call(file, copy, bytes, at);
    std::free(copy);
    return count;
  }
  return call(file, data, bytes, at);
}

ssize_t taken(const char* name, int file, void* data, size_t bytes, off_t at) {
  const auto call = real<ssize_t (*)(int, void*, size_t, off_t)>(name);
  if (!met(file)) return call(file, data, bytes, at);
  if (kind() == "kill" || kind() == "short") end();
  if (kind() == "broken") {
    errno = EIO;
    return -1;
  }
  return call(file, data, kind() == "partial" && bytes > 8192 ? bytes / 8192 * 4096 : bytes, at);
}

int flushed(const char* name, int file) {
  const auto call = real<int (*)(int)>(name);
  if (!met(file)) return call(file);
  if (kind() == "kill" || kind() == "short") end();
  if (kind() == "broken") {
    errno = EIO;
    return -1;
  }
  return call(file);
}

int reserved(const char* name, int file, off_t from, off_t bytes) {
  const auto call = real<int (*)(int, off_t, off_t)>(name);
  if (!met(file)) return call(file, from, bytes);
  if (kind() == "kill" || kind() == "short") end();
  if (kind() == "full") return ENOSPC;
  if (kind() == "broken") return EIO;
  return call(file, from, bytes);
}

}  // namespace

extern "C" {
ssize_t pwrite(int file, const void* data, size_t bytes, off_t at) { return written("pwrite", file, data, bytes, at); }
ssize_t pwrite64(int file, const void* data, size_t bytes, off64_t at) { return written("pwrite64", file, data, bytes, at); }
ssize_t pread(int file, void* data, size_t bytes, off_t at) { return taken("pread", file, data, bytes, at); }
ssize_t pread64(int file, void* data, size_t bytes, off64_t at) { return taken("pread64", file, data, bytes, at); }
int fdatasync(int file) { return flushed("fdatasync", file); }
int fsync(int file) { return flushed("fsync", file); }
int posix_fallocate(int file, off_t from, off_t bytes) { return reserved("posix_fallocate", file, from, bytes); }
int posix_fallocate64(int file, off64_t from, off64_t bytes) { return reserved("posix_fallocate64", file, from, bytes); }
}

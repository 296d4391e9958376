// A loop over independent items on several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace qrex {

// Calls body(worker, item) for items 0 to count-1, each exactly once, on at most `threads` threads including
// the caller's, fewer where the system has no room for them. Threads live for one call: a pool that outlives it would be broken in a forked child, and
// starting them costs tens of microseconds against a sweep of milliseconds.
template <class Body>
void parallel_for(std::uint64_t count, int threads, Body body) {
  if (static_cast<std::uint64_t>(threads) > count) threads = static_cast<int>(count);
  std::atomic<std::uint64_t> next{0};
  std::vector<std::exception_ptr> failures(threads > 0 ? threads : 1);
  auto work = [&](int worker) {
    try {
      for (std::uint64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(worker, item);
    } catch (...) {
      failures[worker] = std::current_exception();
      next.store(count);
    }
  };
  std::vector<std::thread> team;
  team.reserve(threads > 1 ? threads - 1 : 0);
  try {
    for (int worker = 1; worker < threads; ++worker) team.emplace_back(work, worker);
  } catch (const std::system_error&) {  // no room for one more stack: those that run share the items
  }
  if (count) work(0);
  for (std::thread& member : team) member.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace qrex

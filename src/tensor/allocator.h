// Memory of one device: best fit in large ranges, huge pages, nothing returned to the system during
// a run.
//
// Threads: take() and the release of a Storage may happen on any thread.  Lifetime: an allocator
// outlives its storages' last use but not necessarily their handles: each Storage keeps its
// allocator's pool alive.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace fathom {

struct Storage {
  std::byte* data = nullptr;
  size_t bytes = 0;
  std::atomic<uint32_t> version{0};  // bumped by every write through a Tensor
};

class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual std::shared_ptr<Storage> take(
      size_t bytes) = 0;              // uninitialised, 64-byte aligned; throws Error(kMemory)
  virtual size_t in_use() const = 0;  // bytes handed out now
  virtual size_t peak() const = 0;    // the most ever handed out at once
  virtual void reset_peak() = 0;
  // Takes memory from the system now, so that `bytes`, or what the limit allows, can be handed out
  // in all without more of it. Where the system refuses, nothing changes.
  virtual void reserve(size_t bytes) = 0;
  virtual size_t reserved() const = 0;  // bytes taken from the system
};

// Host memory. `limit_bytes` 0 means no limit of our own. `limit_name` is what set the limit, as
// errors tell it: "--memory-mb".
std::unique_ptr<Allocator> make_host_allocator(size_t limit_bytes = 0,
                                               const std::string& limit_name = "");

}  // namespace fathom

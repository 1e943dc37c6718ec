#include "tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSlab = size_t{16} << 20;  // small blocks are cut from slabs of this size

// Rounds up to one of four steps per power of two: at most a quarter of a block is waste.
size_t size_class(size_t bytes) {
  if (bytes <= 256) return (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  const size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

// The pool outlives the allocator object while storages live.
class Pool {
 public:
  explicit Pool(size_t limit_bytes) : limit_(limit_bytes) {}

  ~Pool() {
    for (const auto& [address, bytes] : mappings_) munmap(address, bytes);
  }

  // `bytes` becomes the size of the block, which give_back() is told.
  std::byte* take(size_t& bytes) {
    std::lock_guard lock(mutex_);
    if (limit_ != 0 && in_use_ + bytes > limit_) {
      fail(ErrorCode::kMemory, "memory: asked for ", human_bytes(static_cast<double>(bytes)),
           " with ", human_bytes(static_cast<double>(in_use_)), " in use; the limit is ",
           human_bytes(static_cast<double>(limit_)));
    }
    std::byte* block = reuse(bytes);
    if (block == nullptr) block = bytes >= kSlab / 4 ? map(bytes) : cut(bytes);
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
    return block;
  }

  void give_back(std::byte* block, size_t bytes) {
    std::lock_guard lock(mutex_);
    free_[bytes].push_back(block);
    in_use_ -= bytes;
  }

  size_t in_use() const { return std::lock_guard(mutex_), in_use_; }
  size_t peak() const { return std::lock_guard(mutex_), peak_; }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    peak_ = in_use_;
  }

 private:
  // A free block of this class, or of a larger one that wastes at most half of itself: `bytes`
  // becomes the block's size. Sizes vary from step to step; without the second choice every class
  // would keep blocks of its own.
  std::byte* reuse(size_t& bytes) {
    for (auto found = free_.lower_bound(bytes); found != free_.end() && found->first <= 2 * bytes;
         ++found) {
      if (found->second.empty()) continue;
      bytes = found->first;
      std::byte* block = found->second.back();
      found->second.pop_back();
      return block;
    }
    return nullptr;
  }

  std::byte* map(size_t bytes) {
    const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    void* address = mmap(nullptr, rounded + kHugePage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
      fail(ErrorCode::kMemory, "memory: the system refused ",
           human_bytes(static_cast<double>(rounded)), " with ",
           human_bytes(static_cast<double>(in_use_)), " in use");
    }
    mappings_.emplace_back(address, rounded + kHugePage);
    const auto value = reinterpret_cast<uintptr_t>(address);
    auto* aligned = reinterpret_cast<std::byte*>((value + kHugePage - 1) / kHugePage * kHugePage);
    madvise(aligned, rounded,
            MADV_HUGEPAGE);  // advice: without it everything still works, slower on first touch
    return aligned;
  }

  std::byte* cut(size_t bytes) {
    if (slab_left_ < bytes) {
      slab_ = map(kSlab);
      slab_left_ = kSlab;
    }
    std::byte* block = slab_;
    slab_ += bytes;
    slab_left_ -= bytes;
    return block;
  }

  mutable std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  std::vector<std::pair<void*, size_t>> mappings_;
  std::byte* slab_ = nullptr;
  size_t slab_left_ = 0;
  size_t limit_, in_use_ = 0, peak_ = 0;
};

class HostAllocator final : public Allocator {
 public:
  explicit HostAllocator(size_t limit_bytes) : pool_(std::make_shared<Pool>(limit_bytes)) {}

  std::shared_ptr<Storage> take(size_t bytes) override {
    auto storage = std::make_unique<Storage>();
    storage->bytes = size_class(bytes);
    storage->data = pool_->take(storage->bytes);
    return {storage.release(), [pool = pool_](Storage* s) {
              pool->give_back(s->data, s->bytes);
              delete s;
            }};
  }
  size_t in_use() const override { return pool_->in_use(); }
  size_t peak() const override { return pool_->peak(); }
  void reset_peak() override { pool_->reset_peak(); }

 private:
  std::shared_ptr<Pool> pool_;
};

}  // namespace

std::unique_ptr<Allocator> make_host_allocator(size_t limit_bytes) {
  return std::make_unique<HostAllocator>(limit_bytes);
}

}  // namespace fathom

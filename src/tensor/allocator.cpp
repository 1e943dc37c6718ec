#include "tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/pause.h"

namespace fathom {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAddresses = size_t{1} << 40;  // reserved at most: addresses cost no memory
constexpr size_t kLeastAddresses = size_t{1} << 30;
constexpr size_t kSmall = size_t{32} << 10;  // up to here blocks keep their size for good

size_t round_up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

// Small sizes are rounded up to one of four steps per power of two: at most a quarter is waste.
size_t block_size(size_t bytes) {
  if (bytes <= 256 || bytes > kSmall) return round_up(std::max<size_t>(bytes, 1), kAlignment);
  return round_up(bytes, std::bit_floor(bytes - 1) / 4);
}

// Held for a fraction of a microsecond: who finds it taken tries again for a moment before the
// system puts the thread to sleep, which takes far longer.
class BriefMutex {
 public:
  void lock() {
    for (int tries = 0; tries < 1000; ++tries) {
      if (mutex_.try_lock()) return;
      pause_briefly();
    }
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// The pool outlives the allocator object while storages live.
class Pool {
 public:
  Pool(size_t limit_bytes, std::string limit_name)
      : limit_(limit_bytes), limit_name_(std::move(limit_name)) {}

  ~Pool() {
    if (reserved_ != nullptr) munmap(reserved_, reserved_bytes_);
  }

  // `bytes` becomes the size of the block, which give_back() is told.
  std::byte* take(size_t& bytes) {
    std::lock_guard lock(mutex_);
    if (limit_ != 0 && in_use_ + bytes > limit_) {
      fail(ErrorCode::kMemory, "memory: asked for ", human_bytes(static_cast<double>(bytes)),
           " with ", human_bytes(static_cast<double>(in_use_)), " in use; expected at most ",
           human_bytes(static_cast<double>(limit_)), " in all",
           limit_name_.empty() ? "" : concat(", by ", limit_name_),
           limit_name_.starts_with("--") ? ". Raise it, or choose" : ". Choose",
           " a smaller model, context or batch");
    }
    std::byte* block = bytes <= kSmall ? take_small(bytes) : cut(bytes);
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
    return block;
  }

  void give_back(std::byte* block, size_t bytes) {
    std::lock_guard lock(mutex_);
    in_use_ -= bytes;
    if (bytes <= kSmall) {
      small_[bytes].push_back(block);
    } else {
      join(block, bytes);
    }
  }

  void reserve(size_t bytes) {
    std::lock_guard lock(mutex_);
    if (limit_ != 0) bytes = std::min(bytes, limit_);
    if (bytes <= from_system_) return;
    const size_t before = from_system_;
    try {
      add_to_end(bytes - before);
    } catch (const Error&) {
      return;  // whoever needs it will say so
    }
    for (size_t added = from_system_ - before; added > 0; added -= kSmallPage)
      *(end_ - added) = std::byte{0};  // pages come with the first touch
  }

  size_t reserved() const { return std::lock_guard(mutex_), from_system_; }
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
  std::byte* take_small(size_t& bytes) {
    for (auto found = small_.lower_bound(bytes); found != small_.end() && found->first <= 2 * bytes;
         ++found) {
      if (found->second.empty()) continue;
      bytes = found->first;
      std::byte* block = found->second.back();
      found->second.pop_back();
      return block;
    }
    if (slab_left_ < bytes) {  // what is left of the old one stays unused: less than kSmall
      slab_ = cut(32 * kSmall);
      slab_left_ = 32 * kSmall;
    }
    std::byte* block = slab_;
    slab_ += bytes;
    slab_left_ -= bytes;
    return block;
  }

  // From the smallest free range that holds it, the lowest of equals; what is left stays free.
  std::byte* cut(size_t bytes) {
    auto best = by_size_.lower_bound({bytes, nullptr});
    if (best == by_size_.end()) {
      grow(bytes);
      best = by_size_.lower_bound({bytes, nullptr});
    }
    const auto [size, block] = *best;
    by_size_.erase(best);
    by_address_.erase(block);
    if (size > bytes) insert(block + bytes, size - bytes);
    return block;
  }

  // Adds a range to the free ones, as one with its free neighbours.
  void join(std::byte* block, size_t bytes) {
    auto after = by_address_.lower_bound(block);
    if (after != by_address_.end() && after->first == block + bytes) {
      bytes += after->second;
      after = erase(after);
    }
    if (after != by_address_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == block) {
        block = before->first;
        bytes += before->second;
        erase(before);
      }
    }
    insert(block, bytes);
  }

  using ByAddress = std::map<std::byte*, size_t>;
  void insert(std::byte* block, size_t bytes) {
    by_address_.emplace(block, bytes);
    by_size_.emplace(bytes, block);
  }
  ByAddress::iterator erase(ByAddress::iterator range) {
    by_size_.erase({range->second, range->first});
    return by_address_.erase(range);
  }

  // Makes a free range of `bytes` at the end, of which a free one that lies there already is a
  // part: ranges stay neighbours, and growth is no more than what is missing.
  void grow(size_t bytes) {
    size_t missing = bytes;
    if (!by_address_.empty()) {
      const auto& [last, size] = *by_address_.rbegin();
      if (last + size == end_) missing -= size;
    }
    add_to_end(missing);
  }

  void add_to_end(size_t missing) {
    if (reserved_ == nullptr) reserve_addresses();
    missing = round_up(missing, kHugePage);
    if (missing > static_cast<size_t>(limit_address() - end_) ||
        mprotect(end_, missing, PROT_READ | PROT_WRITE) != 0) {
      fail(ErrorCode::kMemory, "memory: the system refused ",
           human_bytes(static_cast<double>(missing)), " with ",
           human_bytes(static_cast<double>(in_use_)),
           " in use. Free memory, or choose a smaller model, context or batch");
    }
    std::byte* added = end_;
    end_ += missing;
    from_system_ += missing;
    join(added, missing);
  }

  void reserve_addresses() {
    for (reserved_bytes_ = kAddresses; reserved_bytes_ >= kLeastAddresses; reserved_bytes_ /= 2) {
      void* address = mmap(nullptr, reserved_bytes_, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (address == MAP_FAILED) continue;
      reserved_ = static_cast<std::byte*>(address);
      const auto value = reinterpret_cast<uintptr_t>(address);
      end_ = reserved_ + (round_up(value, kHugePage) - value);
      madvise(reserved_, reserved_bytes_,
              MADV_HUGEPAGE);  // advice: without it everything still works, slower on first touch
      return;
    }
    fail(ErrorCode::kMemory, "memory: the system refused to reserve ",
         human_bytes(static_cast<double>(kLeastAddresses)),
         " of addresses; is there a limit on virtual memory (ulimit -v)?");
  }

  std::byte* limit_address() const { return reserved_ + reserved_bytes_; }

  mutable BriefMutex mutex_;
  // Large blocks are cut from free ranges and join their neighbours again: batches of other sizes
  // use the same memory.
  ByAddress by_address_;
  std::set<std::pair<size_t, std::byte*>> by_size_;
  // Small ones go back to the list of their class, quicker, and never change.
  std::map<size_t, std::vector<std::byte*>> small_;
  std::byte* slab_ = nullptr;
  size_t slab_left_ = 0;
  std::byte* reserved_ = nullptr;  // addresses; usable up to end_
  std::byte* end_ = nullptr;
  size_t reserved_bytes_ = 0;
  size_t from_system_ = 0;
  size_t limit_, in_use_ = 0, peak_ = 0;
  std::string limit_name_;
};

class HostAllocator final : public Allocator {
 public:
  HostAllocator(size_t limit_bytes, const std::string& limit_name)
      : pool_(std::make_shared<Pool>(limit_bytes, limit_name)) {}

  std::shared_ptr<Storage> take(size_t bytes) override {
    auto storage = std::make_unique<Storage>();
    storage->bytes = block_size(bytes);
    storage->data = pool_->take(storage->bytes);
    return {storage.release(), [pool = pool_](Storage* s) {
              pool->give_back(s->data, s->bytes);
              delete s;
            }};
  }
  size_t in_use() const override { return pool_->in_use(); }
  size_t peak() const override { return pool_->peak(); }
  void reset_peak() override { pool_->reset_peak(); }
  void reserve(size_t bytes) override { pool_->reserve(bytes); }
  size_t reserved() const override { return pool_->reserved(); }

 private:
  std::shared_ptr<Pool> pool_;
};

}  // namespace

std::unique_ptr<Allocator> make_host_allocator(size_t limit_bytes, const std::string& limit_name) {
  return std::make_unique<HostAllocator>(limit_bytes, limit_name);
}

}  // namespace fathom

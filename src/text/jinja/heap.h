// The budget of one rendering, and the owner of everything it makes.
//
// A template is foreign code: each step, each byte and each level it takes is counted, and whatever
// exceeds its limit is a fault.
//
// Threads: one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "text/jinja/fault.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

struct Limits {
  int64_t steps = 20'000'000;              // nodes walked, and 1/64 of the bytes written
  int depth = 400;                         // nodes and calls within each other
  int64_t text_bytes = int64_t{64} << 20;  // of one string, and of the result
  int64_t memory_bytes = int64_t{512} << 20;
};

// What a short string takes, as part of a list.
inline constexpr size_t kPieceBytes = 160;

class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}

  void step(int64_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) {
      fault("the template took more than ", limits_.steps, " steps; the sandbox stops it");
    }
  }
  // To be called before a text of `bytes` is built.
  void expect_text(size_t bytes) {
    if (static_cast<int64_t>(bytes) > limits_.text_bytes) {
      fault("a text of ", bytes, " bytes; the sandbox allows ", limits_.text_bytes);
    }
    step(static_cast<int64_t>(bytes) / 64);
  }
  size_t text_limit() const { return static_cast<size_t>(limits_.text_bytes); }
  int depth_limit() const { return limits_.depth; }

  Value text(MarkedText text, bool markup = false) {
    expect_text(text.size());
    auto box = std::make_shared<StringBox>();
    box->charge = charge(2 * static_cast<int64_t>(text.size()) + 160);
    box->text = std::move(text);
    box->markup = markup;
    return Value(std::shared_ptr<const StringBox>(std::move(box)));
  }
  Value list(std::vector<Value> items, bool tuple = false) {
    auto box = std::make_shared<ListBox>();
    box->charge = charge(sized(items.size(), sizeof(Value)));
    for (const Value& item : items) box->depth = std::max(box->depth, deeper(item));
    box->items = std::move(items);
    box->tuple = tuple;
    return Value(std::shared_ptr<const ListBox>(std::move(box)));
  }
  Value dict(std::vector<DictBox::Entry> entries) {
    auto box = std::make_shared<DictBox>();
    box->charge = charge(sized(entries.size(), sizeof(DictBox::Entry)));
    for (const DictBox::Entry& entry : entries) {
      box->depth = std::max(box->depth, deeper(entry.second));
    }
    box->entries = std::move(entries);
    return Value(std::shared_ptr<const DictBox>(std::move(box)));
  }
  // Makes something with identity; it lives as long as the heap.
  template <class T, class... Arguments>
  T* object(Arguments&&... arguments) {
    auto made = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    T* pointer = made.get();
    keep(256);
    objects_.push_back(std::move(made));
    return pointer;
  }
  // Counts bytes that stay until the end.
  void keep(int64_t bytes) {
    live_bytes_ += bytes;
    check_memory();
  }
  // To be called before `bytes` are taken for a short while.
  void expect_memory(size_t bytes) {
    step(static_cast<int64_t>(bytes) / 512);
    if (live_bytes_ + static_cast<int64_t>(bytes) > limits_.memory_bytes) refuse_memory();
  }
  Charge charge(int64_t bytes) {
    Charge made(&live_bytes_, bytes);
    check_memory();
    return made;
  }

 private:
  static constexpr int kMaxValueDepth = 120;

  int64_t sized(size_t count, size_t bytes_each) {
    step(static_cast<int64_t>(count) / 8);
    return static_cast<int64_t>(count * bytes_each) + 96;
  }
  static int deeper(const Value& value) {
    const int depth = 1 + value.depth();
    if (depth > kMaxValueDepth)
      fault("lists and dicts are nested more than ", kMaxValueDepth, " deep");
    return depth;
  }
  void check_memory() const {
    if (live_bytes_ > limits_.memory_bytes) refuse_memory();
  }
  [[noreturn]] void refuse_memory() const {
    fault("the template took more than ", limits_.memory_bytes, " bytes; the sandbox stops it");
  }

  Limits limits_;
  int64_t steps_ = 0;
  int64_t live_bytes_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace fathom::jinja

// Making a model folder: how weights are stored, the room it needs, how far the writing is, and
// what a stop leaves.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "app/command_line.h"
#include "checkpoint/weight_writer.h"

namespace fathom {

// Flags for how weights are stored, and by how many threads they are made.
struct StorageFlags {
  std::string dtype, scale_fmt = "f32", shard_size;
  int64_t threads = 0;

  std::optional<DType> wanted_dtype() const;  // nullopt where nothing is said
  bool power_of_two() const;
  int64_t shard_bytes() const;  // 0: one file
};
void add_storage_flags(Command& command, StorageFlags& flags, const std::string& dtype_default);

// "5GB", "500MB", "1.5GiB", or a number of bytes; `flag` opens the message of an error.
int64_t parse_size(const std::string& flag, const std::string& text);

// Error(kRuntime) with the numbers where the disk of `out` has less than `bytes` free.
void check_disk_room(const std::string& out, uint64_t bytes);

// With `threads` computing, `write` fills a hidden folder, which becomes `out` when it is whole;
// large ones tell on standard error how far they are. A stop ends the writing and leaves nothing.
// Returns the exit status.
int write_model_folder(
    const std::string& out, int64_t threads,
    const std::function<void(const std::string& folder, const ByteProgress& progress)>& write);

}  // namespace fathom

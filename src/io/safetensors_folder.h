// The weights of a model folder: one safetensors file, or shards with an index.
//
// With model.safetensors.index.json, exactly the files it names are opened, and each tensor is
// taken from the file the index says; other files in the folder are not read. Without it,
// model.safetensors is used; without that, all *.safetensors files together, and a name in two of
// them is an error.
//
// Threads: const access from any number of threads.  Lifetime: spans live as long as the folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"

namespace fathom {

inline constexpr std::string_view kSafetensorsIndexName = "model.safetensors.index.json";

struct SafetensorsIndex {
  uint64_t total_size = 0;                        // bytes of tensors; informative, not checked
  std::map<std::string, std::string> weight_map;  // tensor -> file name, always a plain name
};

SafetensorsIndex parse_safetensors_index(std::string_view text, const std::string& origin);
void write_safetensors_index(const std::string& folder, const SafetensorsIndex& index);

// "model-00002-of-00007.safetensors"; number counts from 1.
std::string safetensors_shard_name(int64_t number, int64_t count);
bool is_shard_name(std::string_view name);  // of that form

class SafetensorsFolder {
 public:
  struct Location {
    const SafetensorsFile* file = nullptr;
    const SafetensorEntry* entry = nullptr;
  };

  explicit SafetensorsFolder(const std::string& folder);

  const std::string& path() const { return path_; }
  const std::map<std::string, Location, std::less<>>& tensors() const { return tensors_; }
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  const Location* find(std::string_view name) const;  // null when absent
  const Location& at(std::string_view name) const;    // throws with the nearest name
  std::span<const std::byte> bytes(std::string_view name) const;
  uint64_t total_bytes() const;  // of all tensors

  // Tensors are known by new names from now on; two of the same are an error. The entries keep the
  // names of their files.
  void rename(const std::function<std::string(std::string_view)>& new_name);

 private:
  void open_indexed();
  void open_all(const std::vector<std::string>& names);
  const SafetensorsFile& open(const std::string& name);

  std::string path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;  // pointers: Location refers to them
  std::map<std::string, Location, std::less<>> tensors_;
};

}  // namespace fathom

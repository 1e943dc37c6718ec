#include "io/safetensors_folder.h"

#include <algorithm>
#include <cstdio>
#include <unordered_map>

#include "base/error.h"
#include "io/json.h"

namespace fathom {
namespace {

constexpr std::string_view kSingleName = "model.safetensors";

// A name must not lead out of the folder of the index.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

std::vector<std::string> names_ending_with(const std::vector<std::string>& names,
                                           std::string_view ending) {
  std::vector<std::string> found;
  std::copy_if(names.begin(), names.end(), std::back_inserter(found),
               [&](const std::string& name) { return name.ends_with(ending) && name[0] != '.'; });
  return found;
}

// Pickled files are programs; nothing here runs them. The command converts each on its own, so that
// it asks for no more memory than the largest, and for no class of the model.
[[noreturn]] void refuse_without_weights(const std::string& folder,
                                         const std::vector<std::string>& names) {
  for (const std::string& name : names_ending_with(names, ".bin")) {
    if (!name.starts_with("pytorch_model")) continue;
    fail(ErrorCode::kModel, folder, ": no *.safetensors file; the weights are pickled (", name,
         "), which Fathom does not read\n      fix: convert them, where torch and safetensors are "
         "installed:\n      python3 -c \"import glob, sys, torch, safetensors.torch as s; "
         "[s.save_file({k: v.clone(memory_format=torch.contiguous_format) for k, v in "
         "torch.load(f, 'cpu', weights_only=True).items()}, "
         "f[:-3] + 'safetensors', {'format': 'pt'}) for f in glob.glob(sys.argv[1] + "
         "'/pytorch_model*.bin')]\" ",
         folder);
  }
  fail(ErrorCode::kModel, folder, ": no *.safetensors file");
}

}  // namespace

SafetensorsIndex parse_safetensors_index(std::string_view text, const std::string& origin) {
  const Json root = parse_json(text, origin, ErrorCode::kModel);
  const Json* map = root.find("weight_map");
  if (!map || !map->is_object()) {
    fail(ErrorCode::kModel, origin, ": expected an object \"weight_map\" from tensor to file name");
  }
  SafetensorsIndex index;
  for (const auto& [tensor, file] : map->members()) {
    if (!file.is_string() || !is_plain_file_name(file.as_string())) {
      fail(ErrorCode::kModel, origin, ": tensor ", tensor, " is mapped to ", file.dump(),
           "; expected the plain file name of a file in the same folder");
    }
    index.weight_map[tensor] = file.as_string();
  }
  const Json* metadata = root.find("metadata");
  const Json* total = metadata ? metadata->find("total_size") : nullptr;
  if (total && total->is_int() && total->as_int() > 0) {
    index.total_size = static_cast<uint64_t>(total->as_int());
  }
  return index;
}

void write_safetensors_index(const std::string& folder, const SafetensorsIndex& index) {
  Json map = Json::object();
  for (const auto& [tensor, file] : index.weight_map) {
    FATHOM_CHECK(is_plain_file_name(file), "index of ", folder, ": \"", file,
                 "\" is no plain file name");
    map[tensor] = file;
  }
  const Json root = Json::object({{"metadata", Json::object({{"total_size", index.total_size}})},
                                  {"weight_map", std::move(map)}});
  write_file_atomically(join_path(folder, kSafetensorsIndexName), root.dump(2) + "\n");
}

std::string safetensors_shard_name(int64_t number, int64_t count) {
  FATHOM_CHECK(number >= 1 && number <= count, "shard ", number, " of ", count);
  char name[80];
  std::snprintf(name, sizeof name, "model-%05lld-of-%05lld.safetensors",
                static_cast<long long>(number), static_cast<long long>(count));
  return name;
}

bool is_shard_name(std::string_view name) {
  const std::string form = safetensors_shard_name(1, 1);
  if (name.size() != form.size()) return false;
  for (size_t i = 0; i < form.size(); ++i) {
    const bool digit = form[i] >= '0' && form[i] <= '9';
    if (digit ? name[i] < '0' || name[i] > '9' : name[i] != form[i]) return false;
  }
  return true;
}

SafetensorsFolder::SafetensorsFolder(const std::string& folder) : path_(folder) {
  if (!is_directory(folder)) {
    fail(ErrorCode::kModel, "model folder ", folder,
         exists(folder) ? " is not a folder" : " does not exist",
         "; give the folder that holds config.json and *.safetensors");
  }
  if (exists(join_path(folder, kSafetensorsIndexName))) {
    open_indexed();
    return;
  }
  if (exists(join_path(folder, kSingleName))) {
    open_all({std::string(kSingleName)});
    return;
  }
  const std::vector<std::string> all = list_directory(folder);
  const std::vector<std::string> names = names_ending_with(all, ".safetensors");
  if (names.empty()) refuse_without_weights(folder, all);
  open_all(names);
}

const SafetensorsFile& SafetensorsFolder::open(const std::string& name) {
  files_.push_back(std::make_unique<SafetensorsFile>(join_path(path_, name)));
  return *files_.back();
}

void SafetensorsFolder::open_indexed() {
  const std::string index_path = join_path(path_, kSafetensorsIndexName);
  const SafetensorsIndex index = parse_safetensors_index(read_file(index_path), index_path);
  std::unordered_map<std::string, const SafetensorsFile*> opened;
  for (const auto& [tensor, name] : index.weight_map) {
    const SafetensorsFile*& file = opened[name];
    if (!file) {
      if (!exists(join_path(path_, name))) {
        fail(ErrorCode::kModel, index_path, ": missing file ", name, ", which should hold tensor ",
             tensor, "; fetch it again");
      }
      file = &open(name);
    }
    const SafetensorEntry* entry = file->find(tensor);
    if (!entry) {
      fail(ErrorCode::kModel, index_path, ": tensor ", tensor, " is not in ", name,
           ", which holds ", file->entries().size(),
           " tensors; index and shards are of different models");
    }
    tensors_[tensor] = {file, entry};
  }
}

void SafetensorsFolder::open_all(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const SafetensorsFile& file = open(name);
    for (const SafetensorEntry& entry : file.entries()) {
      const auto [place, is_new] = tensors_.try_emplace(entry.name, Location{&file, &entry});
      if (!is_new) {
        fail(ErrorCode::kModel, path_, ": duplicate tensor ", entry.name, " in ",
             place->second.file->path(), " and ", file.path(), "; without ", kSafetensorsIndexName,
             " each name may appear once");
      }
    }
  }
}

const SafetensorsFolder::Location* SafetensorsFolder::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const SafetensorsFolder::Location& SafetensorsFolder::at(std::string_view name) const {
  if (const Location* found = find(name)) return *found;
  std::vector<std::string> names;
  for (const auto& [known, location] : tensors_) names.push_back(known);
  fail(ErrorCode::kModel, path_, ": tensor ", name, " is missing; the folder holds ", names.size(),
       " tensors in ", files_.size(), " files", did_you_mean(name, names));
}

std::span<const std::byte> SafetensorsFolder::bytes(std::string_view name) const {
  const Location& location = at(name);
  return location.file->bytes(*location.entry);
}

void SafetensorsFolder::rename(const std::function<std::string(std::string_view)>& new_name) {
  std::map<std::string, Location, std::less<>> renamed;
  for (const auto& [name, location] : tensors_) {
    const auto [place, is_new] = renamed.try_emplace(new_name(name), location);
    if (!is_new) {
      fail(ErrorCode::kModel, path_, ": tensors ", place->second.entry->name, " and ", name,
           " are both ", place->first, " by their published name");
    }
  }
  tensors_ = std::move(renamed);
}

uint64_t SafetensorsFolder::total_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, location] : tensors_)
    total += location.entry->end - location.entry->begin;
  return total;
}

}  // namespace fathom

#include "checkpoint/training_state.h"

#include <cstdio>
#include <cstring>

#include "checkpoint/weights.h"
#include "io/files.h"

namespace fathom {
namespace {

std::string checkpoints_folder(const std::string& run) { return join_path(run, "checkpoints"); }

std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with("step-") || name.size() != 13) return std::nullopt;
  for (size_t i = 5; i < name.size(); ++i) {
    if (name[i] < '0' || name[i] > '9') return std::nullopt;
  }
  return std::atoll(name.c_str() + 5);
}

std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.read().data), static_cast<size_t>(tensor.bytes())};
}

void save_optimizer(AdamW& optimizer, const std::string& path) {
  std::vector<SafetensorSpec> specs;
  std::map<std::string, const Tensor*> tensors;
  Json steps = Json::object();
  for (size_t i = 0; i < optimizer.parameters().size(); ++i) {
    const Parameter& p = *optimizer.parameters()[i];
    const AdamW::Moments& moments = optimizer.moments()[i];
    if (!moments.m) continue;
    steps[p.name] = moments.steps;
    for (const auto& [prefix, tensor] :
         {std::pair{"m.", &moments.m}, std::pair{"v.", &moments.v}}) {
      specs.push_back({prefix + p.name, info(tensor->dtype()).safetensors, p.declared.to_vector()});
      tensors[prefix + p.name] = tensor;
    }
  }
  SafetensorsWriter writer(path, specs, {{"format", "pt"}, {"steps", steps.dump()}});
  for (const SafetensorEntry& entry : std::vector<SafetensorEntry>(writer.entries())) {
    writer.write(entry.name, bytes_of(*tensors.at(entry.name)));
  }
  writer.finish();
}

void load_tensor(const SafetensorsFile& file, const std::string& name, Tensor& into) {
  const SafetensorEntry* entry = file.find(name);
  if (entry == nullptr) fail(ErrorCode::kModel, "resume: ", file.path(), " has no tensor ", name);
  const std::span<const std::byte> bytes = file.bytes(*entry);
  if (static_cast<int64_t>(bytes.size()) != into.bytes()) {
    fail(ErrorCode::kModel, "resume: ", name, " in ", file.path(), " has ", bytes.size(),
         " bytes; expected ", into.bytes());
  }
  std::memcpy(into.write().data, bytes.data(), bytes.size());
}

void load_optimizer(Pass& pass, AdamW& optimizer, const std::string& path) {
  const SafetensorsFile file(path);
  const Json steps = parse_json(file.metadata().at("steps"), path, ErrorCode::kModel);
  optimizer.allocate_moments(pass);
  for (size_t i = 0; i < optimizer.parameters().size(); ++i) {
    const Parameter& p = *optimizer.parameters()[i];
    AdamW::Moments& moments = optimizer.moments()[i];
    moments.steps = steps.int_or(p.name, 0);
    if (moments.steps == 0 && file.find("m." + p.name) == nullptr) continue;
    load_tensor(file, "m." + p.name, moments.m);
    load_tensor(file, "v." + p.name, moments.v);
  }
}

void remove_old(const std::string& run, int64_t keep) {
  if (keep <= 0) return;
  std::vector<std::string> names;
  for (const std::string& name : list_directory(checkpoints_folder(run))) {
    if (step_of(name)) names.push_back(name);
  }
  for (size_t i = 0; i + static_cast<size_t>(keep) < names.size(); ++i) {
    remove_all(join_path(checkpoints_folder(run), names[i]));
  }
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  return name;
}

std::optional<Checkpoint> newest_checkpoint(const std::string& run) {
  const std::string folder = checkpoints_folder(run);
  if (!is_directory(folder)) return std::nullopt;
  const std::vector<std::string> names = list_directory(folder);
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const std::optional<int64_t> step = step_of(*name);
    const std::string candidate = join_path(folder, *name);
    if (step && exists(join_path(candidate, "state.json"))) return Checkpoint{candidate, *step};
  }
  return std::nullopt;
}

void save_checkpoint(const std::string& run, int64_t step, const CheckpointContents& contents,
                     int64_t keep) {
  const std::string folder = checkpoints_folder(run);
  make_directories(folder);
  write_directory(join_path(folder, checkpoint_name(step)), [&](const std::string& temporary) {
    save_model(*contents.decoder, contents.tokenizer, temporary, {}, contents.card);
    save_optimizer(*contents.optimizer, join_path(temporary, "optimizer.safetensors"));
    write_file_atomically(join_path(temporary, "run.toml"), contents.run_toml);
    Json state = contents.state;
    state["step"] = step;
    state["optimizer_steps"] = contents.optimizer->steps();
    write_file_atomically(join_path(temporary, "state.json"), state.dump(2) + "\n");
  });
  remove_old(run, keep);
}

Json load_checkpoint(Pass& pass, const std::string& folder, Decoder& decoder, AdamW& optimizer) {
  const std::string state_path = join_path(folder, "state.json");
  Json state = parse_json(read_file(state_path), state_path, ErrorCode::kModel);
  load_weights(decoder, SafetensorsFolder(folder));
  load_optimizer(pass, optimizer, join_path(folder, "optimizer.safetensors"));
  optimizer.set_steps(state.int_at("optimizer_steps"));
  return state;
}

}  // namespace fathom

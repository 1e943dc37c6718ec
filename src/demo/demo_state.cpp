#include "demo/demo_state.h"

#include "checkpoint/weights.h"
#include "io/files.h"

namespace fathom {

DemoState::DemoState(const std::string& out, uint64_t seed, const std::string& recipe) : out_(out) {
  make_directories(out);
  const std::string path = join_path(out, "state.json");
  if (!exists(path)) {
    state_ = Json::object(
        {{"seed", seed}, {"recipe", recipe}, {"seconds", 0.0}, {"chapters", Json::object()}});
    return;
  }
  state_ = parse_json(read_file(path), path);
  if (state_.int_at("seed") != static_cast<int64_t>(seed) || state_.string_at("recipe") != recipe) {
    fail(ErrorCode::kUsage, "demo: ", out, " holds a ", state_.string_at("recipe"),
         " demo of seed ", state_.int_at("seed"), "; asked for ", recipe, ", seed ", seed,
         ". Choose another --out, or remove that folder");
  }
}

bool DemoState::done(const std::string& chapter) const {
  return state_.at("chapters").contains(chapter);
}

const Json& DemoState::result(const std::string& chapter) const {
  return state_.at("chapters").at(chapter);
}

void DemoState::finish(const std::string& chapter, const Json& result, Decoder* decoder,
                       const Tokenizer& tokenizer) {
  if (decoder != nullptr) {
    write_directory(model_folder(chapter), [&](const std::string& folder) {
      save_model(*decoder, &tokenizer, folder, {},
                 {"v3-nano after the chapter " + chapter,
                  "Made by `fathom demo`. Results: `" + result.dump() + "`"});
    });
  }
  state_["chapters"][chapter] = result;
  save();
}

void DemoState::remember(const std::string& chapter, const Json& decided) {
  state_["decided"][chapter] = decided;
  save();
}

Json DemoState::remembered(const std::string& chapter) const {
  const Json* all = state_.find("decided");
  const Json* one = all ? all->find(chapter) : nullptr;
  return one ? *one : Json();
}

std::string DemoState::model_folder(const std::string& chapter) const {
  return join_path(join_path(out_, "chapters"), chapter);
}

double DemoState::seconds() const { return state_.double_at("seconds"); }

void DemoState::add_seconds(double seconds) {
  state_["seconds"] = state_.double_at("seconds") + seconds;
  save();
}

void DemoState::save() const {
  write_file_atomically(join_path(out_, "state.json"), state_.dump(2) + "\n");
}

void load_weights_of(Decoder& decoder, const std::string& folder) {
  load_weights(decoder, SafetensorsFolder(folder));
}

}  // namespace fathom

// Weights that are not those of config.json: one error that names file, tensor, expected, got and
// the nearest name.
#include <gtest/gtest.h>

#include "checkpoint/model_folder.h"
#include "io/json.h"
#include "io/testing.h"
#include "model/presets.h"

namespace fathom {
namespace {

constexpr const char* kName = "model.layers.1.mlp.down_proj.weight";

struct Folder {
  Folder() : memory(make_host_allocator()) {
    ModelConfig config = model_preset("llm-nano").config;
    config.vocab_size = 30;
    Decoder decoder(config);
    decoder.allocate(*memory);
    decoder.initialize(1);
    save_model(decoder, nullptr, place.path(), {}, {"a model", ""});
    file = place.file("model.safetensors");
  }

  // The same file with its tensors described otherwise; a spec without a name leaves a tensor out.
  template <class Change>
  void rewrite(const Change& change) {
    const std::string other = place.file("other");
    {
      const SafetensorsFile from(file);
      std::vector<SafetensorSpec> specs;
      std::map<std::string, std::string> sources;
      for (const SafetensorEntry& entry : from.entries()) {
        SafetensorSpec spec{entry.name, entry.dtype, entry.shape};
        change(spec);
        if (spec.name.empty()) continue;
        sources[spec.name] = entry.name;
        specs.push_back(spec);
      }
      SafetensorsWriter writer(other, specs);
      for (const SafetensorEntry& entry : std::vector<SafetensorEntry>(writer.entries()))
        writer.write(entry.name, from.bytes(*from.find(sources.at(entry.name))));
      writer.finish();
    }
    std::filesystem::rename(other, file);
  }

  void expect_refused(const std::vector<std::string>& texts) const {
    for (const WeightsFor use : {WeightsFor::kTraining, WeightsFor::kInference}) {
      const std::string message = error_of([&] { load_model(place.path(), *memory, use); });
      for (const std::string& text : texts)
        EXPECT_NE(message.find(text), std::string::npos) << text << "\n  in: " << message;
      EXPECT_EQ(message.find("load: ", 6), std::string::npos) << message;  // one error
    }
  }

  TemporaryFolder place;
  std::unique_ptr<Allocator> memory;
  std::string file;
};

TEST(RefusedWeights, AMissingTensorIsNamedWithTheNearestOne) {
  Folder folder;
  folder.rewrite([](SafetensorSpec& spec) {
    if (spec.name == kName) spec.name.clear();
  });
  folder.expect_refused({folder.file, concat(kName, " is missing"), "expected [128, ",
                         "the nearest name is model.layers.", "num_hidden_layers"});
}

TEST(RefusedWeights, ARenamedTensorIsMissingAndTheOtherNameOffered) {
  Folder folder;
  folder.rewrite([](SafetensorSpec& spec) {
    if (spec.name == kName) spec.name = "model.layers.1.mlp.dwn_proj.weight";
  });
  folder.expect_refused({folder.file, concat(kName, " is missing"),
                         "the nearest name is model.layers.1.mlp.dwn_proj.weight"});
}

TEST(RefusedWeights, AMissingTensorOfSeveralFilesNamesTheFolder) {
  Folder folder;
  folder.rewrite([](SafetensorSpec& spec) {
    if (spec.name == kName) spec.name.clear();
  });
  std::filesystem::rename(folder.file, folder.place.file("a.safetensors"));
  SafetensorsWriter(folder.place.file("b.safetensors"), {{"extra", "U8", {0}}}).finish();
  folder.expect_refused(
      {concat("the 2 files of ", folder.place.path()), concat(kName, " is missing")});
}

TEST(RefusedWeights, AnUnexpectedTensorIsNamedWithWhatItIsAndTheNearestExpected) {
  Folder folder;
  const std::string extra = "model.layers.1.mlp.down_proj.bias";
  std::filesystem::rename(folder.file, folder.place.file("a.safetensors"));
  SafetensorsWriter(folder.place.file("b.safetensors"), {{extra, "BF16", {0, 7}}}).finish();
  folder.expect_refused({folder.place.file("b.safetensors"), concat("unexpected tensor ", extra),
                         "BF16 [0, 7]", "the nearest expected name is model.layers.1.mlp."});
}

TEST(RefusedWeights, AMisshapenTensorIsNamedWithBothShapes) {
  Folder folder;
  std::vector<int64_t> got;
  folder.rewrite([&](SafetensorSpec& spec) {
    if (spec.name != kName) return;
    std::swap(spec.shape[0], spec.shape[1]);
    got = spec.shape;
  });
  folder.expect_refused({folder.file, kName, concat("is F32 ", Shape(got)),
                         concat("expected ", Shape({got[1], got[0]})), "config.json"});
}

TEST(RefusedWeights, AnotherDtypeIsNamedWithTheOnesThatAreRead) {
  Folder folder;
  folder.rewrite([&](SafetensorSpec& spec) {
    if (spec.name == kName) spec.dtype = "I32";
  });
  folder.expect_refused({folder.file, kName, "dtype I32", "expected F32, BF16, F16 or F64"});
}

TEST(RefusedWeights, ATruncatedFileNamesTheTensorThatEndsBeyondIt) {
  Folder folder;
  const auto size = std::filesystem::file_size(folder.file);
  std::string last;
  uint64_t end = 0;
  {
    const SafetensorsFile file(folder.file);
    for (const SafetensorEntry& entry : file.entries()) {
      if (entry.end >= end) last = entry.name, end = entry.end;
    }
  }
  std::filesystem::resize_file(folder.file, size - 1);
  folder.expect_refused({folder.file, "truncated", last, concat("ends at data offset ", end),
                         concat("the file holds ", end - 1), "fetch it again"});
}

TEST(RefusedWeights, ATiedHeadOfItsOwnValuesIsAQuestion) {
  Folder folder;
  const std::string path = folder.place.file("config.json");
  Json config = parse_json(read_file(path), path);
  config["tie_word_embeddings"] = true;
  write_file_atomically(path, config.dump());
  folder.expect_refused({"tie_word_embeddings is true", "lm_head.weight", folder.file, "differs"});
}

}  // namespace
}  // namespace fathom

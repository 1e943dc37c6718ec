#include "io/safetensors_folder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "io/json.h"
#include "io/testing.h"

namespace fathom {
namespace {

void write_floats(const std::string& path,
                  const std::map<std::string, std::vector<float>>& tensors) {
  std::vector<SafetensorSpec> specs;
  for (const auto& [name, values] : tensors) {
    specs.push_back({name, "F32", {static_cast<int64_t>(values.size())}});
  }
  SafetensorsWriter writer(path, specs);
  for (const SafetensorEntry& entry : writer.entries()) {
    writer.write(entry.name, std::as_bytes(std::span(tensors.at(entry.name))));
  }
  writer.finish();
}

std::vector<float> floats_of(const SafetensorsFolder& folder, std::string_view name) {
  const std::span<const std::byte> bytes = folder.bytes(name);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::string refusal_of(const std::string& path) {
  try {
    SafetensorsFolder folder(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
    return error.what();
  }
  return "";
}

TEST(SafetensorsIndex, IsReadAsItWasWritten) {
  const TemporaryFolder folder;
  const SafetensorsIndex index = {12, {{"b", "s1.safetensors"}, {"a", "s2.safetensors"}}};
  write_safetensors_index(folder.path(), index);
  const std::string path = folder.file(kSafetensorsIndexName);
  const SafetensorsIndex back = parse_safetensors_index(read_file(path), path);
  EXPECT_EQ(back.total_size, 12u);
  EXPECT_EQ(back.weight_map, index.weight_map);
}

TEST(SafetensorsIndex, MayLackItsMetadata) {
  EXPECT_EQ(parse_safetensors_index(R"({"weight_map":{}})", "i").total_size, 0u);
  EXPECT_EQ(
      parse_safetensors_index(R"({"metadata":{},"weight_map":{"a":"f"}})", "i").weight_map.size(),
      1u);
}

TEST(SafetensorsIndex, RefusesNamesThatLeadElsewhere) {
  for (const char* name : {"", ".", "..", "../x", "/abs", "sub/x", "a\\\\b", "a\\u0000b"}) {
    const std::string text = concat(R"({"weight_map":{"t":")", name, "\"}}");
    EXPECT_NE(error_of([&] { parse_safetensors_index(text, "index.json"); }), "") << name;
  }
  EXPECT_NE(error_of([] { parse_safetensors_index("{}", "index.json"); }), "");
  EXPECT_NE(error_of([] { parse_safetensors_index(R"({"weight_map":{"t":1}})", "index.json"); }),
            "");
  EXPECT_NE(error_of([] { write_safetensors_index("/tmp", {0, {{"t", "../x"}}}); }), "");
}

TEST(SafetensorsShardName, CountsFromOneWithFiveDigits) {
  EXPECT_EQ(safetensors_shard_name(2, 7), "model-00002-of-00007.safetensors");
  EXPECT_NE(error_of([] { safetensors_shard_name(0, 7); }), "");
}

TEST(SafetensorsFolder, OpensASingleFileAndNoOther) {
  const TemporaryFolder folder;
  write_floats(folder.file("model.safetensors"), {{"a", {1}}, {"b", {2, 3}}});
  write_floats(folder.file("optimizer-00001.safetensors"), {{"a", {9}}});
  const SafetensorsFolder weights(folder.path());
  EXPECT_EQ(weights.tensors().size(), 2u);
  EXPECT_EQ(floats_of(weights, "a"), std::vector<float>{1});
  EXPECT_EQ(weights.total_bytes(), 12u);
}

TEST(SafetensorsFolder, MergesSeveralFilesWithoutAnIndex) {
  const TemporaryFolder folder;
  write_floats(folder.file("m1.safetensors"), {{"a", {1}}});
  write_floats(folder.file("m2.safetensors"), {{"b", {2}}});
  const SafetensorsFolder weights(folder.path());
  EXPECT_EQ(floats_of(weights, "a"), std::vector<float>{1});
  EXPECT_EQ(floats_of(weights, "b"), std::vector<float>{2});
}

TEST(SafetensorsFolder, OffersTheNearestNameOfAMissingTensor) {
  const TemporaryFolder folder;
  write_floats(folder.file("model.safetensors"), {{"model.norm.weight", {1}}});
  const SafetensorsFolder weights(folder.path());
  EXPECT_EQ(weights.find("model.norms.weight"), nullptr);
  const std::string message = error_of([&] { weights.at("model.norms.weight"); });
  EXPECT_NE(message.find("model.norms.weight is missing"), std::string::npos) << message;
  EXPECT_NE(message.find("did you mean model.norm.weight"), std::string::npos) << message;
}

TEST(SafetensorsFolder, SaysWhyAFolderIsNotAModel) {
  const TemporaryFolder folder;
  EXPECT_NE(refusal_of("/nowhere").find("does not exist"), std::string::npos);
  EXPECT_NE(refusal_of(folder.path()).find("no *.safetensors"), std::string::npos);
  write_file_atomically(folder.file("training_args.bin"), "x");
  EXPECT_EQ(refusal_of(folder.path()).find("pickled"), std::string::npos);
  write_file_atomically(folder.file("pytorch_model.bin"), "x");
  const std::string pickled = refusal_of(folder.path());
  for (const char* text : {"pickled (pytorch_model.bin)", "python3 -c", "save_file"})
    EXPECT_NE(pickled.find(text), std::string::npos) << pickled;
  EXPECT_NE(refusal_of(folder.file("pytorch_model.bin")).find("is not a folder"),
            std::string::npos);
}

// Makes the folder of a case below `root`; the model folder is root/model, so that "../x" has a
// place.
void write_case(const Json& input, const std::string& root, const std::string& model) {
  make_directories(join_path(model, "sub"));
  for (const auto& [name, tensors] : input.at("files").members()) {
    std::map<std::string, std::vector<float>> floats;
    for (const auto& [tensor, values] : tensors.members()) {
      for (const Json& value : values.items()) {
        floats[tensor].push_back(static_cast<float>(value.as_double()));
      }
    }
    write_floats(name.starts_with("/") ? root + name : join_path(model, name), floats);
  }
  if (const Json* index = input.find("index")) {
    write_file_atomically(join_path(model, kSafetensorsIndexName), index->dump());
  }
}

void check_case(const Json& check, const std::string& model) {
  const Json& expect = check.at("expect");
  if (!expect.bool_at("ok")) {
    const std::string message = refusal_of(model);
    EXPECT_NE(message.find(model), std::string::npos) << message;
    std::istringstream fault(
        expect.string_at("fault"));  // such as "tensor b not in s1.safetensors"
    for (std::string word; fault >> word;)
      EXPECT_NE(message.find(word), std::string::npos) << word << ": " << message;
    return;
  }
  const SafetensorsFolder weights(model);
  EXPECT_EQ(weights.tensors().size(), expect.at("tensors").size());
  for (const auto& [name, values] : expect.at("tensors").members()) {
    std::vector<float> expected;
    for (const Json& value : values.items())
      expected.push_back(static_cast<float>(value.as_double()));
    EXPECT_EQ(floats_of(weights, name), expected) << name;
  }
}

TEST(SafetensorsFolder, PassesTheCollectedCasesOfIndexFaults) {
  const std::string cases = std::string(FATHOM_SHARED_DIR) + "/cases/files/B17.json";
  if (!exists(cases)) GTEST_SKIP() << cases << " is absent";
  const Json root = parse_json(read_file(cases), cases);
  ASSERT_GE(root.at("checks").size(), 9u);
  for (const Json& check : root.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const TemporaryFolder folder;
    make_directories(folder.file("abs"));
    write_case(check.at("input"), folder.path(), folder.file("model"));
    check_case(check, folder.file("model"));
  }
}

}  // namespace
}  // namespace fathom

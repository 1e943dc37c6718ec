#include "io/safetensors.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <map>
#include <random>

#include "io/json.h"
#include "io/testing.h"

namespace fathom {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A file from a header text and data, with the length in front.
std::string file_of(std::string_view header, std::string_view data) {
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return file.append(header).append(data);
}

SafetensorsHeader parse(std::string_view file, HeaderSpaces spaces = HeaderSpaces::kTolerated) {
  return parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors", spaces);
}

// The message of refusal; "" when accepted. Any other code than kModel fails the test.
std::string refusal_of(std::string_view file) {
  try {
    parse(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel) << error.what();
    return error.what();
  }
  return "";
}

// A small file with several types, an empty tensor and a scalar.
void write_sample(const std::string& path) {
  SafetensorsWriter writer(path, {{"bytes", "U8", {3}},
                                  {"weight", "F32", {2, 2}},
                                  {"half", "BF16", {3}},
                                  {"empty", "F32", {0, 5}},
                                  {"wide", "I64", {}}});
  const std::vector<float> weight = {1.5f, -2.0f, 0.25f, 8.0f};
  for (const SafetensorEntry& entry : writer.entries()) {
    if (entry.name == "bytes") writer.write("bytes", bytes_of(std::vector<uint8_t>{7, 8, 9}));
    if (entry.name == "half")
      writer.write("half", bytes_of(std::vector<uint16_t>{0x3F80, 0, 0xC000}));
    if (entry.name == "wide") writer.write("wide", bytes_of(std::vector<int64_t>{-5}));
    if (entry.name == "weight") {
      writer.write("weight", bytes_of(weight).first(6));  // pieces need not end between elements
      writer.write("weight", bytes_of(weight).subspan(6));
    }
  }
  writer.finish();
}

TEST(Safetensors, AreReadAsTheyWereWritten) {
  const TemporaryFolder folder;
  write_sample(folder.file("x.safetensors"));
  const SafetensorsFile file(folder.file("x.safetensors"));
  ASSERT_EQ(file.entries().size(), 5u);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  const SafetensorEntry* weight = file.find("weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->dtype, "F32");
  EXPECT_EQ(weight->shape, (std::vector<int64_t>{2, 2}));
  std::vector<float> values(4);
  std::memcpy(values.data(), file.bytes(*weight).data(), 16);
  EXPECT_EQ(values, (std::vector<float>{1.5f, -2.0f, 0.25f, 8.0f}));
  EXPECT_EQ(text_of(file.bytes(*file.find("bytes"))), "\x07\x08\x09");
  EXPECT_EQ(file.bytes(*file.find("empty")).size(), 0u);
  EXPECT_EQ(file.bytes(*file.find("wide")).size(), 8u);
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Safetensors, AreWrittenAlignedWithWideElementsFirst) {
  const TemporaryFolder folder;
  write_sample(folder.file("x.safetensors"));
  const std::string raw = read_file(folder.file("x.safetensors"));
  const SafetensorsHeader header = parse(raw, HeaderSpaces::kRefused);
  EXPECT_EQ(header.data_begin % 8, 0u);
  std::vector<std::string> order;
  for (const SafetensorEntry& entry : header.entries) {
    order.push_back(entry.name);
    const uint64_t element = static_cast<uint64_t>(safetensors_dtype_bits(entry.dtype) / 8);
    EXPECT_EQ((header.data_begin + entry.begin) % element, 0u) << entry.name;
  }
  EXPECT_EQ(order, (std::vector<std::string>{"wide", "empty", "weight", "half", "bytes"}));
}

TEST(Safetensors, OfNothingAreAHeaderAlone) {
  const TemporaryFolder folder;
  SafetensorsWriter(folder.file("x"), {}, {}).finish();
  EXPECT_EQ(read_file(folder.file("x")), file_of("{}      ", ""));
  EXPECT_TRUE(SafetensorsFile(folder.file("x")).entries().empty());
}

TEST(Safetensors, KeepAnyNameThatIsUtf8) {
  const TemporaryFolder folder;
  const std::string name = "a/../\xC3\xBC\n\"\\";
  SafetensorsWriter writer(folder.file("x"), {{name, "U8", {1}}});
  writer.write(name, bytes_of(std::vector<uint8_t>{1}));
  writer.finish();
  EXPECT_NE(SafetensorsFile(folder.file("x")).find(name), nullptr);
}

TEST(SafetensorsWriter, RefusesWhatDoesNotFitItsPlan) {
  const TemporaryFolder folder;
  const auto plan = [&](std::vector<SafetensorSpec> specs) {
    return error_of([&] { SafetensorsWriter(folder.file("x"), specs); });
  };
  EXPECT_NE(plan({{"a", "F33", {1}}}).find("\"a\" has dtype \"F33\""), std::string::npos);
  EXPECT_NE(plan({{"a", "F32", {1}}, {"a", "F32", {1}}}).find("given twice"), std::string::npos);
  EXPECT_NE(plan({{"a", "F32", {-1}}}), "");
  EXPECT_NE(plan({{"a", "F4", {3}}}).find("whole bytes"), std::string::npos);
  EXPECT_NE(plan({{"a", "F64", {INT64_MAX, 2}}}).find("overflows"), std::string::npos);
  EXPECT_NE(plan({{"__metadata__", "U8", {1}}}), "");

  const std::vector<uint8_t> bytes(8);
  SafetensorsWriter writer(folder.file("x"), {{"a", "U8", {4}}, {"b", "U8", {4}}});
  EXPECT_NE(error_of([&] { writer.write("a", bytes_of(bytes).first(5)); }).find("at most 4"),
            std::string::npos);
  writer.write("b", bytes_of(bytes).first(3));  // in turns
  writer.write("a", bytes_of(bytes).first(4));
  EXPECT_NE(error_of([&] { writer.finish(); }).find("\"b\" still lacks 1"), std::string::npos);
  writer.write("b", bytes_of(bytes).first(1));
  EXPECT_NE(error_of([&] { writer.write("c", bytes_of(bytes)); }).find("not among the 2 tensors"),
            std::string::npos);
  writer.finish();
  EXPECT_EQ(SafetensorsFile(folder.file("x")).entries().size(), 2u);
}

TEST(SafetensorsWriter, TellsThatTheDiskIsFull) {
  EXPECT_TRUE(error_of([] {
                SafetensorsWriter writer("/dev/full", {{"a", "U8", {4}}});
                writer.write("a", bytes_of(std::vector<uint8_t>(4)));
              }).starts_with("disk full: "));
}

TEST(SafetensorsWriter, RemovesItsFileWhenAnErrorEndsIt) {
  const TemporaryFolder folder;
  error_of([&] {
    SafetensorsWriter writer(folder.file("x"), {{"a", "U8", {4}}});
    fail(ErrorCode::kRuntime, "something else went wrong");
  });
  EXPECT_FALSE(exists(folder.file("x")));
}

TEST(SafetensorsWriter, LeavesARefusedFileWhenKilledBetweenTensors) {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    SafetensorsWriter writer(path, {{"a", "U8", {4}}, {"b", "U8", {4}}});
    writer.write("b", bytes_of(std::vector<uint8_t>(4)));
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const std::string message = error_of([&] { SafetensorsFile file(path); });
  EXPECT_NE(message.find("header"), std::string::npos) << message;
}

TEST(Safetensors, CutAtAnyByteAreRefused) {
  const TemporaryFolder folder;
  write_sample(folder.file("x"));
  const std::string whole = read_file(folder.file("x"));
  ASSERT_EQ(refusal_of(whole), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_NE(refusal_of(std::string_view(whole).substr(0, size)), "") << size;
  }
  EXPECT_NE(refusal_of(whole + "x").find("trailing"), std::string::npos);
}

TEST(Safetensors, TolerateSpacesBeforeTheHeaderUnlessAskedToBeStrict) {
  const std::string file = file_of(" \n{}", "");
  EXPECT_EQ(refusal_of(file), "");
  EXPECT_NE(error_of([&] { parse(file, HeaderSpaces::kRefused); }), "");
  EXPECT_NE(refusal_of(file_of("\xEF\xBB\xBF{}", "")), "");
  EXPECT_NE(refusal_of(file_of("", "")), "");
}

TEST(Safetensors, SayWhatWasExpectedAndWhatWasFound) {
  const std::string message = refusal_of(
      file_of(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,8]}})", "12345678"));
  EXPECT_EQ(message,
            "x.safetensors: tensor \"w\": size of dtype F32 and shape [2,3] is 24 bytes, but "
            "data_offsets [0,8] span 8");
}

TEST(Safetensors, RefuseAnOverflowEvenBesideAZeroDimension) {
  EXPECT_NE(
      refusal_of(file_of(
          R"({"w":{"dtype":"U8","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})", "")),
      "");
  EXPECT_EQ(refusal_of(file_of(R"({"w":{"dtype":"U8","shape":[0,7],"data_offsets":[0,0]}})", "")),
            "");
}

TEST(Safetensors, RefuseDimensionsThatAreNotIntegers) {
  for (const char* shape : {"[1.0]", "[\"1\"]", "[null]", "[true]", "[[1]]", "1", "{}"}) {
    EXPECT_NE(
        refusal_of(file_of(
            concat(R"({"w":{"dtype":"U8","shape":)", shape, R"(,"data_offsets":[0,1]}})"), "x")),
        "")
        << shape;
  }
}

TEST(Safetensors, ThatCannotBeOpenedAreAModelError) {
  try {
    SafetensorsFile file("/nowhere/x.safetensors");
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
    EXPECT_NE(std::string(error.what()).find("/nowhere/x.safetensors"), std::string::npos);
  }
}

// Random damage to a valid file: refused, or accepted with every tensor inside the file.
TEST(Safetensors, SurviveDamage) {
  const TemporaryFolder folder;
  write_sample(folder.file("x"));
  const std::string valid = read_file(folder.file("x"));
  const size_t header_bytes = parse(valid).data_begin;
  std::mt19937 random(3);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string file = valid;
    for (unsigned change = 0; change <= random() % 4; ++change) {
      const size_t at = random() % header_bytes;
      const bool digit = random() % 2 == 0;
      file[at] = static_cast<char>(digit ? '0' + random() % 10 : random() % 256);
    }
    if (random() % 8 == 0) file.resize(random() % file.size());
    try {
      for (const SafetensorEntry& entry : parse(file).entries) {
        ASSERT_LE(entry.begin, entry.end);
        ASSERT_LE(entry.end, file.size());
      }
      ++accepted;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kModel) << error.what();
    }
  }
  EXPECT_GT(accepted, 0) << "the damage never touched a name or space only";
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::vector<double> values_of(const SafetensorsFile& file, const SafetensorEntry& entry) {
  const std::span<const std::byte> bytes = file.bytes(entry);
  std::vector<double> values;
  if (entry.dtype == "U8") {
    for (const std::byte byte : bytes) values.push_back(std::to_integer<int>(byte));
  } else {
    EXPECT_EQ(entry.dtype, "F32");
    std::vector<float> floats(bytes.size() / 4);
    if (!floats.empty()) std::memcpy(floats.data(), bytes.data(), floats.size() * 4);
    values.assign(floats.begin(), floats.end());
  }
  return values;
}

// A message tells what is wrong, and of which tensor where it is one tensor's fault.
void expect_fault(const std::string& fault, const std::string& message) {
  const std::map<std::string, std::string> words = {{"duplicate", "twice"},
                                                    {"range", "expected integers from 0"},
                                                    {"offsets", "offset"},
                                                    {"json", "header"}};
  const auto word = words.find(fault);
  const std::string& expected = word == words.end() ? fault : word->second;
  EXPECT_NE(message.find(expected), std::string::npos) << fault << ": " << message;
  for (const char* of_one : {"size", "overflow", "range", "offsets", "dtype", "missing"}) {
    if (fault == of_one) {
      EXPECT_NE(message.find("tensor \"a\""), std::string::npos) << message;
    }
  }
}

void check_case(const Json& check, const std::string& path) {
  const Json& expect = check.at("expect");
  write_file_atomically(path, from_hex(check.at("input").string_at("hex")));
  if (!expect.bool_at("ok")) {
    const std::string message = error_of([&] { SafetensorsFile file(path); });
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    expect_fault(expect.string_at("fault"), message);
    return;
  }
  const SafetensorsFile file(path);
  EXPECT_EQ(file.entries().size(), expect.at("tensors").size());
  for (const auto& [name, tensor] : expect.at("tensors").members()) {
    const SafetensorEntry* entry = file.find(name);
    ASSERT_NE(entry, nullptr) << name;
    EXPECT_EQ(entry->dtype, tensor.string_at("dtype"));
    EXPECT_EQ(Json(entry->shape), tensor.at("shape"));
    std::vector<double> expected;
    for (const Json& value : tensor.at("values").items()) expected.push_back(value.as_double());
    EXPECT_EQ(values_of(file, *entry), expected);
  }
}

TEST(Safetensors, PassTheCollectedCasesOfBadAndOddFiles) {
  const TemporaryFolder folder;
  int checked = 0;
  for (const char* name : {"B14.json", "B15.json"}) {
    const std::string cases = std::string(FATHOM_SHARED_DIR) + "/cases/files/" + name;
    if (!exists(cases)) GTEST_SKIP() << cases << " is absent";
    const Json root = parse_json(read_file(cases), cases);
    for (const Json& check : root.at("checks").items()) {
      SCOPED_TRACE(check.string_at("name"));
      check_case(check, folder.file("case.safetensors"));
      ++checked;
    }
  }
  EXPECT_GE(checked, 30);
}

}  // namespace
}  // namespace fathom

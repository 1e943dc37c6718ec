// fathom convert: the same model in other dtypes, other files, under other names.
#include <iostream>

#include "app/commands.h"
#include "app/model_output.h"
#include "app/terminal.h"
#include "checkpoint/convert.h"
#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

struct ConvertFlags {
  std::string folder, out, names = "published";
  StorageFlags storage;
  bool json = false;
};

NamingScheme naming_scheme(const std::string& name) {
  if (name == "published") return NamingScheme::kPublished;
  if (name == "reference") return NamingScheme::kReference;
  fail(ErrorCode::kUsage, "--names is '", name, "'; expected published or reference");
}

ConvertOptions options_of(const ConvertFlags& flags) {
  ConvertOptions options{flags.storage.wanted_dtype(), flags.storage.power_of_two(),
                         flags.storage.shard_bytes(), naming_scheme(flags.names)};
  if (options.names == NamingScheme::kReference && options.shard_bytes > 0) {
    fail(ErrorCode::kUsage,
         "convert: --shard-size and --names reference exclude each other: the reference demo reads "
         "one file");
  }
  if (options.power_of_two && options.dtype && options.dtype != DType::kF8E4M3) {
    fail(ErrorCode::kUsage, "convert: --scale-fmt ue8m0 is for fp8; --dtype is ",
         flags.storage.dtype);
  }
  return options;
}

void say_result(const ConvertFlags& flags, const Conversion& done) {
  if (flags.json) {
    print(Json::object({{"folder", replace_invalid_utf8(flags.out)},
                        {"tensors", done.tensors},
                        {"copied", done.copied},
                        {"left_out", done.left_out},
                        {"bytes", done.bytes}})
              .dump() +
          "\n");
  } else {
    print(concat(flags.out, ": ", done.tensors, " tensors, ",
                 human_bytes(static_cast<double>(done.bytes)), ", ", done.copied,
                 " copied as they were\n"));
  }
  if (done.left_out > 0) {
    std::cerr << "left out: " << done.left_out
              << " tensors of multi-token modules, which the reference demo does not have\n";
  }
}

int convert(const ConvertFlags& flags) {
  const ConvertOptions options = options_of(flags);
  if (exists(flags.out) && !(is_directory(flags.out) && list_directory(flags.out).empty()))
    fail(ErrorCode::kUsage, "convert: ", flags.out, " is there already; choose another folder");
  const Converter converter(flags.folder, options);
  if (options.power_of_two && !converter.result().fp8) {
    fail(ErrorCode::kUsage, "convert: --scale-fmt ue8m0 is for fp8, and ", flags.folder,
         " holds none; add --dtype fp8");
  }
  check_disk_room(flags.out, converter.result().bytes);
  const int status =
      write_model_folder(flags.out, flags.storage.threads,
                         [&](const std::string& folder, const ByteProgress& progress) {
                           converter.write(folder, progress);
                         });
  if (status == 0) say_result(flags, converter.result());
  return status;
}

}  // namespace

void add_convert_command(CommandLine& line) {
  Command& command = line.add("convert", "the same model in other dtypes, files or tensor names");
  auto flags = std::make_shared<ConvertFlags>();
  command.positional("folder", flags->folder, "model folder, or the folder of a run")
      .positional("out", flags->out, "the folder to make; appears whole or not at all");
  add_storage_flags(command, flags->storage, "as they are where nothing is said");
  command
      .option("--names", flags->names,
              "tensor names: published (Hugging Face), or reference, those of the demo of "
              "DeepSeek-V3; both are read without being told")
      .flag("--json", flags->json, "results as JSON")
      .example("fathom convert DeepSeek-V3 v3-bf16 --dtype bf16 --shard-size 5GB")
      .example("fathom convert models/mine models/mine-fp8 --dtype fp8 --scale-fmt ue8m0")
      .example("fathom convert DeepSeek-V2-Lite one-file")
      .example("fathom convert DeepSeek-V3 demo --names reference");
  command.on_run([flags] { return convert(*flags); });
}

}  // namespace fathom

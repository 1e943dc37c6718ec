// fathom inspect: what is inside a model folder, a safetensors file or a preset.
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/inspection.h"
#include "app/model_input.h"
#include "app/terminal.h"
#include "io/files.h"

namespace fathom {
namespace {

struct InspectFlags {
  std::string path;
  bool tensors = false, json = false, check_tensors = false;
};

// Gathered first, and printed only when it is sound.
int inspect(const InspectFlags& flags) {
  const Inspection found = inspect_path(flags.path);
  if (flags.check_tensors) {
    if (!is_directory(flags.path))
      fail(ErrorCode::kUsage, "--check-tensors reads a model folder; ", flags.path, " is none");
    use_threads(0);
    check_with_progress(flags.path);
  }
  print(flags.json ? inspection_json(found).dump() + "\n"
                   : visible(inspection_text(found, flags.tensors)));
  return 0;
}

}  // namespace

void add_inspect_command(CommandLine& line) {
  Command& command =
      line.add("inspect", "what is inside a model folder, a safetensors file or a preset");
  auto flags = std::make_shared<InspectFlags>();
  command
      .positional("path", flags->path,
                  "model folder, a .safetensors file, a config.json, or a preset")
      .flag("--tensors", flags->tensors, "all tensors, not only the first ones")
      .flag("--check-tensors", flags->check_tensors,
            "also read every weight, and refuse what is not a number")
      .flag("--json", flags->json, "one JSON object, with all tensors");
  command.example("fathom inspect models/nano")
      .example("fathom inspect models/nano --json")
      .example("fathom inspect r1-distill-qwen-7b");
  command.on_run([flags] { return inspect(*flags); });
}

}  // namespace fathom

// fathom inspect: what is inside a model folder, a safetensors file or a preset.
#include "app/commands.h"
#include "app/inspection.h"
#include "app/terminal.h"

namespace fathom {
namespace {

struct InspectFlags {
  std::string path;
  bool tensors = false, json = false;
};

// Gathered first, and printed only when it is sound.
int inspect(const InspectFlags& flags) {
  const Inspection found = inspect_path(flags.path);
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
      .flag("--json", flags->json, "one JSON object, with all tensors");
  command.example("fathom inspect models/nano")
      .example("fathom inspect models/nano --json")
      .example("fathom inspect r1-distill-qwen-7b");
  command.on_run([flags] { return inspect(*flags); });
}

}  // namespace fathom

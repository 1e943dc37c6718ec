// The program: commands, and errors turned into exit statuses.
#include <csignal>
#include <iostream>
#include <new>

#include "app/commands.h"
#include "app/terminal.h"
#include "base/error.h"

namespace fathom {
namespace {

int report(const std::string& message, ErrorCode code) {
  std::cout.flush();
  std::cerr << "fathom: error: " << visible(message) << "\n";  // it may quote a foreign file
  return static_cast<int>(code);
}

int run_commands(int argc, char** argv) {
  CommandLine line("fathom",
                   "The whole life of DeepSeek-family models: train, align, examine, talk.",
                   FATHOM_VERSION);
  add_demo_command(line);
  add_train_command(line);
  add_sft_command(line);
  add_grpo_command(line);
  add_run_command(line);
  add_chat_command(line);
  add_score_command(line);
  add_convert_command(line);
  add_init_command(line);
  add_inspect_command(line);
  add_template_command(line);
  add_tokenizer_command(line);
  add_plan_command(line);
  add_data_command(line);
  add_bench_command(line);
  add_kernels_command(line);
  return line.run(argc, argv);
}

// Results that never arrived are a failure, unless the reader had enough and left.
int after_output(int status) {
  std::cout.flush();
  if (std::cout) return status;
  if (!output_is_open()) return status == 0 ? kReaderLeft : status;
  return report("cannot write standard output; is the disk full?", ErrorCode::kRuntime);
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  using namespace fathom;
  std::signal(SIGPIPE,
              SIG_IGN);  // a reader that leaves must not kill a run between two checkpoints
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file at its size limit is an error of write(), like a full disk
  try {
    return after_output(run_commands(argc, argv));
  } catch (const Error& error) {
    return report(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return report("not enough memory; ask for a smaller model, context or batch",
                  ErrorCode::kMemory);
  } catch (const std::exception& error) {
    return report(concat("unexpected: ", error.what()), ErrorCode::kInternal);
  }
}

// One function per command: each adds its flags and what it does to the command line.
#pragma once

#include "app/command_line.h"

namespace fathom {

void add_demo_command(CommandLine& line);
void add_train_command(CommandLine& line);
void add_sft_command(CommandLine& line);
void add_grpo_command(CommandLine& line);

void add_run_command(CommandLine& line);
void add_chat_command(CommandLine& line);
void add_score_command(CommandLine& line);

void add_convert_command(CommandLine& line);
void add_init_command(CommandLine& line);
void add_inspect_command(CommandLine& line);
void add_template_command(CommandLine& line);
void add_tokenizer_command(CommandLine& line);

void add_plan_command(CommandLine& line);
void add_data_command(CommandLine& line);
void add_bench_command(CommandLine& line);
void add_kernels_command(CommandLine& line);

}  // namespace fathom

// The logits of one sequence as a safetensors file, for comparison with other programs.
//
// Threads: one (the compute thread).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/device.h"
#include "checkpoint/model_folder.h"

namespace fathom {

struct RowRange {
  int64_t begin = 0, end = 0;  // [begin, end)
};

// "A:B" with 0 ≤ A < B ≤ count; either side may be empty. Throws Error(kUsage).
RowRange parse_row_range(const std::string& text, int64_t count);

// F32 `logits` [rows, vocab_size]: row i is for the token after position rows.begin + i. With a
// multi-token head also `mtp_logits` of the same positions, as far as they have a next token.
void write_logits(const LoadedModel& model, Device& device, const std::vector<int32_t>& ids,
                  const RowRange& rows, const std::string& path);

}  // namespace fathom

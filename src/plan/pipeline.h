// How long the stages of a pipeline wait in one step, by schedule.
//
// Times are in any one unit: a forward chunk, a whole backward chunk, the part of it that gives
// weight gradients, and a forward and a backward chunk run as an overlapped pair.
// arXiv:2412.19437, table 2. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom {

struct ChunkTimes {
  double forward = 1, backward = 2, weight_gradient = 1, overlapped_pair = 3;
};

struct PipelineSchedule {
  std::string name;
  int64_t devices = 0;
  double bubble = 0;            // time a device waits in a step
  double bubble_share = 0;      // of the step
  int64_t weight_copies = 1;    // of the weights of a stage
  int64_t activation_sets = 0;  // of micro-batches held at once, in those of one stage
};

// 1F1B, ZB1P, DualPipe and DualPipeV. Error(kUsage) unless stages and micro-batches are positive
// and, for the last two, even; those are left out where they are odd.
std::vector<PipelineSchedule> pipeline_schedules(int64_t stages, int64_t microbatches,
                                                 const ChunkTimes& times = {});

}  // namespace fathom

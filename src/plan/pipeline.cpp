#include "plan/pipeline.h"

#include "base/error.h"

namespace fathom {

std::vector<PipelineSchedule> pipeline_schedules(int64_t stages, int64_t microbatches,
                                                 const ChunkTimes& t) {
  if (stages < 1 || microbatches < 1)
    fail(ErrorCode::kUsage, "pipeline: ", stages, " stages and ", microbatches,
         " micro-batches; expected 1 or more of each");
  const double waits = static_cast<double>(stages - 1);
  const double halves = static_cast<double>(stages) / 2 - 1;
  const double work = static_cast<double>(microbatches) * (t.forward + t.backward);
  std::vector<PipelineSchedule> schedules;
  const auto add = [&](const char* name, int64_t devices, double bubble, int64_t copies,
                       int64_t sets) {
    schedules.push_back({name, devices, bubble, bubble / (bubble + work), copies, sets});
  };
  add("1F1B", stages, waits * (t.forward + t.backward), 1, stages);
  add("ZB1P", stages, waits * (t.forward + t.backward - 2 * t.weight_gradient), 1, stages);
  // Micro-batches enter from both ends.
  if (stages % 2 != 0 || microbatches % 2 != 0) return schedules;
  const double dual = halves * (t.overlapped_pair + t.backward - 3 * t.weight_gradient);
  add("DualPipe", stages, dual, 2, stages + 1);
  add("DualPipeV", stages / 2, dual, 2, stages + 1);
  return schedules;
}

}  // namespace fathom

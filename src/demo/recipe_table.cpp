#include "demo/recipe_table.h"

#include "base/text.h"
#include "io/json.h"

namespace fathom {
namespace {

std::string percent(double share) { return concat(fixed(100 * share, 0), " %"); }

std::string documents_text(const TrainingChapter& chapter) {
  std::string text = concat(chapter.steps, " steps of ", chapter.documents, " documents: ");
  double weights = 0;
  for (const MixtureTask& task : chapter.mixture.tasks) weights += task.weight;
  for (const MixtureTask& task : chapter.mixture.tasks) {
    text += concat(&task == &chapter.mixture.tasks.front() ? "" : ", ", task.config.task, " ",
                   percent(task.weight / weights));
  }
  return text;
}

std::string forms_text(const MixtureConfig& mixture) {
  return concat(percent(mixture.conversation_share),
                " conversations; worked out where the task has a way: ",
                percent(mixture.thinking_share), " of them");
}

std::string rates_text(const TrainingChapter& chapter) {
  std::string text = concat("rate ", shortest_number(chapter.lr), ", ", chapter.warmup_steps,
                            " steps of warm-up, cosine to a tenth; decay ", chapter.weight_decay,
                            "; multi-token loss × ", chapter.mtp_weight);
  if (chapter.late_mtp_weight != chapter.mtp_weight)
    text += concat(", in the last third × ", chapter.late_mtp_weight);
  return text;
}

std::string policy_text(const GrpoConfig& config) {
  if (config.steps == 0) return "–";
  std::string text = concat(config.steps, " steps: ");
  for (const std::string& task : config.tasks)
    text += concat(&task == &config.tasks.front() ? "" : ", ", task);
  return concat(text, " problems, ", config.group_size, " answers to each; rate ",
                shortest_number(config.lr), ", AdamW eps ", shortest_number(config.eps));
}

}  // namespace

std::vector<std::vector<std::string>> recipe_rows(const DemoRecipe& recipe) {
  const std::string again = concat(recipe.extra_pretrain_steps, " steps more");
  return {
      {"pretraining", documents_text(recipe.pretrain)},
      {"its documents", forms_text(recipe.pretrain.mixture)},
      {"its rates", rates_text(recipe.pretrain)},
      {"it ends",
       concat("with ", recipe.least_forced_accuracy, " right when thinking is forced, else after ",
              again, " at a time, each from the full rate")},
      {"cold start", documents_text(recipe.cold_start)},
      {"its documents", forms_text(recipe.cold_start.mixture)},
      {"its rates", rates_text(recipe.cold_start)},
      {"it ends", concat("with a share that reasons of ", recipe.least_reasoning, " to ",
                         recipe.most_reasoning, ", else it is done again")},
      {"GRPO", policy_text(recipe.grpo)},
      {"second task", policy_text(recipe.second)},
      {"control", "as GRPO, rewards by lot"},
      {"exams", concat(recipe.exam_problems, " problems, ", recipe.exam_samples, " samples each")},
  };
}

}  // namespace fathom

#include "app/logits_file.h"

#include <algorithm>

#include "data/packing.h"
#include "io/fields.h"
#include "io/safetensors.h"

namespace fathom {
namespace {

int64_t parse_bound(const std::string& text, int64_t absent) {
  int64_t value = absent;
  if (!text.empty()) field_from_text(text, "positions", value);
  return value;
}

// One sequence with a row for each token, also where nothing follows.
Batch whole_sequence(const std::vector<int32_t>& ids, int64_t depth) {
  BatchBuilder builder({depth, true});
  builder.add(ids, std::vector<float>(ids.size(), 1.0f), static_cast<int64_t>(ids.size()));
  return builder.finish();
}

Tensor rows_of_logits(const LoadedModel& model, Pass& pass, const Tensor& hidden,
                      const RowRange& rows) {
  const int64_t end = std::min(rows.end, hidden.rows());
  if (rows.begin >= end) return Tensor();
  return model.decoder->logits(pass, hidden.rows_at(rows.begin, end - rows.begin));
}

}  // namespace

RowRange parse_row_range(const std::string& text, int64_t count) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    fail(ErrorCode::kUsage, "--positions is '", text, "'; expected A:B, such as 0:128");
  const RowRange rows{parse_bound(text.substr(0, colon), 0),
                      parse_bound(text.substr(colon + 1), count)};
  if (rows.begin < 0 || rows.begin >= rows.end || rows.end > count) {
    fail(ErrorCode::kUsage, "--positions is '", text, "'; expected 0 <= A < B <= ", count,
         ", the number of tokens");
  }
  return rows;
}

void write_logits(const LoadedModel& model, Device& device, const std::vector<int32_t>& ids,
                  const RowRange& rows, const std::string& path) {
  const ModelConfig& config = model.config();
  if (static_cast<int64_t>(ids.size()) > config.max_position_embeddings) {
    fail(ErrorCode::kUsage, "--logits: ", ids.size(),
         " tokens are more than the model's context of ", config.max_position_embeddings);
  }
  Pass pass = device.pass();
  const Batch batch = whole_sequence(ids, config.num_nextn_predict_layers);
  const MainStates states = model.decoder->forward_states(pass, batch.ids, batch.layout);
  std::vector<std::pair<std::string, Tensor>> tensors = {
      {"logits", rows_of_logits(model, pass, states.hidden, rows)}};
  if (!batch.multi_token.empty() && !batch.multi_token.front().ids.empty()) {
    const Tensor ahead =
        model.decoder->multi_token_forward(pass, states.multi_token, batch.multi_token.front());
    if (Tensor logits = rows_of_logits(model, pass, ahead, rows))
      tensors.emplace_back("mtp_logits", logits);
  }
  std::vector<SafetensorSpec> specs;
  for (const auto& [name, tensor] : tensors)
    specs.push_back({name, "F32", tensor.shape().to_vector()});
  SafetensorsWriter writer(path, specs);
  for (const auto& [name, tensor] : tensors) {
    writer.write(name, std::as_bytes(std::span(tensor.data<float>(),
                                               static_cast<size_t>(tensor.shape().elements()))));
  }
  writer.finish();
}

}  // namespace fathom

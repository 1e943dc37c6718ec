#include "checkpoint/weight_writer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "base/float_bits.h"
#include "base/team.h"
#include "checkpoint/fp8_weights.h"
#include "io/safetensors_folder.h"

namespace fathom {
namespace {

constexpr int64_t kPieceBytes = int64_t{64} << 20;
constexpr int64_t kScaledRows = BlockScales::kBlock;

int64_t data_bytes(const WrittenTensor& tensor) {
  const int64_t bytes = byte_size(tensor.dtype, tensor.shape.elements());
  if (tensor.dtype != DType::kF8E4M3) return bytes;
  return bytes + byte_size(DType::kF32, fp8_scale_shape(tensor.shape).elements());
}

// Calls fn(values, first row, rows) for pieces of whole blocks of rows.
template <class Fn>
void for_each_piece(const WrittenTensor& tensor, const Fn& fn) {
  const int64_t rows = tensor.shape.rows(), cols = std::max<int64_t>(1, tensor.shape.cols());
  const int64_t fit = kPieceBytes / static_cast<int64_t>(sizeof(float)) / cols;
  const int64_t piece = std::max<int64_t>(1, fit / kScaledRows) * kScaledRows;
  std::vector<float> values(static_cast<size_t>(std::min(rows, piece) * cols));
  for (int64_t row = 0; row < rows; row += piece) {
    const int64_t count = std::min(piece, rows - row);
    tensor.read(row, count, values.data());
    fn(values.data(), row, count);
  }
}

std::vector<uint16_t> to_halves(const float* values, int64_t count, DType dtype) {
  std::vector<uint16_t> halves(static_cast<size_t>(count));
  constexpr int64_t kStretch = 1 << 16;
  share_tasks((count + kStretch - 1) / kStretch, [&](int64_t task, int) {
    for (int64_t i = task * kStretch; i < std::min(count, (task + 1) * kStretch); ++i) {
      halves[static_cast<size_t>(i)] =
          dtype == DType::kBF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
    }
  });
  return halves;
}

// One file and its tensors.
class Shard {
 public:
  Shard(std::vector<const WrittenTensor*> tensors, const WeightFiles& files)
      : tensors_(std::move(tensors)), files_(files) {}

  void write(const std::string& path) {
    std::vector<SafetensorSpec> specs;
    std::map<std::string, const WrittenTensor*> by_name, by_scale;
    for (const WrittenTensor* tensor : tensors_) {
      specs.push_back({tensor->name, info(tensor->dtype).safetensors, tensor->shape.to_vector()});
      by_name[tensor->name] = tensor;
      if (tensor->dtype != DType::kF8E4M3) continue;
      const std::string scale = fp8_scale_name(tensor->name);
      specs.push_back({scale, "F32", fp8_scale_shape(tensor->shape).to_vector()});
      by_scale[scale] = tensor;
    }
    SafetensorsWriter writer(path, specs);
    for (const SafetensorEntry& entry : std::vector<SafetensorEntry>(writer.entries())) {
      const auto write_bytes = [&](std::span<const std::byte> bytes) {
        writer.write(entry.name, bytes);
      };
      const auto scales_of = by_scale.find(entry.name);
      if (scales_of != by_scale.end()) {
        write_scales(*scales_of->second, write_bytes);
      } else {
        write_values(*by_name.at(entry.name), write_bytes);
      }
    }
    writer.finish();
  }

 private:
  template <class Write>
  void write_scales(const WrittenTensor& tensor, const Write& write) const {
    for_each_piece(tensor, [&](const float* values, int64_t, int64_t rows) {
      const Fp8Matrix fp8 = to_fp8(values, rows, tensor.shape.cols(), files_.power_of_two);
      write(std::as_bytes(std::span(fp8.scales)));
    });
  }
  template <class Write>
  void write_values(const WrittenTensor& tensor, const Write& write) const {
    for_each_piece(tensor, [&](const float* values, int64_t, int64_t rows) {
      const int64_t count = rows * tensor.shape.cols();
      if (tensor.dtype == DType::kF32) {
        write(std::as_bytes(std::span(values, static_cast<size_t>(count))));
      } else if (tensor.dtype == DType::kF8E4M3) {
        const Fp8Matrix fp8 = to_fp8(values, rows, tensor.shape.cols(), files_.power_of_two);
        write(std::as_bytes(std::span(fp8.codes)));
      } else {
        const std::vector<uint16_t> halves = to_halves(values, count, tensor.dtype);
        write(std::as_bytes(std::span(halves)));
      }
    });
  }

  std::vector<const WrittenTensor*> tensors_;
  const WeightFiles& files_;
};

std::vector<std::vector<const WrittenTensor*>> into_shards(
    const std::vector<WrittenTensor>& tensors, int64_t shard_bytes) {
  std::vector<std::vector<const WrittenTensor*>> shards(1);
  int64_t bytes = 0;
  for (const WrittenTensor& tensor : tensors) {
    const int64_t more = data_bytes(tensor);
    if (shard_bytes > 0 && bytes + more > shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(&tensor);
    bytes += more;
  }
  return shards;
}

}  // namespace

void write_weights(const std::vector<WrittenTensor>& tensors, const std::string& folder,
                   const WeightFiles& files) {
  int64_t total = 0;
  for (const WrittenTensor& tensor : tensors) {
    FATHOM_CHECK(tensor.dtype == DType::kF32 || tensor.dtype == DType::kBF16 ||
                     tensor.dtype == DType::kF16 || tensor.dtype == DType::kF8E4M3,
                 "save: weights can be written as f32, bf16, f16 or f8_e4m3, not ",
                 info(tensor.dtype).name);
    total += data_bytes(tensor);
  }
  const auto shards = into_shards(tensors, files.shard_bytes);
  const auto count = static_cast<int64_t>(shards.size());
  SafetensorsIndex index;
  index.total_size = static_cast<uint64_t>(total);
  for (int64_t i = 0; i < count; ++i) {
    const auto& shard = shards[static_cast<size_t>(i)];
    const std::string file =
        count == 1 ? "model.safetensors" : safetensors_shard_name(i + 1, count);
    for (const WrittenTensor* tensor : shard) {
      index.weight_map[tensor->name] = file;
      if (tensor->dtype == DType::kF8E4M3) index.weight_map[fp8_scale_name(tensor->name)] = file;
    }
    Shard(shard, files).write(join_path(folder, file));
  }
  if (count > 1) write_safetensors_index(folder, index);
}

}  // namespace fathom

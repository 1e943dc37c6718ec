#include "checkpoint/weight_writer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/float_bits.h"
#include "base/team.h"
#include "checkpoint/fp8_weights.h"
#include "io/safetensors_folder.h"
#include "tensor/view.h"

namespace fathom {
namespace {

constexpr int64_t kPieceElements = int64_t{1} << 23;
constexpr uint64_t kCopiedBytes = uint64_t{16} << 20;
constexpr int64_t kScaledRows = BlockScales::kBlock;

uint64_t bytes_of(const SafetensorSpec& spec) {
  uint64_t elements = 1;
  for (const int64_t size : spec.shape) elements *= static_cast<uint64_t>(size);
  return elements * static_cast<uint64_t>(safetensors_dtype_bits(spec.dtype)) / 8;
}

// Calls fn(values, rows) for pieces of whole blocks of rows.
template <class Fn>
void for_each_piece(const Shape& shape, const RowReader& read, const Fn& fn) {
  const int64_t rows = shape.rows(), cols = std::max<int64_t>(1, shape.cols());
  const int64_t piece = std::max<int64_t>(1, kPieceElements / cols / kScaledRows) * kScaledRows;
  std::vector<float> values(static_cast<size_t>(std::min(rows, piece) * cols));
  for (int64_t row = 0; row < rows; row += piece) {
    const int64_t count = std::min(piece, rows - row);
    read(row, count, values.data());
    fn(values.data(), count);
  }
}

// What the largest value of a dtype is, where that is less than f32's.
void check_range(const std::string& name, DType dtype, const float* values, int64_t count) {
  if (dtype != DType::kF16 && dtype != DType::kF8E4M3) return;
  // The first value that f16 rounds to infinity; blocks of FP8 have a scale, so any finite one
  // fits.
  constexpr float kBeyondF16 = 65520.0f;
  const bool f16 = dtype == DType::kF16;
  const auto fits = [&](float x) {
    return f16 ? !(std::abs(x) >= kBeyondF16 && std::isfinite(x)) : std::isfinite(x);
  };
  const float* wrong = std::find_if_not(values, values + count, fits);
  if (wrong == values + count) return;
  fail(ErrorCode::kModel, "tensor ", name, " holds ", *wrong, ", which ", info(dtype).name,
       f16 ? " cannot hold: it ends at 65504; store it as bf16 or f32"
           : " cannot hold: expected finite values");
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

WrittenTensor fp8_tensor(const std::string& name, const Shape& shape, RowReader read,
                         bool power_of_two) {
  const std::string scales_name = fp8_scale_name(name);
  const auto write = [name, scales_name, shape, read = std::move(read),
                      power_of_two](const TensorSink& sink) {
    std::vector<float> scales;
    for_each_piece(shape, read, [&](const float* values, int64_t rows) {
      check_range(name, DType::kF8E4M3, values, rows * shape.cols());
      const Fp8Matrix fp8 = to_fp8(values, rows, shape.cols(), power_of_two);
      sink(name, std::as_bytes(std::span(fp8.codes)));
      scales.insert(scales.end(), fp8.scales.begin(), fp8.scales.end());
    });
    sink(scales_name, std::as_bytes(std::span(scales)));
  };
  return {{{name, "F8_E4M3", shape.to_vector()},
           {scales_name, "F32", fp8_scale_shape(shape).to_vector()}},
          write};
}

std::vector<std::vector<const WrittenTensor*>> into_shards(
    const std::vector<WrittenTensor>& tensors, int64_t shard_bytes) {
  std::vector<std::vector<const WrittenTensor*>> shards(1);
  uint64_t bytes = 0;
  for (const WrittenTensor& tensor : tensors) {
    const uint64_t more = tensor.bytes();
    if (shard_bytes > 0 && bytes + more > static_cast<uint64_t>(shard_bytes) &&
        !shards.back().empty()) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(&tensor);
    bytes += more;
  }
  return shards;
}

void write_shard(const std::vector<const WrittenTensor*>& tensors, const std::string& path,
                 const TensorSink& told) {
  std::vector<SafetensorSpec> specs;
  for (const WrittenTensor* tensor : tensors)
    specs.insert(specs.end(), tensor->specs.begin(), tensor->specs.end());
  SafetensorsWriter writer(path, specs);
  for (const WrittenTensor* tensor : tensors) {
    tensor->write([&](std::string_view name, std::span<const std::byte> bytes) {
      writer.write(name, bytes);
      told(name, bytes);
    });
  }
  writer.finish();
}

}  // namespace

uint64_t WrittenTensor::bytes() const {
  uint64_t total = 0;
  for (const SafetensorSpec& spec : specs) total += bytes_of(spec);
  return total;
}

WrittenTensor copied_tensor(const SafetensorSpec& spec, std::span<const std::byte> bytes) {
  return {{spec}, [name = spec.name, bytes](const TensorSink& sink) {
            for (size_t at = 0; at < bytes.size(); at += kCopiedBytes)
              sink(name, bytes.subspan(at, std::min<size_t>(kCopiedBytes, bytes.size() - at)));
          }};
}

WrittenTensor rounded_tensor(const std::string& name, const Shape& shape, DType dtype,
                             RowReader read, bool power_of_two) {
  if (dtype == DType::kF8E4M3) return fp8_tensor(name, shape, std::move(read), power_of_two);
  FATHOM_CHECK(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16,
               "save: weights can be written as f32, bf16, f16 or f8_e4m3, not ", info(dtype).name);
  const auto write = [name, shape, dtype, read = std::move(read)](const TensorSink& sink) {
    for_each_piece(shape, read, [&](const float* values, int64_t rows) {
      const int64_t count = rows * shape.cols();
      if (dtype == DType::kF32)
        return sink(name, std::as_bytes(std::span(values, static_cast<size_t>(count))));
      check_range(name, dtype, values, count);
      const std::vector<uint16_t> halves = to_halves(values, count, dtype);
      sink(name, std::as_bytes(std::span(halves)));
    });
  };
  return {{{name, info(dtype).safetensors, shape.to_vector()}}, write};
}

void write_weights(const std::vector<WrittenTensor>& tensors, const std::string& folder,
                   const WeightFiles& files, const ByteProgress& progress) {
  SafetensorsIndex index;
  for (const WrittenTensor& tensor : tensors) index.total_size += tensor.bytes();
  uint64_t done = 0;
  const TensorSink told = [&](std::string_view, std::span<const std::byte> bytes) {
    done += bytes.size();
    if (progress) progress(done, index.total_size);
  };
  const auto shards = into_shards(tensors, files.shard_bytes);
  const auto count = static_cast<int64_t>(shards.size());
  for (int64_t i = 0; i < count; ++i) {
    const auto& shard = shards[static_cast<size_t>(i)];
    const std::string file = count == 1 ? files.single : safetensors_shard_name(i + 1, count);
    for (const WrittenTensor* tensor : shard) {
      for (const SafetensorSpec& spec : tensor->specs) index.weight_map[spec.name] = file;
    }
    write_shard(shard, join_path(folder, file), told);
  }
  if (count > 1) write_safetensors_index(folder, index);
}

}  // namespace fathom

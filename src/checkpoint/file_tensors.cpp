#include "checkpoint/file_tensors.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/team.h"
#include "checkpoint/fp8_weights.h"
#include "ops/stored.h"

namespace fathom {
namespace {

template <class T>
bool is_aligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % alignof(T) == 0;
}

// Row `r` of a tensor in a file, in any of its types and at any address, as f32.
void row_to_f32(const ConstView& view, int64_t r, float* out) {
  const auto bytes = static_cast<size_t>(byte_size(view.dtype, view.cols()));
  const char* from = static_cast<const char*>(view.data) + r * static_cast<int64_t>(bytes);
  if (view.dtype == DType::kF32) {
    std::memcpy(out, from, bytes);
    return;
  }
  std::vector<uint64_t> aligned(bytes / sizeof(uint64_t) + 1);
  std::memcpy(aligned.data(), from, bytes);
  if (view.dtype == DType::kF64) {
    const auto* values = reinterpret_cast<const double*>(aligned.data());
    std::transform(values, values + view.cols(), out,
                   [](double x) { return static_cast<float>(x); });
    return;
  }
  ConstView row{aligned.data(), view.dtype, Shape{1, view.cols()}, view.cols(), {}};
  std::vector<float> scales;
  if (view.dtype == DType::kF8E4M3) {
    scales.resize(static_cast<size_t>(view.scales.stride));
    const auto* first =
        reinterpret_cast<const char*>(view.scales.values) +
        static_cast<size_t>(r / BlockScales::kBlock * view.scales.stride) * sizeof(float);
    std::memcpy(scales.data(), first, scales.size() * sizeof(float));
    row.scales = {scales.data(), 0, 0, 0};
  }
  for (int64_t c = 0; c < view.cols(); ++c) out[c] = stored_element(row, 0, c);
}

}  // namespace

void check_fp8_scales(const SafetensorsFolder& folder, const std::string& name,
                      const Shape& shape) {
  const std::string scales = fp8_scale_name(name);
  const Shape expected = fp8_scale_shape(shape);
  const SafetensorsFolder::Location* found = folder.find(scales);
  if (found == nullptr) {
    fail(ErrorCode::kModel, "load: tensor ", name, " in ", folder.at(name).file->path(),
         " is F8_E4M3 but has no scales\n      expected ", scales, ", F32 ", expected, ", in ",
         folder.path(), "\n      fix: fetch the folder again; codes without scales say nothing");
  }
  const Shape got(found->entry->shape);
  if (found->entry->dtype != "F32" || got != expected) {
    fail(ErrorCode::kModel, "load: tensor ", scales, " in ", found->file->path(), " is ",
         found->entry->dtype, " ", got, "; expected F32 ", expected,
         ", a factor for each 128 x 128 elements of ", name, " ", shape);
  }
}

ConstView file_view(const SafetensorsFolder& folder, const std::string& name, const Shape& shape) {
  const SafetensorsFolder::Location& at = folder.at(name);
  ConstView view{at.file->bytes(*at.entry).data(), dtype_from_safetensors(at.entry->dtype), shape,
                 shape.cols()};
  if (view.dtype == DType::kF8E4M3) {
    const auto* scales = reinterpret_cast<const float*>(folder.bytes(fp8_scale_name(name)).data());
    view.scales = {scales, fp8_scale_shape(shape).cols(), 0, 0};
  }
  return view;
}

bool readable_in_place(const ConstView& view) {
  if (view.dtype == DType::kF8E4M3) return is_aligned<float>(view.scales.values);
  return (view.dtype == DType::kBF16 || view.dtype == DType::kF16) &&
         is_aligned<uint16_t>(view.data);
}

void rows_to_f32(const ConstView& view, int64_t begin, int64_t end, float* out) {
  share_tasks(end - begin,
              [&](int64_t r, int) { row_to_f32(view, begin + r, out + r * view.cols()); });
}

}  // namespace fathom

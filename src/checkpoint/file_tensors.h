// Published tensors where a folder's files hold them: views for kernels, and their values as f32.
//
// Threads: pure functions; rows_to_f32() is shared by the compute threads.
#pragma once

#include <string>

#include "io/safetensors_folder.h"
#include "tensor/view.h"

namespace fathom {

// Error(kModel) unless the scales of an FP8 tensor are there: F32, one for each block.
void check_fp8_scales(const SafetensorsFolder& folder, const std::string& name, const Shape& shape);

// Tensor `name` as a matrix (a vector is one row). FP8 codes come with their scales, which must
// have been checked. The view lives as long as the folder.
ConstView file_view(const SafetensorsFolder& folder, const std::string& name, const Shape& shape);

// Whether products can read the elements in place: fewer bits than f32, and aligned.
bool readable_in_place(const ConstView& view);

// Rows [begin, end) of a view of a file, in any float type and at any address, contiguous in `out`.
void rows_to_f32(const ConstView& view, int64_t begin, int64_t end, float* out);

}  // namespace fathom

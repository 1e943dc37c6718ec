// Declaring parameters: shape and published names, no memory yet (Decoder::allocate gives it).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/parameter.h"

namespace fathom {

// A declared parameter has `parts` but an empty value; its shape is kept in `declared`.
Parameter matrix_parameter(const std::string& name, int64_t rows, int64_t cols);
Parameter vector_parameter(const std::string& name, int64_t size);  // norms: no decay
// Several published matrices of equal width, stacked: {name, rows}.
Parameter stacked_parameter(const std::string& name, int64_t cols,
                            const std::vector<std::pair<std::string, int64_t>>& parts);
// Several published vectors, one after the other: {name, size}.
Parameter joined_vectors(const std::string& name,
                         const std::vector<std::pair<std::string, int64_t>>& parts);
// Experts: [experts, sum of rows, cols]; part names have "{}" where the expert's number goes.
Parameter expert_parameter(const std::string& name, int64_t experts, int64_t cols,
                           const std::vector<std::pair<std::string, int64_t>>& parts);

}  // namespace fathom

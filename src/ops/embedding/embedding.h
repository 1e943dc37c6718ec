// y_r = table[ids_r]: rows of the embedding matrix.
//   ids  [tokens], each in [0, vocab_size)     table  [vocab_size, hidden]     y  [tokens, hidden]
// A table in bf16 or f16 (inference) widens to f32.
// Backward keeps ids; equal ids add up in row order.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/parameter.h"

namespace fathom {

// Throws naming the first id outside the vocabulary.
Tensor embedding(Pass& pass, std::span<const int32_t> ids, const Parameter& table);

}  // namespace fathom

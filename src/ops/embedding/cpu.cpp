// Reading is a move of rows, and the gradient an addition of rows: both are kernels of ops/basic.
#include "ops/basic/kernels.h"
#include "ops/embedding/kernels.h"

namespace fathom::cpu {

void embedding(Stream* stream, ConstView ids, ConstView table, View y) {
  if (table.dtype != y.dtype) return reference::embedding(stream, ids, table, y);
  gather_rows(stream, table, ids, y);
}

void embedding_backward(Stream* stream, ConstView ids, ConstView dy, View dtable, bool accumulate) {
  if (!accumulate) fill_zero(stream, dtable);
  scatter_add_rows(stream, dy, ids, dtable);
}

}  // namespace fathom::cpu

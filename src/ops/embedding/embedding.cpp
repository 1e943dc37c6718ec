#include "ops/embedding/embedding.h"

#include "ops/kernel_table.h"
#include "ops/select_rows/select_rows.h"
#include "runtime/tape.h"

namespace fathom {

Tensor embedding(Pass& pass, std::span<const int32_t> ids, const Parameter& table) {
  const Shape& shape = table.shape();
  FATHOM_CHECK(shape.rank() == 2, "embedding: table ", table.name, " is ", shape,
               "; expected [vocab_size, hidden_size]");
  for (size_t i = 0; i < ids.size(); ++i) {
    FATHOM_CHECK(ids[i] >= 0 && ids[i] < shape.rows(), "embedding: id ", ids[i], " of token ", i,
                 " is outside the vocabulary of ", table.name, " ", shape,
                 ". Was the text encoded with another model's tokenizer?");
  }
  const Tensor index = index_tensor(pass, ids);
  const DType dtype = table.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
  Tensor y = pass.empty({static_cast<int64_t>(ids.size()), shape.cols()}, dtype);
  pass.kernels.embedding(pass.stream, index.read(), table.whole(), y.write());
  if (!table.wants_grad(pass)) return y;

  pass.tape->record("embedding", y, [index = Saved(index), &table](Pass& p, const Tensor& dy) {
    bool accumulate = false;
    Tensor dtable = table.grad_target(p, accumulate);
    p.kernels.embedding_backward(p.stream, index.get("embedding").read(), dy.read(), dtable.write(),
                                 accumulate);
  });
  return y;
}

}  // namespace fathom

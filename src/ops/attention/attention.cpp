#include "ops/attention/attention.h"

#include <algorithm>

#include "ops/input_gradient.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

void check_columns(const char* name, const Tensor& x, int64_t heads, int64_t dim) {
  FATHOM_CHECK(x.cols() == heads * dim, "attention: ", name, " is ", x.shape(),
               ", expected [tokens, ", heads, " heads of ", dim, "]");
}

void check_inputs(const Tensor& q, const Tensor& k, const Tensor& v,
                  std::span<const int32_t> starts, const AttentionShape& shape) {
  FATHOM_CHECK(shape.heads > 0 && shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
               "attention: ", shape.heads, " query heads cannot share ", shape.kv_heads,
               " key/value heads evenly; check num_key_value_heads");
  FATHOM_CHECK(shape.qk_dim > 0 && shape.v_dim > 0, "attention: head sizes must be positive, got ",
               shape.qk_dim, " for queries and keys, ", shape.v_dim, " for values");
  FATHOM_CHECK(shape.scale > 0, "attention: expected a positive scale of q · k, got ", shape.scale,
               "; usually qk_dim^(-1/2)");
  check_columns("q", q, shape.heads, shape.qk_dim);
  check_columns("k", k, shape.kv_heads, shape.qk_dim);
  check_columns("v", v, shape.kv_heads, shape.v_dim);
  FATHOM_CHECK(k.rows() == q.rows() && v.rows() == q.rows(), "attention: q is ", q.shape(), ", k ",
               k.shape(), ", v ", v.shape(), "; all must have one row per token");
  FATHOM_CHECK(k.dtype() == q.dtype() && v.dtype() == q.dtype(), "attention: q is ",
               info(q.dtype()).name, ", k ", info(k.dtype()).name, ", v ", info(v.dtype()).name,
               "; one dtype is expected");
  FATHOM_CHECK(!starts.empty() && starts.front() == 0 && starts.back() == q.rows() &&
                   std::is_sorted(starts.begin(), starts.end()),
               "attention: sequence starts must ascend from 0 to the ", q.rows(),
               " rows of q; got ", starts.size(), " starts ending at ",
               starts.empty() ? 0 : starts.back());
}

// What backward needs besides the gradient of the output. The inputs keep their slots.
struct SavedAttention {
  Saved q, k, v, out, lse;
  Tensor starts;
  AttentionShape shape;
};

void backward(Pass& pass, const SavedAttention& saved, const Tensor& dout) {
  const Tensor& q = saved.q.get("attention");
  const Tensor& k = saved.k.get("attention");
  const Tensor& v = saved.v.get("attention");
  InputGradient dq(pass, q), dk(pass, k), dv(pass, v);
  pass.kernels.attention_backward(
      pass.stream, q.read(), k.read(), v.read(), saved.out.get("attention").read(),
      saved.lse.get("attention").read(), dout.read(), saved.starts.read(), saved.shape, dq.view(),
      dk.view(), dv.view());
  dq.finish(pass);
  dk.finish(pass);
  dv.finish(pass);
}

}  // namespace

Tensor attention(Pass& pass, const Tensor& q, const Tensor& k, const Tensor& v,
                 std::span<const int32_t> starts, const AttentionShape& shape) {
  check_inputs(q, k, v, starts, shape);
  Tensor device_starts = pass.empty({static_cast<int64_t>(starts.size())}, DType::kI32);
  std::copy(starts.begin(), starts.end(), device_starts.mutable_data<int32_t>());
  Tensor out = pass.empty({q.rows(), shape.heads * shape.v_dim}, q.dtype());
  Tensor lse = pass.empty({q.rows(), shape.heads}, q.dtype());
  pass.kernels.attention(pass.stream, q.read(), k.read(), v.read(), device_starts.read(), shape,
                         out.write(), lse.write());
  if (needs_grad(pass, {&q, &k, &v})) {
    const SavedAttention saved{Saved(q),   Saved(k),      Saved(v), Saved(out),
                               Saved(lse), device_starts, shape};
    pass.tape->record("attention", out,
                      [saved](Pass& p, const Tensor& dout) { backward(p, saved, dout); });
  }
  return out;
}

}  // namespace fathom

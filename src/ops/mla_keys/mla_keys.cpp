#include "ops/mla_keys/mla_keys.h"

#include <memory>

#include "ops/input_gradient.h"
#include "ops/kernel_table.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

void check_inputs(const Tensor& kv, const Tensor& k_rope, int64_t heads, int64_t qk_nope_head_dim,
                  int64_t v_head_dim) {
  FATHOM_CHECK(heads > 0 && qk_nope_head_dim >= 0 && v_head_dim > 0,
               "mla_keys: expected positive sizes, got ", heads, " heads with qk_nope_head_dim ",
               qk_nope_head_dim, " and v_head_dim ", v_head_dim);
  FATHOM_CHECK(kv.cols() == heads * (qk_nope_head_dim + v_head_dim), "mla_keys: kv is ", kv.shape(),
               ", expected [tokens, ", heads, " heads of ", qk_nope_head_dim, " + ", v_head_dim,
               "]; kv_b_proj has another width");
  FATHOM_CHECK(kv.rows() == k_rope.rows(), "mla_keys: kv is ", kv.shape(), " but k_rope is ",
               k_rope.shape(), "; both must have one row per token");
  FATHOM_CHECK(kv.dtype() == k_rope.dtype(), "mla_keys: kv is ", info(kv.dtype()).name,
               " but k_rope is ", info(k_rope.dtype()).name, "; one dtype is expected");
}

void backward(Pass& pass, const Tensor& kv, const Tensor& k_rope, const Tensor& dk,
              const Tensor& dv, int64_t heads) {
  InputGradient dkv(pass, kv), dk_rope(pass, k_rope);
  pass.kernels.mla_keys_backward(pass.stream, dk.read(), dv.read(), heads, dkv.view(),
                                 dk_rope.view());
  dkv.finish(pass);
  dk_rope.finish(pass);
}

// Two outputs, one backward kernel. Records run newest first and every use of k and v is newer than
// both: the record of v leaves dv in `joined`, then the record of k has both. An output that
// nothing used counts as a gradient of zero.
void record(Pass& pass, const Tensor& kv, const Tensor& k_rope, int64_t heads, MlaKeys& out) {
  auto joined = std::make_shared<Tensor>();
  pass.tape->record("mla_keys", out.k,
                    [joined, heads, kv = kv.without_data(), k_rope = k_rope.without_data(),
                     v_shape = out.v.shape()](Pass& p, const Tensor& dk) {
                      const Tensor dv = *joined ? std::move(*joined) : p.zeros(v_shape, dk.dtype());
                      backward(p, kv, k_rope, dk, dv, heads);
                    });
  pass.tape->record("mla_keys", out.v,
                    [joined, k = out.k.without_data()](Pass& p, const Tensor& dv) {
                      *joined = dv;
                      if (!k.slot()->grad) p.tape->add_grad(p, k, p.zeros(k.shape(), k.dtype()));
                    });
}

}  // namespace

MlaKeys mla_keys(Pass& pass, const Tensor& kv, const Tensor& k_rope, int64_t heads,
                 int64_t qk_nope_head_dim, int64_t v_head_dim) {
  check_inputs(kv, k_rope, heads, qk_nope_head_dim, v_head_dim);
  MlaKeys out{pass.empty({kv.rows(), heads * (qk_nope_head_dim + k_rope.cols())}, kv.dtype()),
              pass.empty({kv.rows(), heads * v_head_dim}, kv.dtype())};
  pass.kernels.mla_keys(pass.stream, kv.read(), k_rope.read(), heads, out.k.write(), out.v.write());
  if (needs_grad(pass, {&kv, &k_rope})) record(pass, kv, k_rope, heads, out);
  return out;
}

}  // namespace fathom

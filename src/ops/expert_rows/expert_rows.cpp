#include "ops/expert_rows/expert_rows.h"

#include "ops/operand.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

void check_order(const char* op, const ExpertOrder& order, int64_t slots) {
  FATHOM_CHECK(order.order.dtype() == DType::kI32 && order.order.shape().elements() == slots, op,
               ": the order has ", order.order.shape().elements(),
               " slots, expected tokens x num_experts_per_tok = ", slots);
  FATHOM_CHECK(order.place.dtype() == DType::kI32 && order.place.shape().elements() == slots, op,
               ": the places are ", order.place.shape(), ", expected ", slots);
}

Tensor gather(Pass& pass, const Tensor& x, const Tensor& order, int64_t k) {
  Tensor rows = pass.empty({x.rows() * k, x.cols()}, operand_dtype(pass, x.dtype()));
  pass.kernels.expert_gather(pass.stream, x.read(), order.read(), k, rows.write());
  return rows;
}

}  // namespace

ExpertOrder order_by_expert(Pass& pass, const Tensor& expert, int64_t n_routed_experts) {
  FATHOM_CHECK(expert.dtype() == DType::kI32 && expert.shape().rank() == 2,
               "order_by_expert: the choice is ", info(expert.dtype()).name, " ", expert.shape(),
               ", expected i32 [tokens, num_experts_per_tok]");
  FATHOM_CHECK(n_routed_experts > 0, "order_by_expert: n_routed_experts is ", n_routed_experts,
               ", expected 1 or more");
  const int64_t slots = expert.shape().elements();
  ExpertOrder result{pass.empty({n_routed_experts + 1}, DType::kI32),
                     pass.empty({slots}, DType::kI32), pass.empty({slots}, DType::kI32)};
  pass.kernels.order_by_expert(pass.stream, expert.read(), result.offsets.write(),
                               result.order.write(), result.place.write());
  return result;
}

Tensor expert_gather(Pass& pass, const Tensor& x, const ExpertOrder& order,
                     int64_t num_experts_per_tok) {
  const int64_t k = num_experts_per_tok;
  FATHOM_CHECK(k > 0, "expert_gather: num_experts_per_tok is ", k, ", expected 1 or more");
  check_order("expert_gather", order, x.rows() * k);
  Tensor rows = gather(pass, x, order.order, k);
  if (!needs_grad(pass, {&x})) return rows;

  pass.tape->record(
      "expert_gather", rows,
      [x = x.without_data(), place = Saved(order.place), k](Pass& p, const Tensor& drows) {
        bool accumulate = false;
        Tensor dx = p.tape->grad_target(p, x, accumulate);
        p.kernels.expert_gather_backward(p.stream, drows.read(), place.get("expert_gather").read(),
                                         k, dx.write(), accumulate);
      });
  rows.slot()->remake = [x = Saved::remakeable(x), by_expert = Saved(order.order), k](Pass& p) {
    return gather(p, x.remade(p, "expert_gather"), by_expert.get("expert_gather"), k);
  };
  return rows;
}

Tensor expert_combine(Pass& pass, const Tensor& rows, const ExpertOrder& order,
                      const Tensor& weight, const Tensor& base) {
  const int64_t tokens = weight.rows(), k = weight.cols();
  check_order("expert_combine", order, tokens * k);
  FATHOM_CHECK(rows.rows() == tokens * k && rows.dtype() == weight.dtype(),
               "expert_combine: rows are ", info(rows.dtype()).name, " ", rows.shape(),
               " for weights ", info(weight.dtype()).name, " ", weight.shape(),
               "; expected one row for each weight, in the same dtype");
  FATHOM_CHECK(!base || (base.rows() == tokens && base.cols() == rows.cols() &&
                         base.dtype() == rows.dtype()),
               "expert_combine: the base is ", info(base.dtype()).name, " ", base.shape(),
               ", expected ", info(rows.dtype()).name, " [", tokens, ", ", rows.cols(), "]");
  Tensor out = pass.empty({tokens, rows.cols()}, rows.dtype());
  pass.kernels.expert_combine(pass.stream, rows.read(), order.place.read(), weight.read(),
                              base.read(), out.write());
  if (!needs_grad(pass, {&rows, &weight, &base})) return out;

  pass.tape->record("expert_combine", out,
                    [rows = Saved(rows), weight = Saved(weight), place = Saved(order.place),
                     base = base ? base.without_data() : Tensor()](Pass& p, const Tensor& dout) {
                      const Tensor& r = rows.get("expert_combine");
                      const Tensor& w = weight.get("expert_combine");
                      Tensor drows = p.empty(r.shape(), operand_dtype(p, r.dtype()));
                      Tensor dweight = p.empty(w.shape(), w.dtype());
                      p.kernels.expert_combine_backward(
                          p.stream, r.read(), place.get("expert_combine").read(), w.read(),
                          dout.read(), drows.write(), dweight.write());
                      p.tape->add_grad(p, r, drows);
                      p.tape->add_grad(p, w, dweight);
                      p.tape->add_grad(p, base, dout);
                    });
  return out;
}

}  // namespace fathom

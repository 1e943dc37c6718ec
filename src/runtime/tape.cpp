#include "runtime/tape.h"

#include "runtime/elementwise.h"

namespace fathom {

const Tensor& Saved::get(const char* op) const {
  FATHOM_CHECK(tensor_.version() == version_, op, ": a tensor saved for backward, ",
               tensor_.shape(), ", was written afterwards (version ", tensor_.version(),
               ", saved at ", version_, ")");
  return tensor_;
}

Saved Saved::remakeable(const Tensor& tensor) {
  const bool is_remade = tensor.slot() != nullptr && tensor.slot()->remake;
  return Saved(is_remade ? tensor.without_data() : tensor);
}

Tensor Saved::remade(Pass& pass, const char* op) const {
  if (tensor_ || tensor_.slot() == nullptr || !tensor_.slot()->remake) return get(op);
  Tensor again = tensor_.slot()->remake(pass);
  again.set_slot(tensor_.slot());
  return again;
}

void Tape::record(const char* op, Tensor& y, Backward fn) {
  y.set_slot(std::make_shared<GradSlot>());
  records_.push_back({op, y.slot(), std::move(fn)});
}

void Tape::record_split(const char* op, const Tensor& x, std::vector<Tensor>& slices) {
  auto family = std::make_shared<GradFamily>();
  family->total = x.cols();
  int64_t column = 0;
  for (Tensor& slice : slices) {
    auto slot = std::make_shared<GradSlot>();
    slot->family = family;
    slot->column = column;
    column += slice.cols();
    slice.set_slot(std::move(slot));
  }
  FATHOM_CHECK(column == x.cols(), op, ": the slices cover ", column, " of ", x.cols(), " columns");
  // The record's own slot is a stand-in that is filled when the family has a buffer; see
  // backward().
  std::vector<std::shared_ptr<GradSlot>> slots;
  std::vector<int64_t> widths;
  for (const Tensor& slice : slices) {
    slots.push_back(slice.slot());
    widths.push_back(slice.cols());
  }
  auto stand_in = std::make_shared<GradSlot>();
  stand_in->family = family;
  records_.push_back(
      {op, stand_in, [x = x.without_data(), family, slots, widths](Pass& pass, const Tensor&) {
         for (size_t i = 0; i < slots.size(); ++i) {
           if (slots[i]->grad) {
             slots[i]->grad = Tensor();
             continue;
           }
           Tensor hole = family->buffer.columns(slots[i]->column, widths[i]);
           fill_zero(pass, hole);
         }
         Tensor dx = std::move(family->buffer);
         pass.tape->add_grad(pass, x, dx);
       }});
}

Tensor Tape::grad_target(Pass& pass, const Tensor& x, bool& accumulate) {
  GradSlot* slot = x.slot().get();
  accumulate = false;
  if (slot == nullptr) return {};
  if (slot->family) {
    accumulate = static_cast<bool>(slot->grad);
    if (!slot->grad) {
      if (!slot->family->buffer)
        slot->family->buffer =
            pass.empty({x.rows(), slot->family->total}, gradient_dtype(x.dtype()));
      slot->grad = slot->family->buffer.columns(slot->column, x.cols());
    }
    return slot->grad;
  }
  if (!slot->grad) {
    slot->grad = pass.empty(x.shape(), gradient_dtype(x.dtype()));
    return slot->grad;
  }
  FATHOM_CHECK(slot->grad.dtype() == gradient_dtype(x.dtype()), "tape: a tensor ", x.shape(),
               " has a gradient that was rounded for products, ", info(slot->grad.dtype()).name,
               "; no other op may read such a tensor");
  if (!slot->grad.sole_owner()) {
    Tensor copy = pass.empty(x.shape(), slot->grad.dtype());
    copy_into(pass, slot->grad, copy);
    slot->grad = copy;
  }
  accumulate = true;
  return slot->grad;
}

void Tape::add_grad(Pass& pass, const Tensor& x, const Tensor& dx) {
  GradSlot* slot = x.slot().get();
  if (slot == nullptr) return;
  FATHOM_CHECK(dx.rows() == x.rows() && dx.cols() == x.cols(), "tape: gradient ", dx.shape(),
               " for a tensor ", x.shape());
  if (!slot->grad && !slot->family) {
    slot->grad = dx.without_slot();
    return;
  }
  bool accumulate = false;
  Tensor target = grad_target(pass, x, accumulate);
  if (accumulate) {
    add_into(pass, dx, target);
  } else {
    copy_into(pass, dx, target);
  }
}

void Tape::backward(Pass& pass, const std::vector<std::pair<Tensor, Tensor>>& seeds) {
  FATHOM_CHECK(pass.tape == this, "tape: backward runs in the pass that owns the tape");
  for (const auto& [y, dy] : seeds) {
    FATHOM_CHECK(y.slot() != nullptr, "tape: the tensor to differentiate, ", y.shape(),
                 ", depends on nothing recorded");
    if (dy) {
      add_grad(pass, y, dy);
    } else {
      Tensor ones = pass.empty(y.shape(), y.dtype());
      fill_ones(ones);
      add_grad(pass, y, ones);
    }
  }
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    Tensor dy = std::move(record.y->grad);
    const bool reached = dy || (record.y->family && record.y->family->buffer);
    if (reached) record.fn(pass, dy);
  }
}

Tensor recompute(Pass& pass, const Tensor& x,
                 const std::function<Tensor(Pass&, const Tensor&)>& fn) {
  Pass plain = pass;
  plain.tape = nullptr;
  Tensor y = fn(plain, x.without_slot());
  if (pass.tape == nullptr) return y;
  Saved saved(x);
  pass.tape->record("recompute", y, [saved, fn, slot = x.slot()](Pass& outer, const Tensor& dy) {
    Tape inner_tape;
    Pass inner = outer;
    inner.tape = &inner_tape;
    inner.stats = nullptr;
    Tensor input = saved.get("recompute").without_slot();
    auto input_slot = std::make_shared<GradSlot>();
    input.set_slot(input_slot);
    const Tensor again = fn(inner, input);
    inner_tape.backward(inner, {{again, dy}});
    if (slot != nullptr && input_slot->grad) {
      Tensor original = saved.get("recompute").without_slot();
      original.set_slot(slot);
      outer.tape->add_grad(outer, original, input_slot->grad);
    }
  });
  return y;
}

}  // namespace fathom

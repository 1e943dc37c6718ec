#include "ops/testing.h"

#include <algorithm>
#include <cmath>

#include "base/float_bits.h"
#include "base/random.h"

namespace fathom::testing {
namespace {

template <class T>
void fill(Tensor& x, const std::function<double(int64_t)>& value) {
  View view = x.write();
  for (int64_t r = 0, i = 0; r < view.rows(); ++r) {
    for (int64_t c = 0; c < view.cols(); ++c, ++i) view.row<T>(r)[c] = static_cast<T>(value(i));
  }
}

void fill_any(Tensor& x, const std::function<double(int64_t)>& value) {
  switch (x.dtype()) {
    case DType::kF64:
      return fill<double>(x, value);
    case DType::kF32:
      return fill<float>(x, value);
    case DType::kI32:
      return fill<int32_t>(x, value);
    case DType::kI64:
      return fill<int64_t>(x, value);
    default:
      fail(ErrorCode::kInternal, "testing: cannot fill ", info(x.dtype()).name);
  }
}

double element(const ConstView& view, int64_t r, int64_t c) {
  switch (view.dtype) {
    case DType::kF64:
      return view.row<double>(r)[c];
    case DType::kF32:
      return static_cast<double>(view.row<float>(r)[c]);
    case DType::kBF16:
      return static_cast<double>(bf16_to_f32(view.row<uint16_t>(r)[c]));
    case DType::kI32:
      return view.row<int32_t>(r)[c];
    case DType::kI64:
      return static_cast<double>(view.row<int64_t>(r)[c]);
    default:
      fail(ErrorCode::kInternal, "testing: cannot read ", info(view.dtype).name);
  }
}

double weighted_sum(const Tensor& y) {
  const std::vector<double> values = to_doubles(y);
  const RandomKey key{77};
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[i] * key.normal(i);
  return sum;
}

}  // namespace

TestPass::TestPass(const KernelTable& table)
    : memory(make_host_allocator()),
      kernels(table),
      plain{kernels, *memory},
      taped{kernels, *memory, nullptr, &tape} {}

Tensor random_tensor(Pass& pass, const Shape& shape, DType dtype, uint64_t seed, double scale) {
  const RandomKey key{seed};
  Tensor x = pass.empty(shape, dtype);
  fill_any(x, [&](int64_t i) { return scale * key.normal(static_cast<uint64_t>(i)); });
  return x;
}

Tensor from_values(Pass& pass, const Shape& shape, DType dtype, const std::vector<double>& values) {
  FATHOM_CHECK(static_cast<int64_t>(values.size()) == shape.elements(), "testing: ", values.size(),
               " values for ", shape);
  Tensor x = pass.empty(shape, dtype);
  fill_any(x, [&](int64_t i) { return values[static_cast<size_t>(i)]; });
  return x;
}

std::vector<double> to_doubles(const Tensor& tensor) {
  const ConstView view = tensor.read();
  std::vector<double> values;
  values.reserve(static_cast<size_t>(view.shape.elements()));
  for (int64_t r = 0; r < view.rows(); ++r) {
    for (int64_t c = 0; c < view.cols(); ++c) values.push_back(element(view, r, c));
  }
  return values;
}

Parameter random_parameter(Pass& pass, const std::string& name, const Shape& shape, DType dtype,
                           uint64_t seed, double scale) {
  Parameter p;
  p.name = name;
  p.value = random_tensor(pass, shape, dtype, seed, scale);
  p.parts = {{name, 0, shape}};
  p.grad = std::make_shared<ParameterGrad>();
  return p;
}

void require_grad(Tensor& x) { x.set_slot(std::make_shared<GradSlot>()); }

Tensor grad_of(const Tensor& x) { return x.slot() ? x.slot()->grad : Tensor(); }

std::string difference(const Tensor& a, const Tensor& b, double relative, double absolute) {
  if (a.shape().elements() != b.shape().elements())
    return concat("shapes differ: ", a.shape(), " and ", b.shape());
  const std::vector<double> x = to_doubles(a), y = to_doubles(b);
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double excess = std::abs(x[i] - y[i]) / (absolute + relative * std::abs(y[i]));
    if (!(excess <= worst)) {
      worst = excess;
      at = i;
    }
    if (std::isnan(excess) && !(std::isnan(x[i]) && std::isnan(y[i])))
      return concat("element ", at, ": ", x[i], " and ", y[i]);
  }
  if (worst <= 1) return "";
  return concat("element ", at, " of ", a.shape(), ": ", x[at], " and ", y[at], ", ", worst,
                " times the tolerance of ", absolute, " + ", relative, "·|b|");
}

double sum_tolerance(int64_t length) {
  return 8 * std::sqrt(static_cast<double>(std::max<int64_t>(length, 1))) * 0x1p-24;
}

std::string check_gradients(const TestFn& fn, const std::vector<Shape>& shapes,
                            const std::vector<Parameter*>& parameters, TestPass& pass, double step,
                            double tolerance) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < shapes.size(); ++i)
    inputs.push_back(random_tensor(pass.plain, shapes[i], DType::kF64, 1000 + i));

  std::vector<Tensor> taped = inputs;
  for (Tensor& x : taped) require_grad(x);
  for (Parameter* p : parameters) p->grad->clear();
  const Tensor out = fn(pass.taped, taped);
  const RandomKey key{77};
  Tensor seed = pass.plain.empty(out.shape(), DType::kF64);
  fill_any(seed, [&](int64_t i) { return key.normal(static_cast<uint64_t>(i)); });
  pass.tape.backward(pass.taped, {{out, seed}});

  std::string worst;
  double worst_excess = 1;
  const auto compare = [&](const std::string& what, Tensor& variable, const Tensor& gradient) {
    const std::vector<double> analytic =
        gradient ? to_doubles(gradient)
                 : std::vector<double>(static_cast<size_t>(variable.shape().elements()), 0.0);
    for (int64_t i = 0; i < variable.shape().elements(); ++i) {
      double* element = variable.mutable_data<double>() + i;
      const double original = *element;
      *element = original + step;
      const double above = weighted_sum(fn(pass.plain, inputs));
      *element = original - step;
      const double below = weighted_sum(fn(pass.plain, inputs));
      *element = original;
      const double numeric = (above - below) / (2 * step);
      const double got = analytic[static_cast<size_t>(i)];
      const double excess =
          std::abs(numeric - got) / (tolerance * std::max({1.0, std::abs(numeric), std::abs(got)}));
      if (!(excess <= worst_excess)) {
        worst_excess = excess;
        worst =
            concat("d/d ", what, "[", i, "]: backward gives ", got, ", differences give ", numeric);
      }
    }
  };
  for (size_t i = 0; i < inputs.size(); ++i)
    compare(concat("input ", i), inputs[i], grad_of(taped[i]));
  for (Parameter* p : parameters)
    compare(p->name, p->value, p->grad->filled ? p->grad->value : Tensor());
  return worst;
}

}  // namespace fathom::testing

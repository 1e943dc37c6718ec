#include "optim/adamw.h"

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

// Parts of a parameter with their own gradient state: experts one by one, anything else whole.
struct Piece {
  int64_t row_begin, rows;
  bool has_gradient;
};

std::vector<Piece> pieces(const Parameter& p) {
  if (p.grad->live.empty()) return {{0, p.value.rows(), true}};
  std::vector<Piece> result;
  const auto experts = static_cast<int64_t>(p.grad->live.size());
  const int64_t rows = p.value.rows() / experts;
  for (int64_t e = 0; e < experts; ++e)
    result.push_back({e * rows, rows, p.grad->live[static_cast<size_t>(e)] != 0});
  return result;
}

}  // namespace

AdamW::AdamW(const AdamWConfig& config, ParameterList parameters) : config_(config) {
  for (Parameter* p : parameters) {
    if (p->trained) parameters_.push_back(p);
  }
  moments_.resize(parameters_.size());
}

void AdamW::clear_gradients() {
  for (Parameter* p : parameters_) {
    if (p->grad) p->grad->clear();
  }
}

void AdamW::allocate_moments(Pass& pass) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (moments_[i].m) continue;
    moments_[i].m = pass.zeros(parameters_[i]->value.shape(), parameters_[i]->value.dtype());
    moments_[i].v = pass.zeros(parameters_[i]->value.shape(), parameters_[i]->value.dtype());
  }
}

double AdamW::gradient_norm(Pass& pass) const {
  double sum = 0;
  for (const Parameter* p : parameters_) {
    if (!p->grad || !p->grad->filled) continue;
    const ConstView grad = p->grad->value.read();
    for (const Piece& piece : pieces(*p)) {
      if (piece.has_gradient)
        sum += pass.kernels.sum_squares(pass.stream, grad.rows_at(piece.row_begin, piece.rows));
    }
  }
  return std::sqrt(sum);
}

void AdamW::update(Pass& pass, Parameter& p, Moments& moments, const AdamWStep& step) {
  View value = p.value.write(), m = moments.m.write(), v = moments.v.write();
  const ConstView grad = p.grad->value.read();
  for (const Piece& piece : pieces(p)) {
    pass.kernels.adamw(pass.stream, value.rows_at(piece.row_begin, piece.rows),
                       piece.has_gradient ? grad.rows_at(piece.row_begin, piece.rows) : ConstView{},
                       m.rows_at(piece.row_begin, piece.rows),
                       v.rows_at(piece.row_begin, piece.rows), step);
  }
}

StepResult AdamW::step(Pass& pass, double lr) {
  StepResult result;
  result.grad_norm = gradient_norm(pass);
  if (!std::isfinite(result.grad_norm)) {
    clear_gradients();
    return result;
  }
  allocate_moments(pass);
  ++steps_;
  AdamWStep step{lr, config_.beta1, config_.beta2, config_.eps};
  if (config_.clip_norm > 0)
    step.grad_scale = std::min(1.0, config_.clip_norm / (result.grad_norm + 1e-6));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& p = *parameters_[i];
    if (!p.grad || !p.grad->filled) continue;
    const auto t = static_cast<double>(++moments_[i].steps);
    step.correction1 = 1 - std::pow(config_.beta1, t);
    step.correction2 = 1 - std::pow(config_.beta2, t);
    step.weight_decay = p.decay ? config_.weight_decay : 0;
    update(pass, p, moments_[i], step);
  }
  clear_gradients();
  result.applied = true;
  return result;
}

}  // namespace fathom

// The kernels of route; contracts are in ops/kernel_table.h and ops/route/route.h.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void topk_route(Stream*, ConstView logits, ConstView bias, const RouteShape& shape, View score,
                View expert, View weight);
void topk_route_backward(Stream*, ConstView score, ConstView expert, ConstView dweight,
                         ConstView starts, std::span<const float> sequence_weight,
                         const RouteShape& shape, View dlogits);
double balance_loss(Stream*, ConstView score, ConstView expert, ConstView starts,
                    std::span<const float> sequence_weight, const RouteShape& shape);
}  // namespace reference

namespace cpu {
void topk_route(Stream*, ConstView logits, ConstView bias, const RouteShape& shape, View score,
                View expert, View weight);
void topk_route_backward(Stream*, ConstView score, ConstView expert, ConstView dweight,
                         ConstView starts, std::span<const float> sequence_weight,
                         const RouteShape& shape, View dlogits);
double balance_loss(Stream*, ConstView score, ConstView expert, ConstView starts,
                    std::span<const float> sequence_weight, const RouteShape& shape);
}  // namespace cpu

std::vector<BenchRow> route_bench();

}  // namespace fathom

// Kernels of the matrix products; contracts are in ops/kernel_table.h.
//
// Every element of a product is one chain of fused multiply-adds over k in ascending order. The
// chain begins with 0, or with the element's old value where the product accumulates. It is the
// same for every form, shape, instruction set, blocking and number of threads, so that all f32
// versions, the reference too, agree bit for bit.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void matmul_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void grouped_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live);
void add_bias(Stream*, ConstView b, View y);
void bias_backward(Stream*, ConstView dy, View db, bool accumulate);
}  // namespace reference

}  // namespace fathom

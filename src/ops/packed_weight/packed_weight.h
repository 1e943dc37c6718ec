// A second copy of a weight in the order in which products read it.
//
// A product of many rows brings its weight into that order in passing; for the few rows of a
// decoding step this costs as much as the product. Products use the copy where there is one, it is
// of the weight's newest values, and there is no tape (each training step has new weights). Results
// are the same bits. The copy takes as much memory as the weight in f32, half of it in bf16.
//
// Threads: pack_weight() while no other thread computes with the weight.
#pragma once

#include "runtime/parameter.h"
#include "tensor/view.h"

namespace fathom {

// Makes or renews the copy for the kernels of `pass`. weight [out, in] or [groups, out, in]; what
// is not f32 stays without one.
void pack_weight(Pass& pass, const Parameter& weight);

// [groups, packed_floats(out, in)], or nothing where the natural layout is to be read.
ConstView packed_weight(const Pass& pass, const Parameter& weight);

}  // namespace fathom

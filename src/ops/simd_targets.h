// Which instruction sets the Highway kernels are compiled for: AVX-512 (AVX3), AVX2 and plain code,
// on other machines what Highway offers. Included before any other Highway header.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)

#include <hwy/targets.h>

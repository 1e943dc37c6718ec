// Where experts stand, by their load: which are kept twice, and which GPU holds each copy (EPLB).
//
// Experts of one group are chosen together, so where groups divide over nodes they stay on one
// node. Ties go to the lower index, so a placement is a function of the loads alone.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fathom {

struct PlacementShape {
  int64_t replicas = 0;  // expert slots of all GPUs
  int64_t groups = 1;    // expert groups (n_group)
  int64_t nodes = 1;
  int64_t gpus = 1;  // of all nodes
};

// Of one layer.
struct ExpertPlacement {
  std::vector<int64_t> physical_to_logical;               // [replicas], in order of GPUs
  std::vector<std::vector<int64_t>> logical_to_physical;  // [experts][copies]
  std::vector<int64_t> replica_counts;                    // [experts]
  double imbalance = 1;  // the busiest GPU's load in those of the mean
};

// `loads` [experts], none negative. Error(kUsage) where the shape does not fit them.
ExpertPlacement place_experts(std::span<const double> loads, const PlacementShape& shape);

// The busiest GPU's load in those of the mean where experts stand in order, each once.
double imbalance_in_order(std::span<const double> loads, int64_t gpus);

}  // namespace fathom

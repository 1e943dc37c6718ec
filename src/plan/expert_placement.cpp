#include "plan/expert_placement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace fathom {
namespace {

using Loads = std::vector<double>;
using Indices = std::vector<int64_t>;

size_t at(int64_t index) { return static_cast<size_t>(index); }

// Where an item went: which pack, and how many stood in it before.
struct Packed {
  Indices pack, rank;  // [items]
};

// Cuts items into packs of equal number: heaviest first, each into the lightest pack with room.
Packed pack_evenly(const Loads& loads, int64_t packs) {
  const int64_t items = static_cast<int64_t>(loads.size()), room = items / packs;
  Packed packed{Indices(loads.size()), Indices(loads.size(), 0)};
  if (room == 1) {
    std::iota(packed.pack.begin(), packed.pack.end(), 0);
    return packed;
  }
  Indices order(loads.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return loads[at(a)] > loads[at(b)]; });
  Loads pack_load(at(packs), 0);
  Indices pack_items(at(packs), 0);
  for (const int64_t item : order) {
    int64_t best = -1;
    for (int64_t pack = 0; pack < packs; ++pack) {
      if (pack_items[at(pack)] == room) continue;
      if (best < 0 || pack_load[at(pack)] < pack_load[at(best)]) best = pack;
    }
    packed.pack[at(item)] = best;
    packed.rank[at(item)] = pack_items[at(best)]++;
    pack_load[at(best)] += loads[at(item)];
  }
  return packed;
}

struct Replicas {
  Indices expert;  // [slots]
  Indices count;   // [experts]
};

// One slot for each expert, then one more for whoever carries most a copy.
Replicas replicate(const Loads& loads, int64_t slots) {
  Replicas replicas{Indices(loads.size()), Indices(loads.size(), 1)};
  std::iota(replicas.expert.begin(), replicas.expert.end(), 0);
  const auto each = [&](size_t i) { return loads[i] / static_cast<double>(replicas.count[i]); };
  while (static_cast<int64_t>(replicas.expert.size()) < slots) {
    size_t most = 0;
    for (size_t i = 1; i < loads.size(); ++i)
      if (each(i) > each(most)) most = i;
    replicas.expert.push_back(static_cast<int64_t>(most));
    ++replicas.count[most];
  }
  return replicas;
}

// Experts of each node in the order in which it holds them: whole groups, packed by their load.
std::vector<Indices> experts_by_node(std::span<const double> loads, const PlacementShape& shape) {
  const int64_t size = static_cast<int64_t>(loads.size()) / shape.groups;
  Loads group_loads(at(shape.groups), 0);
  for (size_t i = 0; i < loads.size(); ++i) group_loads[i / at(size)] += loads[i];
  const Packed packed = pack_evenly(group_loads, shape.nodes);
  std::vector<Indices> nodes(at(shape.nodes), Indices(loads.size() / at(shape.nodes)));
  for (int64_t group = 0; group < shape.groups; ++group) {
    Indices& node = nodes[at(packed.pack[at(group)])];
    for (int64_t i = 0; i < size; ++i)
      node[at(packed.rank[at(group)] * size + i)] = group * size + i;
  }
  return nodes;
}

// Slots of one node in the order of its GPUs: which expert each holds.
Indices fill_node(const Indices& experts, std::span<const double> loads, int64_t slots,
                  int64_t gpus) {
  Loads own;
  for (const int64_t expert : experts) own.push_back(loads[at(expert)]);
  const Replicas replicas = replicate(own, slots);
  Loads slot_loads;
  for (const int64_t i : replicas.expert)
    slot_loads.push_back(own[at(i)] / static_cast<double>(replicas.count[at(i)]));
  const Packed packed = pack_evenly(slot_loads, gpus);
  Indices placed(at(slots));
  for (int64_t i = 0; i < slots; ++i) {
    const int64_t slot = packed.pack[at(i)] * (slots / gpus) + packed.rank[at(i)];
    placed[at(slot)] = experts[at(replicas.expert[at(i)])];
  }
  return placed;
}

void check_shape(std::span<const double> loads, const PlacementShape& shape) {
  const int64_t experts = static_cast<int64_t>(loads.size());
  if (experts < 1 || shape.replicas < experts)
    fail(ErrorCode::kUsage, "placement: ", shape.replicas, " replicas for ", experts,
         " experts; expected at least one each");
  if (shape.groups < 1 || experts % shape.groups != 0)
    fail(ErrorCode::kUsage, "placement: ", shape.groups, " groups; expected a divisor of ", experts,
         " experts");
  if (shape.nodes < 1 || shape.gpus < 1 || shape.gpus % shape.nodes != 0 ||
      shape.replicas % shape.gpus != 0)
    fail(ErrorCode::kUsage, "placement: ", shape.replicas, " replicas, ", shape.gpus, " GPUs, ",
         shape.nodes, " nodes; expected each to be a multiple of the next");
  for (const double load : loads)
    if (!(load >= 0) || !std::isfinite(load))
      fail(ErrorCode::kUsage, "placement: a load is ", load, "; expected numbers of 0 or more");
}

double imbalance_of(const Loads& slot_loads, int64_t gpus) {
  const size_t slots = slot_loads.size() / at(gpus);
  double most = 0, sum = 0;
  for (size_t begin = 0; begin < slot_loads.size(); begin += slots) {
    double load = 0;
    for (size_t i = begin; i < begin + slots; ++i) load += slot_loads[i];
    most = std::max(most, load);
    sum += load;
  }
  return sum > 0 ? most * static_cast<double>(gpus) / sum : 1;
}

}  // namespace

ExpertPlacement place_experts(std::span<const double> loads, const PlacementShape& given) {
  PlacementShape shape = given;
  check_shape(loads, shape);
  // Groups that cannot stay whole give no reason to prefer a node: one node of all GPUs.
  if (shape.groups % shape.nodes != 0) shape.groups = shape.nodes = 1;
  ExpertPlacement placement;
  for (const Indices& experts : experts_by_node(loads, shape)) {
    const Indices slots =
        fill_node(experts, loads, shape.replicas / shape.nodes, shape.gpus / shape.nodes);
    placement.physical_to_logical.insert(placement.physical_to_logical.end(), slots.begin(),
                                         slots.end());
  }
  placement.logical_to_physical.resize(loads.size());
  for (int64_t slot = 0; slot < shape.replicas; ++slot)
    placement.logical_to_physical[at(placement.physical_to_logical[at(slot)])].push_back(slot);
  for (const Indices& copies : placement.logical_to_physical)
    placement.replica_counts.push_back(static_cast<int64_t>(copies.size()));
  Loads slot_loads;
  for (const int64_t expert : placement.physical_to_logical)
    slot_loads.push_back(loads[at(expert)] /
                         static_cast<double>(placement.replica_counts[at(expert)]));
  placement.imbalance = imbalance_of(slot_loads, shape.gpus);
  return placement;
}

double imbalance_in_order(std::span<const double> loads, int64_t gpus) {
  check_shape(loads, {static_cast<int64_t>(loads.size()), 1, 1, gpus});
  return imbalance_of(Loads(loads.begin(), loads.end()), gpus);
}

}  // namespace fathom

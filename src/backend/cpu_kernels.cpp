#include "backend/cpu_kernels.h"

#include <hwy/targets.h>

#include "ops/adamw/kernels.h"
#include "ops/add/kernels.h"
#include "ops/attention/kernels.h"
#include "ops/basic/kernels.h"
#include "ops/embedding/kernels.h"
#include "ops/expert_rows/kernels.h"
#include "ops/linear_objective/kernels.h"
#include "ops/matmul/kernels.h"
#include "ops/mla_keys/kernels.h"
#include "ops/paged_attention/kernels.h"
#include "ops/rms_norm/kernels.h"
#include "ops/rope/kernels.h"
#include "ops/route/kernels.h"
#include "ops/softmax_weights/kernels.h"
#include "ops/swiglu/kernels.h"

namespace fathom {
namespace {

// Fills slots one by one and writes down what was chosen.
class Choices {
 public:
  Choices(const CpuFeatures& cpu, std::vector<KernelChoice>* list) : cpu_(cpu), list_(list) {
    if (list_) list_->clear();
  }

  // A Highway kernel, which is compiled for both instruction sets and picks one when it runs.
  template <class Kernel>
  void highway(const char* op, Kernel& slot, Kernel kernel, const char* reason) {
    if (!vectors()) return note(op, "plain", kNoVectors);
    slot = kernel;
    note(op, cpu_.avx512 ? "avx512" : "avx2", reason);
  }
  // Own intrinsics: one function for each instruction set.
  template <class Kernel>
  void product(const char* op, Kernel& slot, Kernel avx512, Kernel avx2, const char* reason) {
    if (!vectors()) return note(op, "plain", kNoVectors);
    slot = cpu_.avx512 ? avx512 : avx2;
    note(op, cpu_.avx512 ? "avx512" : "avx2", reason);
  }
  void plain(const char* op, const char* reason) { note(op, "plain", reason); }

 private:
  static constexpr const char* kNoVectors = "no AVX2 here, or a limit below it";

  bool vectors() const { return cpu_.avx2 && cpu_.fma; }
  void note(const char* op, const char* version, const char* reason) {
    if (list_) list_->push_back({op, version, reason});
  }

  const CpuFeatures& cpu_;
  std::vector<KernelChoice>* list_;
};

}  // namespace

// Factors are over the plain version, one thread of a 2.6 GHz Xeon with AVX-512, rows of `fathom
// bench`.
KernelTable cpu_kernels(const CpuFeatures& cpu, std::vector<KernelChoice>* choices) {
  KernelTable table = reference_kernels();  // a slot without a fast version stays plain and correct
  Choices choose(cpu, choices);

  choose.highway("fill_zero", table.fill_zero, &cpu::fill_zero, "memset by all threads");
  choose.highway("copy", table.copy, &cpu::copy, "memcpy by all threads");
  choose.highway("accumulate", table.accumulate, &cpu::accumulate, "2.2 to 4.9 times");

  choose.product("matmul_nt", table.matmul_nt, &avx512::matmul_nt, &avx2::matmul_nt,
                 "190 GFLOP/s a thread, AVX2 118; the chain of the reference");
  choose.product("matmul_nn", table.matmul_nn, &avx512::matmul_nn, &avx2::matmul_nn,
                 "190 GFLOP/s a thread, AVX2 118");
  choose.product("matmul_tn", table.matmul_tn, &avx512::matmul_tn, &avx2::matmul_tn,
                 "178 GFLOP/s a thread, AVX2 107");
  choose.product("grouped_nt", table.grouped_nt, &avx512::grouped_nt, &avx2::grouped_nt,
                 "142 to 177 GFLOP/s a thread, AVX2 100");
  choose.product("grouped_nn", table.grouped_nn, &avx512::grouped_nn, &avx2::grouped_nn,
                 "157 to 180 GFLOP/s a thread, AVX2 105");
  choose.product("grouped_stored", table.grouped_stored, &avx512::grouped_stored,
                 &avx2::grouped_stored, "as grouped_nt, its matrices apart");
  choose.product("grouped_tn", table.grouped_tn, &avx512::grouped_tn, &avx2::grouped_tn,
                 "160 to 170 GFLOP/s a thread, AVX2 96");
  choose.product("packed_floats", table.packed_floats, &avx512::packed_floats, &avx2::packed_floats,
                 "the order of matmul_packed");
  choose.product("pack", table.pack, &avx512::pack, &avx2::pack, "the order of matmul_packed");
  choose.product("matmul_packed", table.matmul_packed, &avx512::matmul_packed, &avx2::matmul_packed,
                 "as matmul_nt without packing");
  choose.product("grouped_packed", table.grouped_packed, &avx512::grouped_packed,
                 &avx2::grouped_packed, "as grouped_nt without packing");
  choose.product("matmul_exact_nt", table.matmul_exact_nt, &avx512::matmul_nt, &avx2::matmul_nt,
                 "as matmul_nt, whatever the precision");
  choose.product("matmul_exact_nn", table.matmul_exact_nn, &avx512::matmul_nn, &avx2::matmul_nn,
                 "as matmul_nn, whatever the precision");
  choose.product("matmul_exact_tn", table.matmul_exact_tn, &avx512::matmul_tn, &avx2::matmul_tn,
                 "as matmul_tn, whatever the precision");
  choose.highway("add_bias", table.add_bias, &cpu::add_bias, "4.3 to 7.3 times");
  choose.highway("bias_backward", table.bias_backward, &cpu::bias_backward, "8.7 to 12 times");

  choose.highway("add", table.add, &cpu::add, "1.5 times: memory is the limit, 30 GB/s");
  choose.highway("rms_norm", table.rms_norm, &cpu::rms_norm, "3.4 to 9.6 times");
  choose.highway("rms_norm_backward", table.rms_norm_backward, &cpu::rms_norm_backward,
                 "13 to 75 times: the plain one walks columns");
  choose.highway("rope", table.rope, &cpu::rope, "2.3 to 6.2 times; 55 GB/s in the cache");
  choose.highway("swiglu", table.swiglu, &cpu::swiglu, "5.2 to 9.3 times");
  choose.highway("swiglu_backward", table.swiglu_backward, &cpu::swiglu_backward,
                 "5.2 to 14 times");
  choose.highway("embedding", table.embedding, &cpu::embedding,
                 "1.2 to 2.6 times: memory is the limit");
  choose.highway("embedding_backward", table.embedding_backward, &cpu::embedding_backward,
                 "1.6 to 2.5 times");
  choose.highway("gather_rows", table.gather_rows, &cpu::gather_rows, "memcpy by all threads");
  choose.highway("scatter_rows", table.scatter_rows, &cpu::scatter_rows, "memcpy by all threads");
  choose.highway("scatter_add_rows", table.scatter_add_rows, &cpu::scatter_add_rows,
                 "3 to 3.5 times; each thread has its own columns");

  choose.highway("attention", table.attention, &cpu::attention,
                 "36 to 100 times: register tiles, no score matrix");
  choose.highway("attention_backward", table.attention_backward, &cpu::attention_backward,
                 "24 to 44 times");
  choose.highway("paged_attention", table.paged_attention, &cpu::paged_attention,
                 "18 to 147 times");
  choose.highway("mla_keys", table.mla_keys, &cpu::mla_keys,
                 "2.3 to 2.5 times: memory is the limit");
  choose.highway("mla_keys_backward", table.mla_keys_backward, &cpu::mla_keys_backward,
                 "2.2 to 2.5 times: memory is the limit");

  choose.highway("topk_route", table.topk_route, &cpu::topk_route,
                 "2.5 times for 16 experts, 6.2 for 256");
  choose.highway("topk_route_backward", table.topk_route_backward, &cpu::topk_route_backward,
                 "2 times for 16 experts, 7 for 256");
  choose.highway("balance_loss", table.balance_loss, &cpu::balance_loss,
                 "vectors over experts, as in topk_route_backward");
  choose.plain("order_by_expert", "a counting sort; 12 us for 6000 slots, nothing to gain");
  choose.highway("expert_gather", table.expert_gather, &cpu::expert_gather,
                 "memcpy by all threads");
  choose.highway("expert_gather_backward", table.expert_gather_backward,
                 &cpu::expert_gather_backward, "4.4 to 8.3 times");
  choose.highway("expert_combine", table.expert_combine, &cpu::expert_combine, "5.3 to 10 times");
  choose.highway("expert_combine_backward", table.expert_combine_backward,
                 &cpu::expert_combine_backward, "3.8 to 8.6 times");

  choose.highway("target_logprob", table.target_logprob, &cpu::target_logprob, "10 to 32 times");
  choose.highway("target_logprob_backward", table.target_logprob_backward,
                 &cpu::target_logprob_backward, "17 to 49 times");

  choose.highway("softmax_weights", table.softmax_weights, &cpu::softmax_weights,
                 "20 times at two exponentials a logit, 28 to 35 at one");

  choose.highway("adamw", table.adamw, &cpu::adamw, "3 to 4.5 times");
  choose.highway("sum_squares", table.sum_squares, &cpu::sum_squares, "4.9 to 7 times");
  return table;
}

KernelTable reference_bf16_kernels() {
  KernelTable table = reference_kernels();
  table.matmul_nt = &reference::matmul_bf16_nt;
  table.matmul_nn = &reference::matmul_bf16_nn;
  table.matmul_tn = &reference::matmul_bf16_tn;
  table.grouped_nt = &reference::grouped_bf16_nt;
  table.grouped_nn = &reference::grouped_bf16_nn;
  table.grouped_tn = &reference::grouped_bf16_tn;
  table.grouped_stored = &reference::grouped_stored_bf16;
  table.matmul_packed = &reference::matmul_packed_bf16;
  table.grouped_packed = &reference::grouped_packed_bf16;
  table.attention = &reference::attention_bf16;
  table.attention_backward = &reference::attention_bf16_backward;
  return table;
}

void use_bf16_products(KernelTable& table, std::vector<KernelChoice>& choices) {
  table.operand_dtype = DType::kBF16;
  table.matmul_nt = &amx::matmul_bf16_nt;
  table.matmul_nn = &amx::matmul_bf16_nn;
  table.matmul_tn = &amx::matmul_bf16_tn;
  table.grouped_nt = &amx::grouped_bf16_nt;
  table.grouped_nn = &amx::grouped_bf16_nn;
  table.grouped_tn = &amx::grouped_bf16_tn;
  table.grouped_stored = &amx::grouped_stored_bf16;
  table.packed_floats = &amx::packed_bf16_floats;
  table.pack = &amx::pack_bf16;
  table.matmul_packed = &amx::matmul_packed_bf16;
  table.grouped_packed = &amx::grouped_packed_bf16;
  table.attention = &amx::attention_bf16;
  table.attention_backward = &amx::attention_bf16_backward;
  for (KernelChoice& choice : choices) {
    if (choice.op == "attention" || choice.op == "attention_backward") {
      choice.version = "amx";
      choice.reason = choice.op == "attention"
                          ? "operands rounded to bf16; 2.2 to 3.9 times f32 from 256 tokens on"
                          : "operands rounded to bf16; 2.6 to 5.5 times f32 from 256 tokens on";
    }
    const bool product = choice.op.starts_with("matmul_") || choice.op.starts_with("grouped_") ||
                         choice.op.starts_with("pack");
    if (!product || choice.op.starts_with("matmul_exact_")) continue;
    choice.version = "amx";
    choice.reason = "operands rounded to bf16; 500 to 1000 GFLOP/s a thread, f32 has 175";
  }
}

void limit_highway(const CpuFeatures& cpu) {
  constexpr int64_t kAboveAvx2 = HWY_AVX3 | HWY_AVX3_DL;
  hwy::DisableTargets(cpu.avx512 ? 0 : cpu.avx2 ? kAboveAvx2 : kAboveAvx2 | HWY_AVX2);
  // Chooses now. A kernel that fetches its row function first and then calls it for each row would
  // otherwise ask the processor again in each call of its first run, which took 140 ms where CPUID
  // is emulated.
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace fathom

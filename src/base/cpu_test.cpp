#include "base/cpu.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom {
namespace {

CpuFeatures everything() {
  CpuFeatures cpu;
  cpu.avx2 = cpu.fma = cpu.avx512 = cpu.avx512_bf16 = cpu.avx512_vnni = cpu.amx_bf16 =
      cpu.amx_int8 = true;
  return cpu;
}

#if defined(__x86_64__)
TEST(Cpu, AgreesWithTheCompilersDetection) {
  const CpuFeatures cpu = detect_cpu();
  EXPECT_EQ(cpu.avx2, __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(cpu.fma, __builtin_cpu_supports("fma") != 0);
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(cpu.avx512, avx512);
  EXPECT_EQ(cpu.avx512_vnni, avx512 && __builtin_cpu_supports("avx512vnni"));
  EXPECT_EQ(cpu.avx512_bf16, avx512 && __builtin_cpu_supports("avx512bf16"));
}
#endif

TEST(Cpu, IsaNamesSurviveTheRoundTrip) {
  for (const std::string& text : isa_names()) EXPECT_EQ(name(parse_isa(text)), text);
  EXPECT_EQ(parse_isa("avx512"), Isa::kAvx512);
}

TEST(Cpu, UnknownIsaIsAUsageErrorThatNamesTheNearest) {
  try {
    parse_isa("avx51");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("did you mean avx512"), std::string::npos)
        << error.what();
  }
}

TEST(Cpu, CapRemovesWhatLiesAboveAndKeepsTheRest) {
  for (const Isa limit : {Isa::kPlain, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    EXPECT_EQ(best_isa(capped(everything(), limit)), limit) << name(limit);
    EXPECT_EQ(best_isa(capped(CpuFeatures{}, limit)), Isa::kPlain) << "a cap adds nothing";
  }
  const CpuFeatures avx2 = capped(everything(), Isa::kAvx2);
  EXPECT_FALSE(avx2.avx512_bf16 || avx2.avx512_vnni || avx2.amx_int8);
}

TEST(Cpu, PermissionForAmxIsNeverGivenWithoutAmx) {
  const CpuFeatures cpu = detect_cpu();
  if (cpu.amx_bf16 || cpu.amx_int8) {
    EXPECT_EQ(request_amx(), request_amx()) << "asking twice changes nothing";
  } else {
    EXPECT_FALSE(request_amx());
  }
}

}  // namespace
}  // namespace fathom

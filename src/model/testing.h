// What the tests of configs share: a small valid config.json of each family, and refusals.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "io/files.h"
#include "io/json.h"
#include "model/config_json.h"

namespace fathom::testing {

// The smallest config.json of a family that is read; a test changes what it is about.
inline Json small_config(const std::string& model_type) {
  Json json = Json::object({{"model_type", model_type},
                            {"vocab_size", 32},
                            {"hidden_size", 16},
                            {"intermediate_size", 24},
                            {"num_hidden_layers", 3},
                            {"num_attention_heads", 4}});
  if (!model_family(model_type).mla) return json;
  json["kv_lora_rank"] = 6;
  json["qk_nope_head_dim"] = 4;
  json["qk_rope_head_dim"] = 2;
  json["v_head_dim"] = 4;
  return json;
}

// What an error says; "" where there was none.
inline std::string refusal(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The checks of one file of ../shared/cases, or nothing where the folder is absent.
inline Json::Array shared_checks(const std::string& file) {
  const std::string path = concat(FATHOM_SHARED_DIR, "/cases/", file);
  if (!exists(path)) return {};
  return parse_json(read_file(path), path).at("checks").items();
}

inline void expect_near(double got, double expected, double relative, const std::string& what) {
  EXPECT_NEAR(got, expected, relative * std::abs(expected)) << what;
}

}  // namespace fathom::testing

// The two naming schemes of DeepSeek's checkpoints: the published one (Hugging Face), and that of
// the reference demo of V3, which renames every tensor before it runs.
//
//   model.layers.3.self_attn.kv_a_proj_with_mqa.weight     layers.3.attn.wkv_a.weight
//   model.layers.3.mlp.experts.7.up_proj.weight_scale_inv  layers.3.ffn.experts.7.w3.scale
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/safetensors_folder.h"

namespace fathom {

enum class NamingScheme { kPublished, kReference };

// nullopt: the demo has no such tensor (those of multi-token modules).
std::optional<std::string> reference_name(std::string_view published);
// A name of neither scheme stays as it is.
std::string published_name(std::string_view reference);

// The weights of a folder under their published names, whichever scheme its files use.
std::shared_ptr<const SafetensorsFolder> open_weights(const std::string& folder);

}  // namespace fathom

#include "model/config_rope.h"

#include <array>

namespace fathom {
namespace {

constexpr std::array<RopeKind, 5> kKinds = {RopeKind::kPlain, RopeKind::kLinear, RopeKind::kDynamic,
                                            RopeKind::kYarn, RopeKind::kLlama3};

RopeKind kind_of(const std::string& name, const std::string& key) {
  std::string known;
  for (const RopeKind kind : kKinds) {
    if (name == name_of(kind)) return kind;
    known += concat(known.empty() ? "" : ", ", name_of(kind));
  }
  fail(ErrorCode::kModel, "config: ", key, ".rope_type is '", name, "'; expected one of ", known);
}

// Members that other libraries read and that would change the numbers.
void refuse_members(const Json& rope, const std::string& key) {
  const Json* attention = rope.find("attention_factor");
  if (attention != nullptr && !attention->is_null()) {
    fail(ErrorCode::kModel, "config: ", key, ".attention_factor is ", attention->dump(),
         "; expected none: mscale and mscale_all_dim say how large cos and sin are");
  }
  if (!rope.bool_or("truncate", true))
    fail(ErrorCode::kModel, "config: ", key, ".truncate is false; expected true or absent");
  const double part = rope.double_or("partial_rotary_factor", 1);
  if (part != 1) {
    fail(ErrorCode::kModel, "config: ", key, ".partial_rotary_factor is ", part,
         "; expected 1 or absent");
  }
}

// The members of one object, whose errors name the object too: rope_scaling.factor.
class Members {
 public:
  Members(const Json& object, const std::string& key) : object_(object), key_(key) {}

  double number(const char* name) const { return required(name).as_double(path(name)); }
  int64_t whole(const char* name) const { return required(name).as_int(path(name)); }
  double number_or(const char* name, double otherwise) const {
    const Json* value = given(name);
    return value == nullptr ? otherwise : value->as_double(path(name));
  }
  std::string text_or(const char* name, const std::string& otherwise) const {
    const Json* value = given(name);
    return value == nullptr ? otherwise : value->as_string(path(name));
  }

 private:
  std::string path(const char* name) const { return concat("config: ", key_, ".", name); }
  const Json* given(const char* name) const {
    const Json* value = object_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  const Json& required(const char* name) const {
    if (const Json* value = given(name)) return *value;
    fail(ErrorCode::kModel, path(name), " is missing; the object is ", object_.dump());
  }

  const Json& object_;
  const std::string& key_;
};

RopeScaling parse_scaling(const Json& rope, const std::string& key) {
  const Members members(rope, key);
  RopeScaling s;
  s.kind = kind_of(members.text_or("rope_type", members.text_or("type", "default")), key);
  if (s.kind == RopeKind::kPlain) return s;
  refuse_members(rope, key);
  s.factor = members.number("factor");
  if (s.kind != RopeKind::kYarn && s.kind != RopeKind::kLlama3) return s;
  s.original_max_position_embeddings = members.whole("original_max_position_embeddings");
  if (s.kind == RopeKind::kLlama3) {
    s.low_freq_factor = members.number("low_freq_factor");
    s.high_freq_factor = members.number("high_freq_factor");
    return s;
  }
  s.beta_fast = members.number_or("beta_fast", 32);
  s.beta_slow = members.number_or("beta_slow", 1);
  s.mscale = members.number_or("mscale", 1);
  s.mscale_all_dim = members.number_or("mscale_all_dim", 0);
  return s;
}

// The object under `key`, or null where there is none.
const Json* rope_object(const Json& json, const char* key) {
  const Json* rope = json.find(key);
  if (rope == nullptr || rope->is_null()) return nullptr;
  if (!rope->is_object()) {
    fail(ErrorCode::kModel, "config: ", key, " is ", rope->dump(), "; expected null or an object");
  }
  return rope;
}

// A number that two places of a file may give; they must agree.
void read_theta(const Json& json, const Json* parameters, ModelConfig& c) {
  c.rope_theta = json.double_or("rope_theta", 10000);
  if (parameters == nullptr || !parameters->contains("rope_theta")) return;
  const double inner = parameters->double_or("rope_theta", c.rope_theta);
  if (json.contains("rope_theta") && inner != c.rope_theta) {
    fail(ErrorCode::kModel, "config: rope_theta is ", c.rope_theta, "; expected ", inner,
         " as in rope_parameters, or one of the two keys");
  }
  c.rope_theta = inner;
}

// `rope` with the members that `s` has, and others as they were.
Json scaling_json(const RopeScaling& s, Json rope, const char* type_key) {
  for (const char* key : {"type", "rope_type"}) {
    if (rope.contains(key)) rope[key] = name_of(s.kind);
  }
  if (!rope.contains("type") && !rope.contains("rope_type")) rope[type_key] = name_of(s.kind);
  if (s.kind == RopeKind::kPlain) return rope;
  rope["factor"] = s.factor;
  if (s.kind != RopeKind::kYarn && s.kind != RopeKind::kLlama3) return rope;
  rope["original_max_position_embeddings"] = s.original_max_position_embeddings;
  if (s.kind == RopeKind::kLlama3) {
    rope["low_freq_factor"] = s.low_freq_factor;
    rope["high_freq_factor"] = s.high_freq_factor;
    return rope;
  }
  rope["beta_fast"] = s.beta_fast;
  rope["beta_slow"] = s.beta_slow;
  rope["mscale"] = s.mscale;
  rope["mscale_all_dim"] = s.mscale_all_dim;
  return rope;
}

Json object_or_new(const Json& json, const char* key) {
  const Json* rope = rope_object(json, key);
  return rope != nullptr ? *rope : Json::object();
}

}  // namespace

void read_rope(const Json& json, ModelConfig& c) {
  const Json* scaling = rope_object(json, "rope_scaling");
  const Json* parameters = rope_object(json, "rope_parameters");
  read_theta(json, parameters, c);
  if (scaling == nullptr && parameters == nullptr) return;
  const char* key = parameters != nullptr ? "rope_parameters" : "rope_scaling";
  c.rope_scaling = parse_scaling(parameters != nullptr ? *parameters : *scaling, key);
  if (scaling == nullptr || parameters == nullptr) return;
  const RopeScaling other = parse_scaling(*scaling, "rope_scaling");
  if (!(other == c.rope_scaling)) {
    fail(ErrorCode::kModel, "config: rope_scaling is ", scaling->dump(),
         "; expected the same as rope_parameters ", parameters->dump(), ", or one of the two keys");
  }
}

void write_rope(const ModelConfig& c, Json& json) {
  json["rope_theta"] = c.rope_theta;
  if (c.rope_scaling.kind == RopeKind::kPlain) {
    json["rope_scaling"] = Json();
  } else {
    // As the published files spell it.
    const char* type_key = c.rope_scaling.kind == RopeKind::kLlama3 ? "rope_type" : "type";
    json["rope_scaling"] =
        scaling_json(c.rope_scaling, object_or_new(json, "rope_scaling"), type_key);
  }
  if (rope_object(json, "rope_parameters") == nullptr) return;
  Json parameters =
      scaling_json(c.rope_scaling, object_or_new(json, "rope_parameters"), "rope_type");
  parameters["rope_theta"] = c.rope_theta;
  json["rope_parameters"] = parameters;
}

}  // namespace fathom

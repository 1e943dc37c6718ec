// A Jinja template as Hugging Face renders chat templates: trim_blocks and lstrip_blocks on,
// `tojson` by Python's json.dumps, {% generation %} blocks, loop controls, and nothing of the
// machine within reach.
//
// A rendering has limits on steps, depth, text and memory (heap.h); a template that exceeds one
// ends with an error, like one that is wrong: Error(kModel) names the template and the line. What
// the template itself refuses through raise_exception is Error(kUsage).
//
// Threads: render() may run on any number of threads.  Lifetime: a value with shared parts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/heap.h"

namespace fathom::jinja {

struct RenderInput {
  std::vector<std::pair<std::string, Value>> variables;
  int64_t now = 0;  // seconds since 1970, for strftime_now; in local time
};

class Template {
 public:
  // `name` opens every message: the file that the template comes from.
  Template(std::string_view source, std::string name);

  MarkedText render(const RenderInput& input, const Limits& limits = {}) const;

  const std::string& source() const { return source_; }
  const std::string& name() const { return name_; }

 private:
  std::string source_;
  std::string name_;
  std::shared_ptr<const Body> body_;
};

}  // namespace fathom::jinja

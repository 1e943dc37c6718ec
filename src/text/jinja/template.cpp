#include "text/jinja/template.h"

#include <ctime>

#include "text/jinja/interpreter.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"

namespace fathom::jinja {
namespace {

constexpr size_t kMaxSource = size_t{4} << 20;  // the longest published template has 20 KB

std::shared_ptr<const Body> parsed(std::string_view source, const std::string& name) {
  if (source.size() > kMaxSource) {
    fail(ErrorCode::kModel, name, " has ", source.size(), " bytes; a chat template has at most ",
         kMaxSource);
  }
  try {
    return std::make_shared<const Body>(parse_template(source));
  } catch (const SyntaxFault& fault) {
    fail(ErrorCode::kModel, name, ", line ", fault.line, ": ", fault.what);
  }
}

Function::Body strftime_now(int64_t now) {
  return [now](Interpreter& interpreter, const CallValues& values) {
    ArgumentReader arguments("strftime_now", values);
    const std::string form = interpreter.text_of(arguments.required("format")).bytes();
    arguments.done();
    const std::time_t time = static_cast<std::time_t>(now);
    std::tm parts{};
    localtime_r(&time, &parts);
    char text[1024];
    const size_t size = std::strftime(text, sizeof text, form.c_str(), &parts);
    if (size == 0 && !form.empty()) fault("strftime_now: the date is too long, or empty");
    return interpreter.heap().text(MarkedText(std::string(text, size)));
  };
}

}  // namespace

Template::Template(std::string_view source, std::string name)
    : source_(source), name_(std::move(name)), body_(parsed(source, name_)) {}

MarkedText Template::render(const RenderInput& input, const Limits& limits) const {
  Heap heap(limits);
  std::unordered_map<std::string, Value> globals = standard_functions(heap);
  globals.insert_or_assign(
      "strftime_now",
      Value(static_cast<Object*>(heap.object<Function>("strftime_now", strftime_now(input.now)))));
  for (const auto& [name, value] : input.variables) globals.insert_or_assign(name, value);
  Interpreter interpreter(heap, globals);
  try {
    return interpreter.run(*body_);
  } catch (const Fault& fault) {
    fail(fault.code(), name_, ", line ", interpreter.line(), ": ", fault.what());
  }
}

}  // namespace fathom::jinja

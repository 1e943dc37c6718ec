#include "text/jinja/template.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "io/files.h"
#include "io/testing.h"

namespace fathom::jinja {
namespace {

std::string render(const std::string& source, const Json& variables = Json::object(),
                   const Limits& limits = {}) {
  RenderInput input;
  for (const auto& [name, value] : variables.members()) {
    input.variables.emplace_back(name, Value::from_json(value, kInputMark));
  }
  return Template(source, "t").render(input, limits).bytes();
}

// tests/reference/templates.py says where the vectors come from.
TEST(Template, RendersWhatTheReferenceEngineRenders) {
  const std::string path = concat(FATHOM_SOURCE_DIR, "/tests/vectors/templates.json");
  const Json file = parse_json(read_file(path), path);
  const Json& variables = file.at("variables");
  int64_t checked = 0;
  for (const Json& each : file.at("templates").items()) {
    const std::string source = each.string_at("template");
    if (const Json* text = each.find("text")) {
      EXPECT_EQ(render(source, variables), text->as_string()) << source;
    } else {
      EXPECT_NE(error_of([&] { render(source, variables); }), "") << source;
    }
    ++checked;
  }
  EXPECT_GT(checked, 100);
}

TEST(Template, ErrorsNameTheTemplateTheLineAndWhat) {
  const auto fault = [](const std::string& source) { return error_of([&] { render(source); }); };
  EXPECT_EQ(fault("a\n{{ x.y }}"), "t, line 2: 'x' is undefined");
  EXPECT_EQ(fault("{% set d = {} %}\n\n{{ d.a.b }}"),
            "t, line 3: 'dict object' has no attribute 'a'");
  EXPECT_EQ(fault("{{ 'a' + 1 }}"), "t, line 1: '+' between 'str object' and 'int object'");
  EXPECT_EQ(fault("\n{% if x %}"), "t, line 2: the template ends where {% endif %} is missing");
  EXPECT_EQ(fault("{% foo %}"), "t, line 1: the tag 'foo' is unknown, or not for chat templates");
  EXPECT_EQ(fault("{{ x|nothing }}"), "t, line 1: there is no filter named 'nothing'");
  EXPECT_EQ(fault("{{ 'x"), "t, line 1: a string has no end");
  EXPECT_EQ(fault("{{ (1 }}"), "t, line 1: unexpected '}'; expected ')'");
  EXPECT_EQ(fault("{{ 1/0 }}"), "t, line 1: division by zero");
  EXPECT_EQ(fault("{% for x in 5 %}{% endfor %}"), "t, line 1: 'int object' is not iterable");
  EXPECT_EQ(fault("{{ raise_exception('no') }}"), "t, line 1: no");
  EXPECT_NE(fault("{{ 'a'|join(1,2,3,4) }}").find("join takes at most 2 arguments"),
            std::string::npos);
}

TEST(Template, TheSandboxKeepsTemplatesFromTheirHost) {
  const auto fault = [](const std::string& source) { return error_of([&] { render(source); }); };
  // What Python's objects would hand over does not exist here.
  EXPECT_EQ(render("{{ ''.__class__ }}{{ [].__init__ }}{{ {}.__globals__ }}"), "");
  EXPECT_NE(fault("{{ ''.__class__.__mro__ }}"), "");
  EXPECT_NE(fault("{% include 'x' %}"), "");
  EXPECT_NE(fault("{% import 'x' as y %}"), "");
  EXPECT_NE(fault("{% set l = [] %}{{ l.append(1) }}"), "");
  EXPECT_NE(fault("{% set d = {} %}{{ d.update(a=1) }}"), "");
  EXPECT_NE(fault("{% set ns = namespace(_x=1) %}"), "");
}

struct Hostile {
  const char* what;
  std::string source;
};

std::string repeated(const std::string& part, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += part;
  return text;
}

TEST(Template, HostileTemplatesEndWithAnError) {
  const std::string loop = "{% for i in range(100000) %}";
  const Hostile cases[] = {
      {"nested loops", repeated(loop, 4) + repeated("{% endfor %}", 4)},
      {"a string that doubles", "{% set ns = namespace(s='aaaaaaaa') %}" + loop +
                                    "{% set ns.s = ns.s + ns.s %}{% endfor %}"},
      {"a list that doubles",
       "{% set ns = namespace(l=[1]) %}" + loop + "{% set ns.l = ns.l + ns.l %}{% endfor %}"},
      {"a value within itself",
       "{% set ns = namespace(l=[]) %}" + loop + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}"},
      {"equality of shared values",
       "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] "
       "%}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}"},
      {"the text of shared values",
       "{% set ns = namespace(a=[]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% "
       "endfor %}{{ ns.a }}"},
      {"JSON of shared values",
       "{% set ns = namespace(a=[]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% "
       "endfor %}{{ ns.a|tojson(indent=900) }}"},
      {"endless recursion", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"},
      {"recursion through a caller",
       "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}"},
      {"a huge range", "{{ range(1000000000)|list|length }}"},
      {"a huge repetition", "{{ 'a' * 10000000000 }}"},
      {"a huge repeated list", "{{ ([0] * 100000 * 100000)|length }}"},
      {"a huge width", "{{ 'a'.center(10000000000) }}"},
      {"a huge indent", "{{ 'a\\nb'|indent(99999999999) }}"},
      {"a huge format", "{{ '%999999999d' % 1 }}"},
      {"a product of replacements", "{% set s = 'a' * 100000 %}{{ s.replace('a', s)|length }}"},
      {"a huge join", "{% set s = 'a' * 1000000 %}{{ ([s] * 10000)|join(s)|length }}"},
      {"a huge power", "{{ 9 ** 99999999 }}"},
      {"deep parentheses", "{{ " + repeated("(", 100000) + "1" + repeated(")", 100000) + " }}"},
      {"deep lists", "{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}"},
      {"a long sum", "{{ 1" + repeated(" + 1", 100000) + " }}"},
      {"a long chain of attributes", "{{ x" + repeated(".x", 100000) + " }}"},
      {"a long chain of filters", "{{ 'x'" + repeated("|trim", 100000) + " }}"},
      {"deep blocks", repeated("{% if 1 %}", 100000) + repeated("{% endif %}", 100000)},
      {"many signs", "{{ " + repeated("-", 100000) + "1 }}"},
      {"many nots", "{{ " + repeated("not ", 100000) + "1 }}"},
      {"deep targets", "{% set " + repeated("(", 100000) + "a" + repeated(")", 100000) + " = 1 %}"},
      {"deep conditions", "{{ 1" + repeated(" if 1 else 1", 100000) + " }}"},
      {"sums of sums",
       "{{ " + repeated("(", 30) + "1" + repeated(repeated(" + 1", 150) + ")", 30) + " }}"},
      {"macros without end",
       repeated(loop, 3) + "{% macro m() %}{% endmacro %}" + repeated("{% endfor %}", 3)},
      {"map of map", "{{ [[1]]|map('map'" + repeated(", 'map'", 100) + ")|list }}"},
      {"output without end", "{% set s = 'a' * 60000000 %}{{ s }}{{ s }}"},
  };
  for (const Hostile& hostile : cases) {
    const Timer timer;
    EXPECT_NE(error_of([&] { render(hostile.source); }), "") << hostile.what;
    EXPECT_LT(timer.seconds(), 20) << hostile.what;
  }
}

TEST(Template, LimitsAreTheCallers) {
  Limits limits;
  limits.steps = 100;
  const std::string loop = "{% for i in range(90) %}x{% endfor %}";
  EXPECT_NE(error_of([&] { render(loop, Json::object(), limits); }).find("100 steps"),
            std::string::npos);
  EXPECT_EQ(render(loop).size(), 90u);
  limits = {};
  limits.text_bytes = 10;
  EXPECT_NE(error_of([&] { render("12345678901", Json::object(), limits); }), "");
  limits = {};
  limits.depth = 8;
  EXPECT_NE(error_of([&] { render("{{ 1+1+1+1+1+1+1+1+1+1 }}", Json::object(), limits); }), "");
}

TEST(Template, MarksFollowTheBytes) {
  RenderInput input;
  input.variables.emplace_back("x", Value::string(MarkedText("uSeR", kInputMark)));
  const auto marks = [&](const std::string& source) {
    const MarkedText text = Template(source, "t").render(input);
    std::string shown;
    for (const char mark : text.marks()) shown += mark == kOwnMark ? '.' : 'u';
    return shown;
  };
  EXPECT_EQ(marks("ab{{ x }}c"), "..uuuu.");
  EXPECT_EQ(marks("{{ 'a' + x[1:3] ~ 'b' }}"), ".uu.");
  EXPECT_EQ(marks("{{ x|upper }}{{ x.title() }}{{ x|replace('e', '--') }}"), "uuuuuuuuuu..u");
  EXPECT_EQ(marks("{{ ['a', x]|join('+') }}"), "..uuuu");
  EXPECT_EQ(marks("{{ {'k': x}|tojson }}"), ".......uuuu..");
  EXPECT_EQ(marks("{% set b %}<{{ x }}>{% endset %}{{ b|trim }}"), ".uuuu.");
  EXPECT_EQ(marks("{% for c in x %}{{ c }},{% endfor %}"), "u.u.u.u.");
  EXPECT_EQ(marks("{{ '%s!' % x }}{{ x * 2 }}{{ x|reverse }}"), "uuuu.uuuuuuuuuuuu");
  EXPECT_EQ(marks("{{ (x ~ '|' ~ x).split('|')|last }}{{ x|indent }}{{ x|e }}"), "uuuuuuuuuuuu");
}

TEST(Template, DatesAreTheCallersNow) {
  RenderInput input;
  input.now = 86400 * 365;
  EXPECT_EQ(Template("{{ strftime_now('%Y') }}", "t").render(input).bytes(), "1971");
  EXPECT_NE(error_of([&] { Template("{{ strftime_now('%99999999d') }}", "t").render(input); }), "");
}

TEST(Template, OneTemplateServesManyRenderings) {
  const Template shared(
      "{% set n = namespace(i=0) %}{% for x in l %}{% set n.i = n.i + x %}{% "
      "endfor %}{{ n.i }}",
      "t");
  for (int i = 0; i < 3; ++i) {
    RenderInput input;
    input.variables.emplace_back("l", Value::from_json(Json::array({i, 1}), kInputMark));
    EXPECT_EQ(shared.render(input).bytes(), std::to_string(i + 1));
  }
}

}  // namespace
}  // namespace fathom::jinja

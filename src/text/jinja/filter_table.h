// The filters of templates, in groups by what they work on.
//
// Threads: the tables never change.
#pragma once

#include <map>
#include <string_view>

#include "text/jinja/interpreter.h"

namespace fathom::jinja {

using Filter = Value (*)(Interpreter&, const Value&, ArgumentReader&);
using FilterTable = std::map<std::string_view, Filter>;

const FilterTable& text_filters();      // and of numbers, and tojson
const FilterTable& sequence_filters();  // where Jinja gives a generator, these give a list

// "a.b.0" of an item; a whole number is an index.
Value attribute_path(Interpreter& in, const Value& item, const Value& path);

}  // namespace fathom::jinja

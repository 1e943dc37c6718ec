// Run files: TOML to Json and back.
//
// Tables keep the order of the file. Dates and times become strings. Threads: free functions, any.
#pragma once

#include <string>
#include <string_view>

#include "io/json.h"

namespace fathom {

// Errors are `origin:line:column: what`.
Json parse_toml(std::string_view text, std::string_view origin,
                ErrorCode code = ErrorCode::kRuntime);

// An object as TOML: in each table first the plain values, then `[tables]` and `[[arrays of
// tables]]`. TOML has no null: leave such a member out, for it is an error here.
std::string dump_toml(const Json& table);

}  // namespace fathom

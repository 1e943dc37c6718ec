// The price file of the repository, compiled in.
#pragma once

#include <string_view>

namespace fathom {

std::string_view built_in_prices_text();

}  // namespace fathom

// The fixed parts of a report page: its style and the script that shows values under the pointer.
#pragma once

#include <string_view>

namespace fathom {

std::string_view page_style();
std::string_view page_script();  // the page reads well without it

}  // namespace fathom

// The recipe in words, for the report page and docs/demo.md.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "demo/recipe.h"

namespace fathom {

// {what, setting}: {"pretraining", "2000 steps of 64 documents: modsum 0.2, …"}. The same rows, in
// the same order, for every recipe.
std::vector<std::vector<std::string>> recipe_rows(const DemoRecipe& recipe);

}  // namespace fathom

// Tokenizers for tests: bytes as vocabulary, with the control tokens of a published family.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace fathom {

enum class TestFamily { kLlm, kCoder, kV2, kV3, kR1, kV31, kDistillQwen };

Tokenizer family_tokenizer(TestFamily family);

// The text of FATHOM_SHARED_DIR/PATH; empty where the folder is absent.
std::string shared_file(const std::string& path);

}  // namespace fathom

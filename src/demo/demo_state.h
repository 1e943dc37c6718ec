// What the demo has done so far: finished chapters with their results, and the model after each.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/training_state.h"
#include "io/json.h"

namespace fathom {

class DemoState {
 public:
  // Reads OUT/state.json if it is there; a different seed or recipe in it is an error.
  DemoState(const std::string& out, uint64_t seed, const std::string& recipe);

  bool done(const std::string& chapter) const;
  const Json& result(const std::string& chapter) const;
  // Saves the model (where given) and then the result; after a kill in between the chapter is
  // simply done again.
  void finish(const std::string& chapter, const Json& result, Decoder* decoder,
              const Tokenizer& tokenizer);
  // What an unfinished chapter has decided on its way, so that it goes on alike after a stop; null
  // where there is nothing.
  void remember(const std::string& chapter, const Json& decided);
  Json remembered(const std::string& chapter) const;
  std::string model_folder(const std::string& chapter) const;
  double seconds() const;  // spent in earlier sittings
  void add_seconds(double seconds);
  const std::string& out() const { return out_; }

 private:
  void save() const;
  std::string out_;
  Json state_;
};

// Copies weights, biases included, from a chapter's model.
void load_weights_of(Decoder& decoder, const std::string& folder);

}  // namespace fathom

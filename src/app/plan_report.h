// A plan told to people: sections of figures, each with how it was computed, which text and HTML
// share.
//
// Threads: values and pure functions.
#pragma once

#include <string>
#include <vector>

#include "io/json.h"
#include "plan/plan.h"

namespace fathom {

struct PlanFigure {
  std::string name, value;
  std::string how;  // the formula with its inputs, or where a published figure is from
};

struct PlanSection {
  std::string title;
  std::vector<PlanFigure> figures;
  std::vector<std::string> notes;  // what is compared, assumed or left out
};

std::vector<PlanSection> plan_sections(const Plan& plan);
// Parts of it: laws, pipeline and memory of training; placement, inference and prices.
std::vector<PlanSection> scale_sections(const Plan& plan);
std::vector<PlanSection> serving_sections(const Plan& plan);
std::string plan_text(const Plan& plan, const std::vector<PlanSection>& sections);
Json plan_json(const Plan& plan);
Json serving_json(const Plan& plan);  // an object of the members on scale and serving
void write_plan_page(const Plan& plan, const std::vector<PlanSection>& sections,
                     const std::string& path);  // HTML

}  // namespace fathom

#include "tensor/shape.h"

#include "base/error.h"

namespace fathom {

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::vector<int64_t>(dims)) {}

Shape::Shape(const std::vector<int64_t>& dims) : rank_(static_cast<int>(dims.size())) {
  FATHOM_CHECK(dims.size() <= kMaxRank, "shape: at most ", kMaxRank, " extents, got ", dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    FATHOM_CHECK(dims[i] >= 0, "shape: extent ", i, " is negative: ", dims[i]);
    dims_[i] = dims[i];
  }
}

int64_t Shape::elements() const { return rank_ == 0 ? 1 : rows() * cols(); }

int64_t Shape::rows() const {
  int64_t rows = 1;
  for (int i = 0; i + 1 < rank_; ++i) rows *= dims_[static_cast<size_t>(i)];
  return rows;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i == 0 ? "" : ", ") << shape[i];
  return out << ']';
}

}  // namespace fathom

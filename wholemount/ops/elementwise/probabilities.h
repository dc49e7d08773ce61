#pragma once

#include <cstdint>
#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// How logits [n, c, d, h, w] become probabilities.
enum class ProbabilityKind : uint8_t {
  sigmoid,  ///< p_c = 1 / (1 + exp(-x_c)): regions that may overlap
  softmax,  ///< p_c = exp(x_c - m) / sum over k of exp(x_k - m), m = max over k of x_k: classes
};

/// Probabilities of logits, same shape. May overwrite the logits. Backward (reads the
/// probabilities p): sigmoid grad_x = grad_p p (1 - p); softmax
/// grad_x_c = p_c (grad_p_c - sum over k of grad_p_k p_k).
ValueId probabilities(GraphBuilder& builder, ProbabilityKind kind, ValueId logits,
                      const std::string& name);

/// Label map [n, 1, d, h, w] u8 of logits. softmax: the channel of the greatest logit, the first of
/// equal ones (at most 256 channels); sigmoid: bit r is set when logit r > 0 (at most 8 channels).
/// Throws ShapeError for more channels. No gradient.
ValueId predict_labels(GraphBuilder& builder, ProbabilityKind kind, ValueId logits,
                       const std::string& name);

}  // namespace wholemount

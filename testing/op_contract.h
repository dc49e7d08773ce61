#pragma once

#include <memory>
#include <string>
#include <vector>

#include "testing/fill.h"
#include "wholemount/graph/op.h"

namespace wholemount {

/// One application of an operator, for check_op.
struct OpCase {
  std::shared_ptr<const Op> op;
  /// float32 (u8 for labels); n = 0: an absent optional input.
  std::vector<TensorDesc> inputs;
  /// How the inputs are filled; missing entries are InputFill{}, statistics must be said.
  std::vector<InputFill> fills;
  /// Terms of the longest sum behind one output element. A kernel must lie within
  ///   tolerance_factor * eps(float32) * sqrt(tolerance_terms) * magnitude
  /// of the float64 reference, magnitude = max(|reference|, root mean square of the element's
  /// channel, minimum_magnitude): rounding errors of the terms are independent, and sums that
  /// cancel keep the error of their terms.
  double tolerance_terms = 1.0;
  double tolerance_factor = 8.0;
  double minimum_magnitude = 0.0;
  /// Outputs that may be asked to accumulate (parameter gradients); always seen whole.
  std::vector<int> accumulating_outputs;
  /// Outputs that may be left out (null origin).
  std::vector<int> optional_outputs;
  /// Further outputs that kernels see whole in a streamed run (small plain tensors with more than
  /// one row).
  std::vector<int> whole_outputs;
  /// Shapes beyond 2^31 elements for infer; empty: `inputs` with a huge n wherever the fill does
  /// not say `whole` (and the input has more than one row).
  std::vector<TensorDesc> huge_inputs;
  /// Convolution algorithms to check (not for the reference kernel).
  Convolution convolution = Convolution::best;
  std::string description;
  uint64_t seed = 1;
};

/// Checks what every operator promises (graph/op.h, graph/kernel.h, tensor/tensor_view.h), for each
/// instruction set of this machine and for the float32 reference kernel:
///  - infer agrees with the kernel, for float64 too, and takes shapes beyond 2^31 elements without
///    overflow or allocation;
///  - results agree with the float64 reference kernel within the case's tolerance (u8: exactly);
///  - outputs and scratch start as NaN; guard bytes around both stay intact; lanes beyond c are 0;
///  - any order of tasks on any number of threads gives the same bits;
///  - accumulating = overwriting + one addition;
///  - leaving out an optional output does not change the others;
///  - streamable kernels give the same bits task by task on windows that hold only the slabs of
///    input_box and output_box, write nothing outside output_box, and input_box lies within
///    Op::input_region(output_box);
///  - inputs given as bfloat16 to a kernel that can read them give the bits of the same numbers in
///    float32, on windows too;
///  - in place = out of place where may_overwrite allows it.
void check_op(const OpCase& op_case);

}  // namespace wholemount

#include "wholemount/ops/activation/activation.h"

#include <gtest/gtest.h>

#include "testing/op_contract.h"

namespace wholemount {
namespace {

std::vector<TensorDesc> shapes() {
  return {TensorDesc::activation(1, 1, {1, 1, 1}),     TensorDesc::activation(2, 3, {3, 5, 7}),
          TensorDesc::activation(1, 16, {2, 3, 4}),    TensorDesc::activation(2, 21, {3, 4, 5}),
          TensorDesc::activation(1, 40, {1, 6, 5}),    TensorDesc::activation(1, 4, {1, 33, 19}),
          TensorDesc::activation(1, 5, {3, 40, 120})};
}

TEST(Apply, keeps_the_operator_contract) {
  for (const TensorDesc& desc : shapes()) {
    for (const InputFill& fill : {InputFill{}, InputFill::through(0.0F), InputFill::through(0.01F),
                                  InputFill::through(1.0F), InputFill::activated(0.25F)}) {
      OpCase op_case;
      op_case.op = make_apply();
      op_case.inputs = {desc};
      op_case.fills = {fill};
      // One multiply-add and one product: two terms.
      op_case.tolerance_terms = 2;
      check_op(op_case);
    }
  }
}

}  // namespace
}  // namespace wholemount

#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/tensor/tensor_desc.h"

namespace wholemount {

struct Node;
class Differentiation;
class Op;

/// See Op::rectified.
struct RectifiedOp {
  std::shared_ptr<const Op> op;  ///< null: the operator cannot
  bool takes_x = true;           ///< x is one more input, the last
};

/// What an operator is told when a kernel is wanted.
struct PrepareContext {
  std::span<const TensorDesc> inputs;
  std::span<const TensorDesc> outputs;
  Target target;
};

/// Facts about an operator. Immutable, shared by all nodes that use it. Central code (plan, exec)
/// knows operators only through these verbs.
class Op {
 public:
  virtual ~Op() = default;
  /// "conv", "max_pool" ...
  [[nodiscard]] virtual std::string name() const = 0;
  /// The attributes as a case string, e.g. "k3 s1 p1"; may be empty.
  [[nodiscard]] virtual std::string attributes() const { return {}; }

  /// Shapes of the outputs. Throws ShapeError with sizes found and wanted.
  [[nodiscard]] virtual std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const = 0;

  /// The voxels of input `input` that are needed for the voxels `output_box` of output 0 (for
  /// operators whose output 0 is not a volume: of the whole).
  [[nodiscard]] virtual Box3 input_region(int input, const Box3& output_box,
                                          std::span<const TensorDesc> inputs) const = 0;

  /// Whether output `output` may share the memory of input `input` (same bytes, element by
  /// element).
  [[nodiscard]] virtual bool may_overwrite(int /*input*/, int /*output*/) const { return false; }

  /// Whether input `input` may carry a LoadTransform; otherwise the builder writes it out first.
  [[nodiscard]] virtual bool reads_through(int /*input*/) const { return false; }

  /// Adds the nodes that carry the gradients of the node's outputs to its inputs (see
  /// Differentiation). Default: no gradient flows through.
  virtual void differentiate(const Node& /*node*/, Differentiation& /*scope*/) const {}

  /// For an operator of the backward pass whose only output is the gradient of y = (x > 0 ? x :
  /// slope * x), y being the value `y` (a ValueId): the operator that gives the gradient of x
  /// instead, that is, its result multiplied by (x > 0 ? 1 : slope). Default: there is none, and
  /// the multiplication is a node of its own.
  [[nodiscard]] virtual RectifiedOp rectified(const Node& /*node*/, int32_t /*y*/,
                                              float /*slope*/) const {
    return {};
  }

  /// The operator that does the same for these inputs and has one more output, the last: the
  /// moments of output 0 over all its voxels (moments_desc), summed while the values are at hand,
  /// so that a norm need not read the volume again. That output may be left out. Default: none.
  [[nodiscard]] virtual std::shared_ptr<const Op> with_moments(
      std::span<const TensorDesc> /*inputs*/) const {
    return nullptr;
  }

  /// The implementation for these shapes on this target; nullptr for an operator that does nothing
  /// at run time (a value read through a LoadTransform).
  [[nodiscard]] virtual std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const = 0;
};

}  // namespace wholemount

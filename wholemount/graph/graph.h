#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/graph/op.h"
#include "wholemount/tensor/tensor_desc.h"

namespace wholemount {

using ValueId = int32_t;
using NodeId = int32_t;
constexpr int32_t kNone = -1;

/// "Read me through this": y = z > 0 ? z : slope * z with z = fma(scale[c], x, shift[c]); scale and
/// shift are rows of the statistics value (absent: z = x).
struct LoadTransform {
  ValueId statistics = kNone;
  float slope = 1.0F;
};

/// Where a value's memory comes from.
enum class ValueKind : uint8_t {
  intermediate,        ///< the arena
  input,               ///< bound by the caller: images, targets
  parameter,           ///< the parameter store
  parameter_gradient,  ///< the parameter store; summed over samples
  /// The parameter store, one for each sample of the update: [row | column], whose outer product is
  /// the sample's share of a parameter's gradient. The shares are computed and summed once all
  /// samples are there (ParameterStore::sum_outer_products).
  gradient_factors,
};

/// An edge of the graph.
struct Value {
  std::string name;
  TensorDesc desc;
  ValueKind kind = ValueKind::intermediate;
  NodeId producer = kNone;
  int32_t parameter = kNone;  ///< index into Graph::parameters for the two parameter kinds
  /// Set when this value is another one read through a transform: it has no memory of its own.
  ValueId stored_as = kNone;
  LoadTransform transform;
  bool keep = false;  ///< wanted by the caller after the run (loss, logits)
};

enum class Pass : uint8_t { forward, backward };

/// One application of an operator.
struct Node {
  std::string name;
  std::shared_ptr<const Op> op;
  std::vector<ValueId> inputs;   ///< kNone for an absent optional input
  std::vector<ValueId> outputs;  ///< kNone for an output nobody wants
  Pass pass = Pass::forward;
  int32_t layer = 0;       ///< nodes of one layer for different samples share it
  int32_t sample = kNone;  ///< sample of the graph it belongs to; kNone: joins samples
};

/// What a parameter is to the optimiser.
enum class ParameterRole : uint8_t { weight, bias, norm_scale, norm_shift, moving_statistic };

/// How a parameter starts.
enum class Initializer : uint8_t { zeros, ones, he_uniform, he_normal, glorot_uniform };

struct ParameterSpec {
  std::string name;
  TensorDesc desc;  ///< plain; convolution weights are [c_out, c_in, kd, kh, kw]
  ParameterRole role = ParameterRole::weight;
  Initializer initializer = Initializer::zeros;
  int64_t fan_in = 1;
  int64_t fan_out = 1;
  bool factored = false;  ///< the gradient arrives as ValueKind::gradient_factors
};

/// [1, 1, 1x1x(rows + columns)] of a factored parameter: rows = n, columns = c * d * h * w.
[[nodiscard]] TensorDesc gradient_factors_desc(const TensorDesc& parameter);

/// Nodes in execution order, and values. Immutable once built.
struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ParameterSpec> parameters;
  int32_t num_samples = 1;

  [[nodiscard]] const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  /// The value that owns the memory `id` is read from.
  [[nodiscard]] ValueId storage(ValueId id) const {
    return value(id).stored_as == kNone ? id : value(id).stored_as;
  }
};

/// Builds a Graph node by node, inferring shapes as it goes.
class GraphBuilder {
 public:
  /// `apply` is the operator with which a value is written out when an operator cannot read it
  /// through its LoadTransform: inputs {x read through}, output {y}.
  explicit GraphBuilder(std::shared_ptr<const Op> apply, int32_t num_samples = 1);

  /// Nodes added from now on belong to this sample (kNone: joins samples).
  void set_sample(int32_t sample) { sample_ = sample; }
  /// Starts a new layer; its index is stamped on the nodes that follow.
  void next_layer() { ++layer_; }
  void set_pass(Pass pass) { pass_ = pass; }
  void set_layer(int32_t layer) { layer_ = layer; }

  ValueId input(const std::string& name, const TensorDesc& desc);
  /// The value of a parameter; asking again for a known name (another sample) returns the same one.
  ValueId parameter(const ParameterSpec& spec);

  /// Adds a node and returns its outputs. kNone inputs are absent optional ones and get an empty
  /// desc (n = 0) in infer.
  std::vector<ValueId> add(std::shared_ptr<const Op> op, std::vector<ValueId> inputs,
                           const std::string& name);

  /// Turns the fresh output `value` of a node into an alias of `stored` read through `transform`.
  void alias(ValueId value, ValueId stored, LoadTransform transform);
  /// Declares that `value` (a fresh output) is the gradient of `parameter_value`; it then lives in
  /// the parameter store, summed over samples.
  void bind_parameter_gradient(ValueId value, ValueId parameter_value);
  /// Declares that `value` (a fresh output, see gradient_factors_desc) holds the two factors of the
  /// current sample's gradient of `parameter_value`, at most once a sample.
  void bind_gradient_factors(ValueId value, ValueId parameter_value);
  /// Exchanges the operator of a node for one that infers the same outputs from `inputs`.
  void replace(NodeId node, std::shared_ptr<const Op> op, std::vector<ValueId> inputs);
  /// Whether the node that computes `value` can sum its moments, too (Op::with_moments).
  [[nodiscard]] bool has_moments(ValueId value) const;
  /// The moments of `value`, for which has_moments(): one more output of the node that computes it.
  ValueId moments(ValueId value);
  void keep(ValueId value) { graph_.values[static_cast<size_t>(value)].keep = true; }
  /// Declares that nobody wants this output of a node: it gets no memory and the kernel sees a null
  /// origin.
  void drop_output(ValueId value);
  [[nodiscard]] int32_t sample() const { return sample_; }
  [[nodiscard]] int32_t layer() const { return layer_; }

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] const TensorDesc& desc(ValueId id) const { return graph_.value(id).desc; }
  [[nodiscard]] Graph finish() { return std::move(graph_); }

 private:
  ValueId new_value(const std::string& name, const TensorDesc& desc, ValueKind kind);
  [[nodiscard]] std::vector<TensorDesc> descs_of(const std::vector<ValueId>& ids) const;
  [[nodiscard]] std::shared_ptr<const Op> op_with_moments(ValueId value) const;

  Graph graph_;
  std::shared_ptr<const Op> apply_;
  std::vector<std::pair<ValueId, ValueId>> written_out_;  ///< (read-through value, its copy)
  std::vector<std::pair<ValueId, ValueId>> moments_;      ///< (value, its moments)
  int32_t sample_ = 0;
  int32_t layer_ = 0;
  Pass pass_ = Pass::forward;
};

/// What Op::differentiate works with. Gradients are values; the gradient of a value is complete
/// when the node that produced it is reached, because nodes are visited in reverse.
class Differentiation {
 public:
  Differentiation(GraphBuilder& builder, std::shared_ptr<const Op> add);

  [[nodiscard]] GraphBuilder& builder() { return builder_; }
  /// True when some parameter lies upstream of `value`, so that its gradient is wanted.
  [[nodiscard]] bool wanted(ValueId value) const;
  /// The gradient gathered for `value` so far; kNone when nothing has flowed into it.
  [[nodiscard]] ValueId gradient(ValueId value) const;
  /// Removes and returns the gradient gathered so far, for a node that adds onto it itself.
  ValueId take(ValueId value);
  /// Contributes `gradient` to `value`; a second contribution inserts an addition.
  void contribute(ValueId value, ValueId gradient);
  /// Makes `gradient`, gathered for y = (x > 0 ? x : slope * x), the gradient of x without a node
  /// of its own: by the node that computes it, if that can (Op::rectified) and nothing else reads
  /// `gradient`. False when it is left as it was.
  bool rectify(ValueId gradient, ValueId y, ValueId x, float slope);
  /// The forward nodes that read `value` directly.
  [[nodiscard]] std::vector<NodeId> readers(ValueId value) const;

 private:
  friend void differentiate(GraphBuilder& builder, const std::vector<ValueId>& losses,
                            std::shared_ptr<const Op> add);
  GraphBuilder& builder_;
  std::shared_ptr<const Op> add_;
  std::vector<ValueId> gradients_;  ///< by ValueId of the forward values
  std::vector<bool> wanted_;
};

/// Appends the backward pass as ordinary nodes: layers in reverse order, samples of a layer in
/// rising order (so that gradient sums over samples are left folds). A loss operator's
/// differentiate seeds itself: it sees gradient(output) == kNone and takes it as 1.
void differentiate(GraphBuilder& builder, const std::vector<ValueId>& losses,
                   std::shared_ptr<const Op> add);

}  // namespace wholemount

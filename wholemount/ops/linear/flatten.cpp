#include "wholemount/ops/linear/flatten.h"

#include <algorithm>
#include <string>
#include <vector>

#include "wholemount/base/checked.h"
#include "wholemount/base/error.h"
#include "wholemount/ops/conv/flat_values.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// What both kernels share.
class Flatten : public Kernel {
 public:
  Flatten(const PrepareContext& context, std::string name)
      : inputs_(context.inputs.begin(), context.inputs.end()), name_(std::move(name)) {
    for (const TensorDesc& desc : inputs_) {
      begins_.push_back(count_);
      count_ = checked_add(count_, desc.num_elements());
      traffic_bytes_ = checked_add(traffic_bytes_, 2 * desc.bytes());
    }
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override { return 0; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic_bytes_; }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t /*task*/, int input) const override {
    return whole_box(inputs_[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t /*task*/, int /*output*/) const override {
    return whole_box({1, 1, count_});
  }

 protected:
  std::vector<TensorDesc> inputs_;
  std::vector<int64_t> begins_;  ///< in the row, by input
  int64_t count_ = 0;

 private:
  std::string name_;
  int64_t traffic_bytes_ = 0;
};

/// A task is one input.
template <class T>
class FlattenReference final : public Flatten {
 public:
  explicit FlattenReference(const PrepareContext& context)
      : Flatten(context, "flatten_reference") {}
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override {
    return static_cast<int64_t>(inputs_.size());
  }
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const auto i = static_cast<size_t>(task);
    const TransformedReader<T> values(args.inputs[i],
                                      args.decisions.empty() ? nullptr : &args.decisions[i]);
    T* out = args.outputs[0].view.at<T>(0, 0) + begins_[i];
    const TensorDesc& desc = inputs_[i];
    for (int64_t c = 0; c < desc.c; ++c) {
      for (int64_t d = 0; d < desc.extent.d; ++d) {
        for (int64_t h = 0; h < desc.extent.h; ++h) {
          for (int64_t w = 0; w < desc.extent.w; ++w, ++out) {
            const T value = values(0, c, d, h, w);
            *out = args.outputs[0].accumulate ? *out + value : value;
          }
        }
      }
    }
  }
};

/// A task is one channel block of one input.
class FlattenKernel final : public Flatten {
 public:
  explicit FlattenKernel(const PrepareContext& context)
      : Flatten(context, "flatten_" + std::string(isa_name(context.target.isa))),
        isa_(context.target.isa) {
    for (const TensorDesc& desc : inputs_) {
      tensors_.emplace_back(std::span(&desc, 1));
      first_tasks_.push_back(num_tasks_);
      num_tasks_ += tensors_.back().num_pieces();
      row_floats_ = std::max(row_floats_, tensors_.back().row_floats());
      piece_floats_ = std::max(piece_floats_, 16 * tensors_.back().voxels());
    }
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return num_tasks_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(row_floats_ + piece_floats_) * sizeof(float);
  }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return inputs_[static_cast<size_t>(input)].layout == Layout::blocked16;
  }
  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    const auto after = std::upper_bound(first_tasks_.begin(), first_tasks_.end(), task);
    const auto i = static_cast<size_t>(after - first_tasks_.begin()) - 1;
    const FlatValues& tensor = tensors_[i];
    const int64_t piece = task - first_tasks_[i];
    const auto inputs = args.inputs.subspan(i, 1);
    auto* row = reinterpret_cast<float*>(args.thread_scratch);
    float* out = args.outputs[0].view.at<float>(0, 0) + begins_[i] + tensor.piece_begin(piece);
    if (!args.outputs[0].accumulate) {
      tensor.write(piece, inputs, isa_, out, row);
      return;
    }
    float* values = row + row_floats_;
    tensor.write(piece, inputs, isa_, values, row);
    for (int64_t v = 0; v < tensor.piece_floats(piece); ++v) out[v] += values[v];
  }

 private:
  Isa isa_;
  std::vector<FlatValues> tensors_;
  std::vector<int64_t> first_tasks_;  ///< by input
  int64_t num_tasks_ = 0;
  int64_t row_floats_ = 0;
  int64_t piece_floats_ = 0;
};

class FlattenOp final : public Op {
 public:
  [[nodiscard]] std::string name() const override { return "flatten"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    WM_CHECK(!inputs.empty(), "flatten takes at least one input");
    int64_t count = 0;
    for (const TensorDesc& desc : inputs) {
      if (desc.n != 1 || desc.dtype != inputs.front().dtype) {
        throw ShapeError("flatten: takes tensors of one sample and one type, found " +
                         to_string(desc));
      }
      count = checked_add(count, desc.num_elements());
    }
    return {TensorDesc::plain(1, 1, {1, 1, count}, inputs.front().dtype)};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<FlattenReference<double>>(context);
    }
    if (context.target.reference) return std::make_shared<FlattenReference<float>>(context);
    return std::make_shared<FlattenKernel>(context);
  }
};

}  // namespace

std::shared_ptr<const Op> make_flatten() { return std::make_shared<FlattenOp>(); }

}  // namespace wholemount

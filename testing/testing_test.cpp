#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <atomic>

#include "testing/gradient_check.h"
#include "testing/op_contract.h"
#include "wholemount/base/error.h"
#include "wholemount/graph/slab_kernel.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {
namespace {

enum class Fault {
  none,
  value,              // one element is wrong in float32
  unwritten,          // one element is not written
  beyond_output,      // one element too many is written
  padding_lanes,      // lanes beyond c are not zero
  history_dependent,  // the result depends on what ran before
  outside_box,        // reads a neighbouring slab that input_box does not name
  region_too_small,   // input_region does not hold what input_box names
  wrong_gradient,
  no_gradient,
};

/// y = x * x with one deliberate fault.
class FaultyKernel final : public SlabKernel {
 public:
  FaultyKernel(const PrepareContext& context, Fault fault)
      : SlabKernel("square_reference", SlabTasks(context.outputs[0], 256), 1, 1), fault_(fault) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    if (args.inputs[0].view.desc.dtype == DType::f64) {
      run_typed<double>(task, args, Fault::none);
    } else {
      run_typed<float>(task, args, fault_);
    }
  }

 private:
  template <class T>
  void run_typed(const SlabTasks::Task& task, const KernelArgs& args, Fault fault) const {
    const TensorView& x = args.inputs[0].view;
    const TensorView& y = args.outputs[0].view;
    const Box3 whole = whole_box(x.desc.extent);
    for_each_slab_element<T>(task, y, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      const bool last =
          c == y.desc.c - 1 && d == whole.end.d - 1 && h == whole.end.h - 1 && w == whole.end.w - 1;
      T value = element<T>(x, task.n, c, d, h, w);
      if (fault == Fault::outside_box && d > 0)
        value += T{0} * element<T>(x, task.n, c, d - 1, h, w);
      value *= value;
      if (fault == Fault::value && last) value += T(1e-3);
      if (fault == Fault::unwritten && last) return;
      // Within the tolerance, but not the same bits in later runs.
      if (fault == Fault::history_dependent && last && ++calls_ > 1) value *= T(1.0000002);
      element<T>(y, task.n, c, d, h, w) = value;
    });
    if (fault == Fault::padding_lanes) {
      y.at<T>(task.n, task.block, task.box.begin.d, task.box.begin.h)[15] = T{1};
    }
    if (fault == Fault::beyond_output && task.box.end == whole.end) {
      *y.at<T>(task.n, task.block, whole.end.d) = T{1};
    }
  }

  Fault fault_;
  mutable std::atomic<int> calls_ = 0;
};

class SquareBackwardKernel final : public SlabKernel {
 public:
  SquareBackwardKernel(const PrepareContext& context, double factor)
      : SlabKernel("square_backward_reference", SlabTasks(context.outputs[0]), 1, 1),
        factor_(factor) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& grad_x = args.outputs[0].view;
    for_each_slab_element<double>(task, grad_x, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      element<double>(grad_x, task.n, c, d, h, w) =
          factor_ * element<double>(args.inputs[0].view, task.n, c, d, h, w) *
          element<double>(args.inputs[1].view, task.n, c, d, h, w);
    });
  }

 private:
  double factor_;
};

class SquareBackwardOp final : public Op {
 public:
  explicit SquareBackwardOp(double factor) : factor_(factor) {}
  [[nodiscard]] std::string name() const override { return "square_backward"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int, const Box3& box,
                                  std::span<const TensorDesc>) const override {
    return box;
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<SquareBackwardKernel>(context, factor_);
  }

 private:
  double factor_;
};

class SquareOp final : public Op {
 public:
  explicit SquareOp(Fault fault) : fault_(fault) {}
  [[nodiscard]] std::string name() const override { return "square"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int, const Box3& box,
                                  std::span<const TensorDesc>) const override {
    return fault_ == Fault::region_too_small ? Box3{} : box;
  }
  void differentiate(const Node& node, Differentiation& scope) const override {
    if (fault_ == Fault::no_gradient) return;
    const double factor = fault_ == Fault::wrong_gradient ? 2.000001 : 2.0;
    scope.contribute(node.inputs[0], scope.builder()
                                         .add(std::make_shared<SquareBackwardOp>(factor),
                                              {node.inputs[0], scope.gradient(node.outputs[0])},
                                              node.name + ".backward")
                                         .front());
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<FaultyKernel>(context, fault_);
  }

 private:
  Fault fault_;
};

void check_square(Fault fault) {
  OpCase op_case;
  op_case.op = std::make_shared<SquareOp>(fault);
  op_case.inputs = {TensorDesc::activation(1, 5, {4, 3, 2})};
  check_op(op_case);
}

void check_square_gradient(Fault fault) {
  check_gradient([&](GraphBuilder& builder) {
    const ValueId x =
        differentiable_input(builder, "x", TensorDesc::plain(1, 2, {2, 3, 2}, DType::f64));
    return builder.add(std::make_shared<SquareOp>(fault), {x}, "square");
  });
}

/// How many failures the body reports.
int failures(const std::function<void()>& body) {
  ::testing::TestPartResultArray results;
  {
    const ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &results);
    body();
  }
  return results.size();
}

TEST(OpContract, passes_a_correct_kernel) { check_square(Fault::none); }

TEST(OpContract, sees_every_fault) {
  for (const Fault fault :
       {Fault::value, Fault::unwritten, Fault::beyond_output, Fault::padding_lanes,
        Fault::history_dependent, Fault::outside_box, Fault::region_too_small}) {
    EXPECT_GT(failures([&] { check_square(fault); }), 0) << "fault " << static_cast<int>(fault);
  }
}

TEST(GradientCheck, passes_a_correct_gradient) { check_square_gradient(Fault::none); }

TEST(GradientCheck, sees_a_gradient_wrong_in_the_seventh_digit) {
  EXPECT_GT(failures([] { check_square_gradient(Fault::wrong_gradient); }), 0);
}

TEST(GradientCheck, sees_a_missing_gradient) {
  EXPECT_GT(failures([] { check_square_gradient(Fault::no_gradient); }), 0);
}

}  // namespace
}  // namespace wholemount

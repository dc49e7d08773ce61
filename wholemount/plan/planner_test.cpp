#include "wholemount/plan/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace wholemount {
namespace {

/// A kernel of one task that only has sizes.
class SizedKernel : public Kernel {
 public:
  SizedKernel(size_t shared, size_t thread) : shared_(shared), thread_(thread) {}
  [[nodiscard]] std::string name() const override { return "sized"; }
  [[nodiscard]] int64_t flops() const override { return 10; }
  [[nodiscard]] int64_t traffic_bytes() const override { return 10; }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_; }
  [[nodiscard]] int64_t num_tasks(int) const override { return 1; }
  void run(int, int64_t, const KernelArgs&) const override {}
  [[nodiscard]] Box3 input_box(int, int64_t, int) const override { return {}; }
  [[nodiscard]] Box3 output_box(int, int64_t, int) const override { return {}; }

 private:
  size_t shared_;
  size_t thread_;
};

/// Output 0 has the shape of input 0.
class SizedOp : public Op {
 public:
  explicit SizedOp(bool overwrites = false, size_t shared = 0, size_t thread = 0)
      : overwrites_(overwrites), shared_(shared), thread_(thread) {}
  [[nodiscard]] std::string name() const override { return "sized"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {inputs.front()};
  }
  [[nodiscard]] Box3 input_region(int, const Box3& box,
                                  std::span<const TensorDesc>) const override {
    return box;
  }
  [[nodiscard]] bool may_overwrite(int input, int) const override {
    return overwrites_ && input == 0;
  }
  [[nodiscard]] bool reads_through(int) const override { return true; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(const PrepareContext&) const override {
    return std::make_shared<SizedKernel>(shared_, thread_);
  }

 private:
  bool overwrites_;
  size_t shared_;
  size_t thread_;
};

/// A value read through a transform: nothing at run time.
class AliasOp : public SizedOp {
 public:
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(const PrepareContext&) const override {
    return nullptr;
  }
};

class PlannerTest : public testing::Test {
 protected:
  ValueId add(std::shared_ptr<const Op> op, std::vector<ValueId> inputs) {
    return builder_.add(std::move(op), std::move(inputs), "v" + std::to_string(counter_++)).front();
  }
  std::shared_ptr<const Program> make_plan(int threads = 1) {
    graph_ = std::make_shared<const Graph>(builder_.finish());
    PlanSpec spec;
    spec.num_threads = threads;
    return plan(graph_, spec, default_time_model(threads));
  }
  std::shared_ptr<const Op> op_ = std::make_shared<SizedOp>();
  std::shared_ptr<const Op> in_place_ = std::make_shared<SizedOp>(true);
  GraphBuilder builder_{op_};
  ValueId input_ = builder_.input("x", TensorDesc::plain(1, 1, {1, 1, 256}));
  std::shared_ptr<const Graph> graph_;
  int counter_ = 0;
  static constexpr size_t kBytes = 1024;
};

TEST_F(PlannerTest, a_chain_needs_two_buffers) {
  ValueId x = input_;
  for (int i = 0; i < 6; ++i) {
    x = add(op_, {x});
  }
  builder_.keep(x);
  EXPECT_EQ(make_plan()->arena_bytes, 2 * kBytes);
}

TEST_F(PlannerTest, an_operator_that_may_overwrite_its_input_needs_one_buffer) {
  ValueId x = add(op_, {input_});
  for (int i = 0; i < 6; ++i) {
    x = add(in_place_, {x});
  }
  builder_.keep(x);
  EXPECT_EQ(make_plan()->arena_bytes, kBytes);
}

TEST_F(PlannerTest, value_with_two_readers_is_not_overwritten_by_the_first) {
  const ValueId x = add(op_, {input_});
  const ValueId y = add(in_place_, {x});
  const ValueId z = add(op_, {x, y});
  builder_.keep(z);
  const auto program = make_plan();
  EXPECT_NE(program->offsets[static_cast<size_t>(x)], program->offsets[static_cast<size_t>(y)]);
}

TEST_F(PlannerTest, an_input_of_the_caller_is_never_overwritten) {
  const ValueId y = add(in_place_, {input_});
  builder_.keep(y);
  const auto program = make_plan();
  EXPECT_EQ(program->offsets[static_cast<size_t>(input_)], Program::kNoOffset);
  EXPECT_EQ(program->arena_bytes, kBytes);
}

TEST_F(PlannerTest, a_kept_value_lives_to_the_end) {
  const ValueId x = add(op_, {input_});
  builder_.keep(x);
  const ValueId y = add(op_, {input_});
  const ValueId z = add(op_, {y});
  builder_.keep(z);
  const auto program = make_plan();
  EXPECT_NE(program->offsets[static_cast<size_t>(x)], program->offsets[static_cast<size_t>(z)]);
  EXPECT_NE(program->offsets[static_cast<size_t>(x)], program->offsets[static_cast<size_t>(y)]);
}

TEST_F(PlannerTest, what_nobody_wants_is_not_run) {
  const ValueId x = add(op_, {input_});
  add(op_, {x});
  builder_.keep(x);
  EXPECT_EQ(make_plan()->steps.size(), 1U);
}

TEST_F(PlannerTest, a_value_read_through_a_transform_and_its_statistics_stay_until_the_last_read) {
  const ValueId x = add(op_, {input_});
  const ValueId statistics = add(op_, {x});
  const ValueId z = add(std::make_shared<AliasOp>(), {x, statistics});
  builder_.alias(z, x, {statistics, 0.0F});
  const ValueId a = add(op_, {input_});
  const ValueId b = add(op_, {a, z});
  builder_.keep(b);
  const auto program = make_plan();
  EXPECT_EQ(program->steps.size(), 4U);  // the alias is no step
  const auto offset = [&](ValueId id) { return program->offsets[static_cast<size_t>(id)]; };
  EXPECT_EQ(offset(z), Program::kNoOffset);
  EXPECT_NE(offset(a), offset(x));
  EXPECT_NE(offset(a), offset(statistics));
}

TEST_F(PlannerTest, scratch_of_every_thread_is_in_the_arena) {
  const ValueId x = add(std::make_shared<SizedOp>(false, 100, 200), {input_});
  builder_.keep(x);
  const auto program = make_plan(3);
  EXPECT_EQ(program->steps.front().thread_scratch_pitch, 256U);
  EXPECT_EQ(program->arena_bytes, kBytes + 128 + 3 * 256);
}

TEST_F(PlannerTest, uses_of_the_arena_that_share_a_step_never_overlap) {
  ValueId x = input_;
  std::vector<ValueId> skips;
  for (int i = 0; i < 5; ++i) {
    x = add(std::make_shared<SizedOp>(i % 2 == 0, 64U * static_cast<size_t>(i), 32), {x});
    skips.push_back(x);
  }
  for (int i = 4; i >= 0; --i) {
    x = add(in_place_, {x, skips[static_cast<size_t>(i)]});
  }
  builder_.keep(x);
  const auto program = make_plan(2);
  for (size_t a = 0; a < program->uses.size(); ++a) {
    for (size_t b = a + 1; b < program->uses.size(); ++b) {
      const ArenaUse& p = program->uses[a];
      const ArenaUse& q = program->uses[b];
      const bool steps = p.first_step <= q.last_step && q.first_step <= p.last_step;
      const bool bytes = p.offset < q.offset + q.bytes && q.offset < p.offset + p.bytes;
      EXPECT_FALSE(steps && bytes) << p.name << " and " << q.name;
    }
  }
}

}  // namespace
}  // namespace wholemount

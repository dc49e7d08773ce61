#include "testing/op_contract.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "testing/kernel_run.h"

namespace wholemount {

namespace {

std::string describe(const OpCase& op_case) {
  std::string text = op_case.op->name() + " " + op_case.op->attributes() + " (";
  for (const TensorDesc& desc : op_case.inputs) {
    text += desc.n == 0 ? "absent; " : to_string(desc) + "; ";
  }
  return text + ") " + op_case.description;
}

InputFill fill_of(const OpCase& op_case, size_t input) {
  return input < op_case.fills.size() ? op_case.fills[input] : InputFill{};
}

bool has(const std::vector<int>& list, size_t index) {
  return std::find(list.begin(), list.end(), static_cast<int>(index)) != list.end();
}

bool single_row(const TensorDesc& desc) { return desc.extent.d == 1 && desc.extent.h == 1; }

TensorDesc to_float64(const TensorDesc& desc) {
  if (desc.dtype == DType::u8) return desc;
  return TensorDesc::plain(desc.n, desc.c, desc.extent, DType::f64);
}

std::vector<TensorDesc> to_float64(const std::vector<TensorDesc>& descs) {
  std::vector<TensorDesc> result;
  for (const TensorDesc& desc : descs) result.push_back(to_float64(desc));
  return result;
}

void expect_same_bits(const TestOutputs& expected, const TestOutputs& found, size_t output,
                      const std::string& what) {
  const GuardedBuffer& a = expected.buffer(output);
  const GuardedBuffer& b = found.buffer(output);
  EXPECT_TRUE(b.guards_intact()) << what << ": written beyond output " << output;
  if (std::memcmp(a.data(), b.data(), a.size()) == 0) return;
  const auto first = std::mismatch(a.data(), a.data() + a.size(), b.data()).first - a.data();
  const TensorDesc& desc = expected.views()[output].view.desc;
  ADD_FAILURE() << what << " changes the bits of output " << output << " (" << to_string(desc)
                << ") first at stored element " << first / dtype_bytes(desc.dtype);
}

void expect_same_bits(const TestOutputs& expected, const TestOutputs& found,
                      const std::string& what) {
  for (size_t o = 0; o < expected.size(); ++o) expect_same_bits(expected, found, o, what);
}

void expect_zero_lanes(const TensorView& view) {
  const TensorDesc& desc = view.desc;
  if (desc.layout != Layout::blocked16 || desc.c % 16 == 0 || desc.dtype != DType::f32) return;
  const int64_t voxels = volume(desc.extent);
  for (int64_t n = 0; n < desc.n; ++n) {
    const auto* block = view.at<float>(n, desc.num_blocks() - 1);
    for (int64_t voxel = 0; voxel < voxels; ++voxel) {
      for (int64_t lane = desc.c % 16; lane < 16; ++lane) {
        if (block[voxel * 16 + lane] == 0.0F) continue;
        ADD_FAILURE() << "lane " << lane << " beyond c of voxel " << voxel << " is "
                      << block[voxel * 16 + lane] << ", wanted 0";
        return;
      }
    }
  }
}

/// Root mean square of each channel over n and voxels.
std::vector<double> channel_magnitudes(const TensorDesc& desc, const std::vector<double>& values) {
  std::vector<double> sums(static_cast<size_t>(desc.c), 0.0);
  const auto voxels = static_cast<size_t>(volume(desc.extent));
  for (size_t i = 0; i < values.size(); ++i) {
    sums[i / voxels % sums.size()] += values[i] * values[i];
  }
  const double count = static_cast<double>(desc.n) * static_cast<double>(voxels);
  for (double& sum : sums) sum = std::sqrt(sum / count);
  return sums;
}

void expect_near_reference(const OpCase& op_case, const TensorView& found,
                           const TensorView& reference, size_t output) {
  const std::vector<double> values = to_plain(found);
  const std::vector<double> wanted = to_plain(reference);
  ASSERT_EQ(values.size(), wanted.size());
  const bool exact = found.desc.dtype == DType::u8;
  const double unit = op_case.tolerance_factor * std::sqrt(op_case.tolerance_terms) *
                      static_cast<double>(std::numeric_limits<float>::epsilon());
  const std::vector<double> magnitudes = channel_magnitudes(reference.desc, wanted);
  const auto voxels = static_cast<size_t>(volume(found.desc.extent));
  for (size_t i = 0; i < values.size(); ++i) {
    const double magnitude =
        std::max({std::abs(wanted[i]), magnitudes[i / voxels % magnitudes.size()],
                  op_case.minimum_magnitude});
    const double bound = exact ? 0.0 : unit * magnitude;
    if (std::abs(values[i] - wanted[i]) <= bound) continue;
    ADD_FAILURE() << "output " << output << " (" << to_string(found.desc) << ") element " << i
                  << " in plain order: found " << values[i] << ", float64 reference " << wanted[i]
                  << ", bound " << bound;
    return;
  }
}

/// Peak address space of this process in KiB.
int64_t peak_address_space_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmPeak:") {
      int64_t kib = 0;
      status >> kib;
      return kib;
    }
  }
  return 0;
}

/// The case's inputs with a huge n wherever that makes sense: single rows are parameters, or
/// volumes of one voxel.
std::vector<TensorDesc> huge_inputs(const OpCase& op_case, bool single_rows_too) {
  constexpr int64_t kHuge = int64_t{1} << 33;
  std::vector<TensorDesc> huge = op_case.inputs;
  for (size_t i = 0; i < huge.size(); ++i) {
    if (fill_of(op_case, i).whole || (single_row(huge[i]) && !single_rows_too)) continue;
    huge[i].n *= kHuge;
  }
  return huge;
}

void check_huge_shapes(const OpCase& op_case) {
  const int64_t before = peak_address_space_kib();
  const auto infer = [&](const std::vector<TensorDesc>& inputs) {
    for (const TensorDesc& desc : op_case.op->infer(inputs)) EXPECT_GE(desc.num_elements(), 0);
  };
  try {
    if (!op_case.huge_inputs.empty()) {
      infer(op_case.huge_inputs);
    } else {
      try {
        infer(huge_inputs(op_case, false));
      } catch (const ShapeError&) {
        infer(huge_inputs(op_case, true));
      }
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << "infer for huge shapes: " << error.what();
  }
  EXPECT_LT(peak_address_space_kib() - before, int64_t{1} << 20)
      << "infer for huge shapes allocates";
}

/// Everything about one prepared kernel.
class KernelCheck {
 public:
  KernelCheck(const OpCase& op_case, const Kernel& kernel, const TestInputs& inputs,
              const std::vector<TensorDesc>& outputs)
      : case_(op_case), kernel_(kernel), inputs_(inputs), descs_(outputs), expected_(outputs) {}

  void run(const TestOutputs& reference) {
    run_kernel(kernel_, inputs_.views(), expected_.views());
    for (size_t o = 0; o < expected_.size(); ++o) {
      EXPECT_TRUE(expected_.buffer(o).guards_intact()) << "written beyond output " << o;
      expect_zero_lanes(expected_.views()[o].view);
      expect_near_reference(case_, expected_.views()[o].view, reference.views()[o].view, o);
    }
    EXPECT_GE(kernel_.flops(), 0);
    EXPECT_GT(kernel_.traffic_bytes(), 0);
    check_task_orders();
    check_accumulation();
    check_optional_outputs();
    check_in_place();
    check_bfloat16_inputs();
    if (kernel_.streamable()) {
      check_boxes();
      check_windows();
    }
    for (size_t i = 0; i < case_.inputs.size(); ++i) {
      EXPECT_TRUE(inputs_.buffer(i).guards_intact()) << "written beyond input " << i;
    }
  }

 private:
  void check_task_orders() {
    TestOutputs shuffled(descs_);
    run_kernel(kernel_, inputs_.views(), shuffled.views(), {}, case_.seed);
    expect_same_bits(expected_, shuffled, "another order of tasks over three scratches");
    static ThreadPool threads(3);
    TestOutputs pooled(descs_);
    run_kernel(kernel_, inputs_.views(), pooled.views(), threads);
    expect_same_bits(expected_, pooled, "running on three threads");
  }

  void check_accumulation() {
    for (const int output : case_.accumulating_outputs) {
      const auto o = static_cast<size_t>(output);
      TestOutputs accumulated(descs_);
      const std::vector<double> before = fill_values(descs_[o], InputFill{}, 4242);
      from_plain(accumulated.views()[o].view, before);
      accumulated.views()[o].accumulate = true;
      run_kernel(kernel_, inputs_.views(), accumulated.views());
      TestOutputs wanted(descs_);
      std::vector<double> sums = to_plain(expected_.views()[o].view);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += before[i];  // rounded once, by from_plain
      from_plain(wanted.views()[o].view, sums);
      expect_same_bits(wanted, accumulated, o, "accumulating");
    }
  }

  void check_optional_outputs() {
    for (const int output : case_.optional_outputs) {
      const auto left_out = static_cast<size_t>(output);
      TestOutputs others(descs_);
      others.views()[left_out].view.origin = nullptr;
      run_kernel(kernel_, inputs_.views(), others.views());
      for (size_t o = 0; o < descs_.size(); ++o) {
        if (o == left_out) continue;
        expect_same_bits(expected_, others, o, "leaving out output " + std::to_string(output));
      }
    }
  }

  void check_in_place() {
    for (size_t i = 0; i < case_.inputs.size(); ++i) {
      for (size_t o = 0; o < descs_.size(); ++o) {
        if (inputs_.absent(i) || case_.inputs[i] != descs_[o] ||
            !case_.op->may_overwrite(static_cast<int>(i), static_cast<int>(o))) {
          continue;
        }
        TestOutputs in_place(descs_);
        std::memcpy(in_place.buffer(o).data(), inputs_.buffer(i).data(), in_place.buffer(o).size());
        std::vector<InputView> views = inputs_.views();
        views[i].view = in_place.views()[o].view;
        run_kernel(kernel_, views, in_place.views(), {}, case_.seed + 1);
        expect_same_bits(expected_, in_place,
                         "overwriting input " + std::to_string(i) + " in place");
      }
    }
  }

  /// Inputs given as bfloat16, each alone and all together, give the bits of the same numbers in
  /// float32.
  void check_bfloat16_inputs() {
    std::vector<std::vector<size_t>> sets;
    std::vector<size_t> all;
    for (size_t i = 0; i < case_.inputs.size(); ++i) {
      if (inputs_.absent(i) || !kernel_.reads_bfloat16(static_cast<int>(i))) continue;
      all.push_back(i);
      sets.push_back({i});
    }
    if (all.size() > 1) sets.push_back(all);
    for (const std::vector<size_t>& set : sets) check_bfloat16(set, set == all);
  }

  void check_bfloat16(const std::vector<size_t>& set, bool on_windows) {
    std::vector<InputView> expanded = inputs_.views();
    std::vector<InputView> halves = inputs_.views();
    std::vector<GuardedBuffer> buffers;
    std::string what = "reading as bfloat16 input";
    for (const size_t i : set) {
      TensorDesc desc = case_.inputs[i];
      ASSERT_EQ(desc.dtype, DType::f32);
      const auto count = static_cast<size_t>(desc.storage_elements());
      GuardedBuffer whole(desc.bytes());
      desc.dtype = DType::bf16;
      GuardedBuffer half(desc.bytes());
      for (size_t k = 0; k < count; ++k) {
        uint32_t bits = 0;
        std::memcpy(&bits, inputs_.buffer(i).data() + k * sizeof(bits), sizeof(bits));
        const auto upper = static_cast<uint16_t>(bits >> 16U);
        bits &= 0xffff0000U;
        std::memcpy(whole.data() + k * sizeof(bits), &bits, sizeof(bits));
        std::memcpy(half.data() + k * sizeof(upper), &upper, sizeof(upper));
      }
      expanded[i].view = whole_view(case_.inputs[i], whole.data());
      halves[i].view = whole_view(desc, half.data());
      buffers.push_back(std::move(whole));
      buffers.push_back(std::move(half));
      what += " " + std::to_string(i);
    }
    TestOutputs wanted(descs_);
    run_kernel(kernel_, expanded, wanted.views());
    TestOutputs found(descs_);
    run_kernel(kernel_, halves, found.views(), {}, case_.seed + 2);
    expect_same_bits(wanted, found, what);
    if (!on_windows || !kernel_.streamable()) return;
    TestOutputs streamed(descs_);
    run_kernel_on_windows(kernel_, halves, streamed, windowed_inputs(), windowed_outputs());
    expect_same_bits(wanted, streamed, what + " on windows");
  }

  /// Parameters, statistics and everything of a single row is always seen whole.
  [[nodiscard]] bool windowed_input(size_t i) const {
    return !inputs_.absent(i) && !fill_of(case_, i).whole && !single_row(case_.inputs[i]);
  }
  [[nodiscard]] bool windowed_output(size_t o) const {
    return !has(case_.accumulating_outputs, o) && !has(case_.whole_outputs, o) &&
           !single_row(descs_[o]);
  }

  [[nodiscard]] std::vector<bool> windowed_inputs() const {
    std::vector<bool> windowed;
    for (size_t i = 0; i < case_.inputs.size(); ++i) windowed.push_back(windowed_input(i));
    return windowed;
  }
  [[nodiscard]] std::vector<bool> windowed_outputs() const {
    std::vector<bool> windowed;
    for (size_t o = 0; o < descs_.size(); ++o) windowed.push_back(windowed_output(o));
    return windowed;
  }

  void check_boxes() {
    for (int phase = 0; phase < kernel_.num_phases(); ++phase) {
      for (int64_t task = 0; task < kernel_.num_tasks(phase); ++task) {
        const Box3 output_box = kernel_.output_box(phase, task, 0);
        if (output_box.empty()) continue;
        for (size_t i = 0; i < case_.inputs.size(); ++i) {
          if (!windowed_input(i)) continue;
          const auto input = static_cast<int>(i);
          const Extent3& extent = case_.inputs[i].extent;
          const Box3 reads = clip(kernel_.input_box(phase, task, input), extent);
          const Box3 region = clip(case_.op->input_region(input, output_box, case_.inputs), extent);
          if (contains(region, reads)) continue;
          ADD_FAILURE() << "task " << task << " of phase " << phase
                        << " reads beyond Op::input_region of input " << i;
          return;
        }
      }
    }
  }

  void check_windows() {
    TestOutputs streamed(descs_);
    run_kernel_on_windows(kernel_, inputs_.views(), streamed, windowed_inputs(),
                          windowed_outputs());
    expect_same_bits(expected_, streamed, "running on windows");
  }

  const OpCase& case_;
  const Kernel& kernel_;
  const TestInputs& inputs_;
  const std::vector<TensorDesc>& descs_;
  TestOutputs expected_;
};

}  // namespace

void check_op(const OpCase& op_case) {
  SCOPED_TRACE(describe(op_case));
  const Op& op = *op_case.op;
  const std::vector<TensorDesc> outputs = op.infer(op_case.inputs);
  const std::vector<TensorDesc> inputs64 = to_float64(op_case.inputs);
  const std::vector<TensorDesc> outputs64 = op.infer(inputs64);
  ASSERT_EQ(outputs64, to_float64(outputs)) << "infer for float64 inputs";
  check_huge_shapes(op_case);

  const TestInputs inputs(op_case.inputs, op_case.fills, op_case.seed);
  const TestInputs reference_inputs(inputs64, op_case.fills, op_case.seed);
  TestOutputs reference(outputs64);
  const auto reference_kernel = op.prepare({inputs64, outputs64, Target{}});
  ASSERT_TRUE(reference_kernel) << "no float64 reference kernel";
  // An operator on float64 alone (a few numbers per channel) has one kernel for everything.
  const bool is_float64_anyway = inputs64 == op_case.inputs;
  EXPECT_TRUE(is_float64_anyway || reference_kernel->name().ends_with("_reference"))
      << reference_kernel->name();
  run_kernel(*reference_kernel, reference_inputs.views(), reference.views(), inputs.views());
  for (size_t o = 0; o < reference.size(); ++o) {
    EXPECT_TRUE(reference.buffer(o).guards_intact()) << "float64 reference, output " << o;
  }

  std::vector<Target> targets;
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa <= best_isa()) targets.push_back({isa, false, op_case.convolution});
  }
  targets.push_back({Isa::portable, true});
  for (const Target& target : targets) {
    const auto kernel = op.prepare({op_case.inputs, outputs, target});
    ASSERT_TRUE(kernel);
    SCOPED_TRACE("kernel " + kernel->name() + " for " + std::string(isa_name(target.isa)));
    KernelCheck(op_case, *kernel, inputs, outputs).run(reference);
  }
}

}  // namespace wholemount

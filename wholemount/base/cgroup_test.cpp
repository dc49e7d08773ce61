#include "wholemount/base/cgroup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "wholemount/base/cpu.h"

namespace wholemount {
namespace {

// A made-up control group tree in a folder of its own.
class CgroupTree : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::path(testing::TempDir()) / (std::string("wm_cgroup_") + info->name());
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  [[nodiscard]] CgroupLimits read() const {
    return read_cgroup_limits((root_ / "membership").string(), (root_ / "mount").string());
  }

 private:
  std::filesystem::path root_;
};

TEST_F(CgroupTree, version_2_limits_count_usage_and_droppable_cache) {
  write("membership", "0::/job\n");
  write("mount/job/cpu.max", "150000 100000\n");
  write("mount/job/memory.max", "1000000\n");
  write("mount/job/memory.current", "700000\n");
  write("mount/job/memory.stat", "anon 400000\nfile 300000\ninactive_file 200000\n");
  const CgroupLimits limits = read();
  EXPECT_DOUBLE_EQ(limits.cpus.value(), 1.5);
  EXPECT_EQ(limits.available_memory_bytes.value(), 500000U);
}

TEST_F(CgroupTree, strictest_ancestor_counts) {
  write("membership", "0::/slice/job\n");
  write("mount/slice/job/memory.max", "max\n");
  write("mount/slice/memory.max", "800\n");
  write("mount/slice/memory.current", "300\n");
  write("mount/slice/job/cpu.max", "400000 100000\n");
  write("mount/slice/cpu.max", "200000 100000\n");
  const CgroupLimits limits = read();
  EXPECT_EQ(limits.available_memory_bytes.value(), 500U);
  EXPECT_DOUBLE_EQ(limits.cpus.value(), 2.0);
}

TEST_F(CgroupTree, usage_above_the_limit_leaves_nothing) {
  write("membership", "0::/\n");
  write("mount/memory.max", "100\n");
  write("mount/memory.current", "300\n");
  EXPECT_EQ(read().available_memory_bytes.value(), 0U);
}

TEST_F(CgroupTree, version_1_limits_are_read_from_their_controllers) {
  write("membership", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n");
  write("mount/cpu/docker/abc/cpu.cfs_quota_us", "50000\n");
  write("mount/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  write("mount/memory/docker/abc/memory.limit_in_bytes", "5000\n");
  write("mount/memory/docker/abc/memory.usage_in_bytes", "4000\n");
  write("mount/memory/docker/abc/memory.stat", "total_inactive_file 1500\n");
  const CgroupLimits limits = read();
  EXPECT_DOUBLE_EQ(limits.cpus.value(), 0.5);
  EXPECT_EQ(limits.available_memory_bytes.value(), 2500U);
}

TEST_F(CgroupTree, unlimited_version_1_values_are_no_limit) {
  write("membership", "4:memory:/\n3:cpu,cpuacct:/\n");
  write("mount/cpu/cpu.cfs_quota_us", "-1\n");
  write("mount/cpu/cpu.cfs_period_us", "100000\n");
  write("mount/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("mount/memory/memory.usage_in_bytes", "4000\n");
  const CgroupLimits limits = read();
  EXPECT_FALSE(limits.cpus);
  EXPECT_FALSE(limits.available_memory_bytes);
}

TEST_F(CgroupTree, absent_or_garbled_files_are_no_limit) {
  EXPECT_FALSE(read().cpus);
  write("membership", "garbage\n0:\n:::\n0::relative\n");
  EXPECT_FALSE(read().available_memory_bytes);
}

TEST(Cpu, usable_cpus_are_between_one_and_the_affinity_mask) {
  EXPECT_GE(usable_cpus(), 1);
  ASSERT_FALSE(process_cpus().empty());
  EXPECT_LE(static_cast<size_t>(usable_cpus()), process_cpus().size());
}

TEST(Cpu, best_isa_agrees_with_the_compilers_own_detection) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  const bool avx512 =
      avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  EXPECT_EQ(best_isa(), avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::portable);
#else
  EXPECT_EQ(best_isa(), Isa::portable);
#endif
}

TEST(Cpu, names_are_spelled_as_on_the_command_line) {
  EXPECT_EQ(isa_name(Isa::portable), "portable");
  EXPECT_EQ(isa_name(Isa::avx2), "avx2");
  EXPECT_EQ(isa_name(Isa::avx512), "avx512");
  EXPECT_FALSE(cpu_model().empty());
}

}  // namespace
}  // namespace wholemount

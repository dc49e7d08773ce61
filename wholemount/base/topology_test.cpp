#include "wholemount/base/topology.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace wholemount {
namespace {

// A folder with the kernel's tables of a machine of two sockets with two cores of two threads each.
class Topology : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "wm-topology-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    for (int cpu = 0; cpu < 8; ++cpu) {
      const int socket = cpu / 4;
      const int first = cpu / 2 * 2;
      const std::string folder = "cpu/cpu" + std::to_string(cpu);
      const std::string pair = std::to_string(first) + "-" + std::to_string(first + 1);
      write(folder + "/topology/physical_package_id", std::to_string(socket));
      write(folder + "/topology/core_id", std::to_string(cpu / 2 % 2));
      write_cache(folder + "/cache/index0", "1", "Data", "48K", pair);
      write_cache(folder + "/cache/index1", "1", "Instruction", "32K", pair);
      write_cache(folder + "/cache/index2", "2", "Unified", "2M", pair);
      write_cache(folder + "/cache/index3", "3", "Unified", "32768K", socket == 0 ? "0-3" : "4-7");
    }
    write("node/online", "0-1");
    write("node/node0/cpulist", "0-3");
    write("node/node0/meminfo", "Node 0 MemTotal:  1024 kB\nNode 0 MemFree:  512 kB");
    write("node/node1/cpulist", "4-7");
    write("node/node1/meminfo", "Node 1 MemTotal:  2048 kB\nNode 1 MemFree:  100 kB");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(root_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  void write_cache(const std::string& folder, const std::string& level, const std::string& type,
                   const std::string& size, const std::string& shared) {
    write(folder + "/level", level);
    write(folder + "/type", type);
    write(folder + "/size", size);
    write(folder + "/shared_cpu_list", shared);
  }

  std::string root_;
};

TEST_F(Topology, hyperthreads_are_not_cores) {
  const MachineTopology all = read_topology({0, 1, 2, 3, 4, 5, 6, 7}, root_);
  EXPECT_EQ(all.cores, 4);
  EXPECT_EQ(all.sockets, 2);
}

TEST_F(Topology, only_the_cpus_of_the_process_count) {
  const MachineTopology some = read_topology({4, 5, 6}, root_);
  EXPECT_EQ(some.cores, 2);
  EXPECT_EQ(some.sockets, 1);
  ASSERT_EQ(some.caches.size(), 3U);
  EXPECT_EQ(some.caches[0].instances, 2U);
  EXPECT_EQ(some.caches[2].instances, 1U);
}

TEST_F(Topology, shared_caches_are_counted_once_and_instruction_caches_left_out) {
  const MachineTopology all = read_topology({0, 1, 2, 3, 4, 5, 6, 7}, root_);
  ASSERT_EQ(all.caches.size(), 3U);
  EXPECT_EQ(all.caches[0].bytes, size_t{48} << 10);
  EXPECT_EQ(all.caches[0].instances, 4U);
  EXPECT_EQ(all.caches[1].bytes, size_t{2} << 20);
  EXPECT_EQ(all.caches[2].bytes, size_t{32} << 20);
  EXPECT_EQ(all.caches[2].instances, 2U);
}

TEST_F(Topology, nodes_tell_cpus_and_memory) {
  const MachineTopology all = read_topology({0}, root_);
  ASSERT_EQ(all.nodes.size(), 2U);
  EXPECT_EQ(all.nodes[1].number, 1);
  EXPECT_EQ(all.nodes[1].cpus, (std::vector<int>{4, 5, 6, 7}));
  EXPECT_EQ(all.nodes[1].memory_bytes, size_t{2048} << 10);
  EXPECT_EQ(all.nodes[0].free_bytes, size_t{512} << 10);
}

TEST_F(Topology, a_kernel_that_tells_nothing_gives_an_empty_topology) {
  const MachineTopology none = read_topology({0, 1}, root_ + "/absent");
  EXPECT_FALSE(none.cores.has_value());
  EXPECT_TRUE(none.caches.empty());
  EXPECT_TRUE(none.nodes.empty());
  EXPECT_EQ(total_memory_bytes(root_ + "/absent"), 0U);
}

TEST(CpuList, ranges_and_single_numbers_are_read_and_nonsense_ends_the_list) {
  EXPECT_EQ(parse_cpu_list("0-2,5,7-8"), (std::vector<int>{0, 1, 2, 5, 7, 8}));
  EXPECT_TRUE(parse_cpu_list("").empty());
  EXPECT_EQ(parse_cpu_list("3,x"), std::vector<int>{3});
  EXPECT_TRUE(parse_cpu_list("0-99999999999").empty());
}

TEST(MachineMemory, total_memory_of_this_machine_is_known) {
  EXPECT_GT(total_memory_bytes(), size_t{64} << 20);
}

}  // namespace
}  // namespace wholemount

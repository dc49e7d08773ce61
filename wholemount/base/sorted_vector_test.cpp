#include "wholemount/base/sorted_vector.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "wholemount/base/rng.h"

namespace wholemount {
namespace {

TEST(SortedVector, set_and_map_hold_what_the_standard_ones_hold) {
  CounterRng rng(1, 0, 0, "sorted");
  SortedSet<int> set;
  SortedMap<int, int> map;
  std::set<int> expected_set;
  std::map<int, int> expected_map;
  for (int i = 0; i < 500; ++i) {
    const int key = static_cast<int>(rng.next_below(60));
    if (rng.next_below(3) == 0) {
      set.erase(key);
      map.erase(key);
      expected_set.erase(key);
      expected_map.erase(key);
    } else {
      set.insert(key);
      map[key] = i;
      expected_set.insert(key);
      expected_map[key] = i;
    }
    ASSERT_EQ(std::set<int>(set.begin(), set.end()), expected_set);
    ASSERT_EQ((std::map<int, int>(map.begin(), map.end())), expected_map);
    ASSERT_EQ(set.size(), expected_set.size());
    ASSERT_TRUE(std::is_sorted(set.begin(), set.end()));
    EXPECT_EQ(set.contains(key), expected_set.contains(key));
    EXPECT_EQ(map.find(key) != map.end(), expected_map.contains(key));
  }
  map.erase_if([](const auto& entry) { return entry.first % 2 == 0; });
  std::erase_if(expected_map, [](const auto& entry) { return entry.first % 2 == 0; });
  EXPECT_EQ((std::map<int, int>(map.begin(), map.end())), expected_map);
}

}  // namespace
}  // namespace wholemount

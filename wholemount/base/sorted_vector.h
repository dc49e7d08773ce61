#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace wholemount {

/// A set in one sorted vector: for small sets that are copied and searched far more often than they
/// are changed (a copy is one allocation at most, none into a set that had the capacity). Insert
/// and erase are linear. References and iterators are good until the next change.
template <typename T>
class SortedSet {
 public:
  using const_iterator = typename std::vector<T>::const_iterator;

  [[nodiscard]] const_iterator begin() const { return items_.begin(); }
  [[nodiscard]] const_iterator end() const { return items_.end(); }
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] bool contains(const T& item) const {
    return std::binary_search(items_.begin(), items_.end(), item);
  }
  void insert(const T& item) {
    const auto at = std::lower_bound(items_.begin(), items_.end(), item);
    if (at == items_.end() || item < *at) items_.insert(at, item);
  }
  void erase(const T& item) {
    const auto at = std::lower_bound(items_.begin(), items_.end(), item);
    if (at != items_.end() && !(item < *at)) items_.erase(at);
  }
  template <typename Predicate>
  void erase_if(Predicate predicate) {
    std::erase_if(items_, predicate);
  }
  friend bool operator==(const SortedSet&, const SortedSet&) = default;

 private:
  std::vector<T> items_;
};

/// The same as a map from Key to Mapped.
template <typename Key, typename Mapped>
class SortedMap {
 public:
  using Entry = std::pair<Key, Mapped>;
  using const_iterator = typename std::vector<Entry>::const_iterator;

  [[nodiscard]] const_iterator begin() const { return items_.begin(); }
  [[nodiscard]] const_iterator end() const { return items_.end(); }
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] const_iterator find(const Key& key) const {
    const const_iterator at = lower_bound(key);
    return at != items_.end() && at->first == key ? at : items_.end();
  }
  /// The first entry whose key is not below `key`.
  [[nodiscard]] const_iterator lower_bound(const Key& key) const {
    return std::lower_bound(items_.begin(), items_.end(), key,
                            [](const Entry& entry, const Key& k) { return entry.first < k; });
  }
  Mapped& operator[](const Key& key) {
    const auto offset = lower_bound(key) - items_.begin();
    auto at = items_.begin() + offset;
    if (at == items_.end() || at->first != key) at = items_.insert(at, Entry{key, Mapped{}});
    return at->second;
  }
  void erase(const Key& key) {
    const auto at = find(key);
    if (at != items_.end()) items_.erase(at);
  }
  template <typename Predicate>
  void erase_if(Predicate predicate) {
    std::erase_if(items_, predicate);
  }
  friend bool operator==(const SortedMap&, const SortedMap&) = default;

 private:
  std::vector<Entry> items_;
};

}  // namespace wholemount

#include "wholemount/train/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/train/config_node.h"

namespace wholemount {
namespace {

// The example of the command line contract.
const char* const kExample = R"([data]
root    = "Task01_BrainTumour"
channels = ["FLAIR"]
target  = "whole-tumour"
shape   = [144, 240, 240]
normalise = "zscore-nonzero"
split   = { seed = 816, train = 0.85, validation = 0.075, test = 0.075 }
augment = ["flip", "rot90"]

[net]
kind = "unet3d"
filters = 16
levels = 5
norm = "batch"
norm_over = "update"

[train]
epochs = 25
batch = 16
micro_batch = "auto"
sum_groups = 8
loss = [ { name = "dice", weight = 0.7, pooled = false, smooth = [1.0, 1.0] }, { name = "bce", weight = 0.3 } ]
optimizer = { name = "adam", rate = 1e-3 }
schedule = { name = "plateau" }

[memory]
budget = "8G"
half = false
spill = "scratch/"
)";

RunConfig parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "run.toml", overrides);
}

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    (void)parse(text, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

void expect_mentions(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "\"" << part << "\" in: " << message;
  }
}

TEST(Config, a_key_of_endless_parts_is_refused) {
  std::string deep = "a";
  for (int i = 0; i < 400'000; ++i) deep += ".a";
  expect_mentions(error_of(deep + " = 1\n"), {"run.toml", "more than 256 parts"});
  expect_mentions(error_of("[" + deep + "]\nx = 1\n"), {"run.toml", "more than 256 parts"});
}

TEST(Config, example_of_the_contract_is_read) {
  const RunConfig c = parse(kExample);
  EXPECT_EQ(c.data.root, "Task01_BrainTumour");
  EXPECT_EQ(c.data.channels, std::vector<std::string>{"FLAIR"});
  EXPECT_EQ(c.data.target, std::vector<std::string>{"whole-tumour"});
  EXPECT_EQ(c.data.shape, (Extent3{144, 240, 240}));
  EXPECT_EQ(c.data.split.validation, 0.075);
  EXPECT_EQ(c.data.augment, (std::vector<std::string>{"flip", "rot90"}));
  EXPECT_EQ(c.net.norm, NetNorm::batch);
  EXPECT_EQ(c.train.micro_batch, std::nullopt);
  ASSERT_EQ(c.train.loss.size(), 2U);
  EXPECT_EQ(c.train.loss[0], (LossTermConfig{"dice", 0.7, false, {1.0, 1.0}, 0.0}));
  EXPECT_EQ(c.train.loss[1].weight, 0.3);
  EXPECT_EQ(c.train.optimizer.kind, OptimiserKind::adam);
  EXPECT_EQ(c.train.schedule.kind, ScheduleKind::plateau);
  EXPECT_EQ(c.memory.budget_bytes(), size_t{8} << 30);
  EXPECT_EQ(c.memory.spill, "scratch/");
}

TEST(Config, empty_file_gives_the_defaults) {
  EXPECT_EQ(parse(""), RunConfig{});
  EXPECT_EQ(RunConfig{}.data.shape, std::nullopt);
  EXPECT_EQ(RunConfig{}.memory.budget_bytes(), std::nullopt);
}

TEST(Config, resolved_file_reads_back_equal_and_is_stable) {
  for (const std::string& text : {std::string(), std::string(kExample)}) {
    RunConfig c = parse(text);
    c.train.optimizer.rate = 0.1 + 0.2;  // needs 17 digits
    c.data.root = "a \"b\"\\\tc \xc3\xa9";
    c.train.clip_norm = 12.0;
    c.train.target = TargetConfig{"Dice", 0.85};
    const std::string resolved = to_toml(c);
    EXPECT_EQ(parse(resolved), c) << resolved;
    EXPECT_EQ(to_toml(parse(resolved)), resolved);
  }
}

TEST(Config, loss_forms) {
  EXPECT_TRUE(parse("train.loss = 'auto'").train.loss.empty());
  const auto pair = parse("train.loss = 'dice+bce'").train.loss;
  ASSERT_EQ(pair.size(), 2U);
  EXPECT_EQ(pair[0].name, "dice");
  EXPECT_EQ(pair[0].weight, 0.5);
  EXPECT_EQ(pair[1].name, "bce");
  EXPECT_EQ(pair[1].weight, 0.5);
  const auto one =
      parse("train.loss = { name = 'log-dice', pooled = true, smooth = 0.1 }").train.loss;
  ASSERT_EQ(one.size(), 1U);
  EXPECT_TRUE(one[0].pooled);
  EXPECT_EQ(one[0].smooth, (std::array<double, 2>{0.1, 0.1}));
  EXPECT_EQ(parse("train.loss = 'ce'").train.loss[0].weight, 1.0);
  expect_mentions(error_of("train.loss = 'dice+cee'"), {"run.toml:1", "train.loss", "\"cee\""});
  expect_mentions(error_of("train.loss = 'dice+'"), {"train.loss"});
  expect_mentions(error_of("train.loss = []"), {"train.loss", "auto"});
  expect_mentions(error_of("train.loss = [{ weight = 1 }]"), {"name"});
  expect_mentions(error_of("train.loss = [{ name = 'dice', wieght = 1 }]"),
                  {"train.loss.wieght", "weight"});
  expect_mentions(error_of("train.loss = [{ name = 'dice', smooth = [1] }]"), {"smooth"});
  expect_mentions(error_of("train.loss = 3"), {"train.loss", "an integer"});
}

TEST(Config, unknown_keys_name_file_line_and_nearest) {
  expect_mentions(error_of("[train]\nepochs = 3\nepoch = 4\n"),
                  {"run.toml:3", "\"train.epoch\"", "epochs"});
  expect_mentions(error_of("[trian]\nbatch = 4\n"), {"run.toml:1", "trian", "train"});
  expect_mentions(error_of("[train]\nrate = 0.1\n"), {"train.rate", "train.optimizer.rate"});
  expect_mentions(error_of("train.optimizer = { name = 'sgd', momentun = 0.9 }"),
                  {"momentun", "momentum"});
  expect_mentions(error_of("zzzzqqqq = 1"), {"zzzzqqqq", "data, net, train, memory"});
  expect_mentions(error_of("", {"net.filtres=8"}), {"--set net.filtres=8", "filters"});
}

TEST(Config, wrong_types_name_what_was_found_and_wanted) {
  expect_mentions(error_of("[train]\nepochs = 'many'"),
                  {"run.toml:2", "train.epochs", "an integer", "a text"});
  expect_mentions(error_of("train.epochs = 2.5"), {"an integer", "a number"});
  expect_mentions(error_of("train = 3"), {"train must be a table", "an integer"});
  expect_mentions(error_of("data.augment = [1]"), {"data.augment", "list of texts"});
  expect_mentions(error_of("memory.half = 1"), {"memory.half", "true or false"});
  expect_mentions(error_of("train.optimizer.rate = nan"), {"train.optimizer.rate", "finite"});
  expect_mentions(error_of("train.optimizer.rate = true"), {"train.optimizer.rate", "a number"});
  expect_mentions(error_of("data.root = 2026-01-01"), {"run.toml:1", "dates"});
}

TEST(Config, values_out_of_range_are_refused) {
  expect_mentions(error_of("train.batch = 0"), {"train.batch", "between 1", "found 0"});
  expect_mentions(error_of("net.kind = 'unet'"), {"net.kind", "\"unet\"", "unet3d"});
  expect_mentions(error_of("data.shape = [144, 240]"), {"data.shape", "2 sizes"});
  expect_mentions(error_of("data.shape = 'half'"), {"data.shape", "\"half\""});
  expect_mentions(error_of("data.split = { train = 0.9, validation = 0.2 }"), {"data.split"});
  expect_mentions(error_of("train = { batch = 4, micro_batch = 8 }"), {"train.micro_batch"});
  expect_mentions(error_of("memory.budget = 'lots'"), {"run.toml:1", "memory.budget", "lots"});
  expect_mentions(error_of("train.clip_norm = 0.0"), {"train.clip_norm", "> 0"});
  expect_mentions(error_of("train.target.value = 0.8"), {"train.target", "metric"});
}

TEST(Config, malformed_toml_names_the_line) {
  expect_mentions(error_of("[train]\nepochs = \n"), {"run.toml:2"});
  expect_mentions(error_of("a = 1\na = 2\n"), {"run.toml:2"});
}

TEST(Config, overrides_are_applied_in_order) {
  const RunConfig c =
      parse(kExample, {"train.epochs=2", "train.epochs = 3", "net.norm=group", "memory.budget=1G",
                       "data.shape=[16, 32, 48]", "data.target=[\"tumour-core\", \"whole-tumour\"]",
                       "train.optimizer={ name = \"sgd\", nesterov = true }", "train.schedule=poly",
                       "train.micro_batch=2", "data.root=/data/x y"});
  EXPECT_EQ(c.train.epochs, 3);
  EXPECT_EQ(c.net.norm, NetNorm::group);
  EXPECT_EQ(c.memory.budget_bytes(), size_t{1} << 30);
  EXPECT_EQ(c.data.shape, (Extent3{16, 32, 48}));
  EXPECT_EQ(c.data.target.size(), 2U);
  EXPECT_EQ(c.train.optimizer.kind, OptimiserKind::sgd);
  EXPECT_TRUE(c.train.optimizer.nesterov);
  EXPECT_EQ(c.train.optimizer.rate, 1e-3);
  EXPECT_EQ(c.train.schedule.kind, ScheduleKind::poly);
  EXPECT_EQ(c.train.micro_batch, 2);
  EXPECT_EQ(c.data.root, "/data/x y");
  EXPECT_EQ(parse(kExample, {"train.micro_batch=2", "train.micro_batch=auto"}).train.micro_batch,
            std::nullopt);
}

TEST(Config, malformed_overrides_are_refused) {
  expect_mentions(error_of("", {"train.epochs"}), {"--set train.epochs", "key=value"});
  expect_mentions(error_of("", {"=3"}), {"key=value"});
  expect_mentions(error_of("", {"data.shape=[1,2"}), {"--set data.shape=[1,2", "TOML"});
  expect_mentions(error_of("", {"train.epochs=many"}), {"an integer"});
  expect_mentions(error_of("", {"train.epochs=1\ntrain.batch=2"}), {"one line"});
}

TEST(Config, digest_ignores_what_never_changes_the_bits) {
  const RunConfig base = parse(kExample);
  for (const char* same : {"memory.budget=1G", "memory.spill=elsewhere", "train.micro_batch=2",
                           "data.root=/mnt/copy", "train.checkpoint_every=7", "train.epochs=40"}) {
    EXPECT_EQ(config_digest(parse(kExample, {same})), config_digest(base)) << same;
  }
  for (const char* other : {"train.batch=8", "train.seed=2", "memory.half=true", "net.filters=8",
                            "train.loss=dice", "data.split.seed=1", "train.evaluate_every=2"}) {
    EXPECT_NE(config_digest(parse(kExample, {other})), config_digest(base)) << other;
  }
  const std::vector<std::string> over_micro = {"net.norm_over=micro_batch"};
  EXPECT_NE(config_digest(parse(kExample, over_micro)),
            config_digest(parse(kExample, {"net.norm_over=micro_batch", "train.micro_batch=2"})));
  EXPECT_NE(config_digest(parse(kExample, {"train.schedule=poly"})),
            config_digest(parse(kExample, {"train.schedule=poly", "train.epochs=40"})));
}

TEST(Config, differences_name_key_and_values) {
  const auto differences =
      config_differences(parse(kExample), parse(kExample, {"train.batch=8", "memory.budget=1G"}));
  EXPECT_EQ(differences, std::vector<std::string>{"train.batch: 16 -> 8"});
}

TEST(Config, every_key_is_documented) {
  for (const ConfigKey& key : config_keys()) {
    EXPECT_FALSE(key.meaning.empty()) << key.name;
    EXPECT_FALSE(key.type.empty()) << key.name;
  }
  EXPECT_GT(config_keys().size(), 50U);
}

TEST(Config, missing_file_is_an_input_error) {
  EXPECT_THROW((void)read_config("/nonexistent/run.toml"), FileError);
}

TEST(Config, damaged_files_never_crash) {
  // Every byte of the example once removed, once doubled: either a config or a ConfigError.
  const std::string text = kExample;
  for (size_t i = 0; i < text.size(); i += 3) {
    for (const std::string& damaged :
         {text.substr(0, i) + text.substr(i + 1), text.substr(0, i) + text[i] + text.substr(i),
          text.substr(0, i)}) {
      try {
        (void)parse(damaged);
      } catch (const ConfigError&) {
      }
    }
  }
}

}  // namespace
}  // namespace wholemount

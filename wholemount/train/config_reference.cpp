#include "wholemount/train/config_reference.h"

#include "wholemount/train/config.h"

namespace wholemount {

namespace {

constexpr const char* kPreamble =
    R"(<!-- Made by `wholemount config --markdown`; a test fails when it is stale. -->
# Configuration

A run is described by one TOML file; `examples/` holds some. `--set KEY=VALUE` overrides a key on the
command line (`--set net.filters=32`), and the resolved file, every key with its value, is kept in the
run folder as `config.toml`. An unknown key is refused with the nearest known one (exit 2).

"bits" says whether a key decides the weights, bit by bit: a run is resumed only where these agree, and
the others may change from one start to the next. Three keys count only where their meaning reaches the
weights: `train.epochs` with schedules `poly` and `warmup-poly`, `train.evaluate_every` with `plateau`,
`train.micro_batch` with `net.norm_over = "micro_batch"`.

`train.loss` is a short form such as `"dice+bce"` (equal weights that add up to 1), or a list of terms:

```toml
loss = [ { name = "dice", weight = 0.7, pooled = false, smooth = [1.0, 1.0] }, { name = "bce", weight = 0.3 } ]
```

| term | for | fields besides name and weight |
|---|---|---|
| `dice`, `log-dice` | regions, classes | `pooled`: sums over the batch, then one ratio; `smooth`: added to numerator and denominator |
| `bce` | regions | |
| `ce` | classes | `label_smoothing` |
)";

/// "train.schedule.power" -> "train"
std::string table_of(const std::string& name) { return name.substr(0, name.find('.')); }

/// A cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string config_reference_markdown() {
  std::string text = kPreamble;
  std::string table;
  for (const ConfigKey& key : config_keys()) {
    if (table_of(key.name) != table) {
      table = table_of(key.name);
      text += "\n## [" + table +
              "]\n\n| key | type | default | bits | meaning |\n|---|---|---|---|---|\n";
    }
    const std::string value =
        key.default_value.empty() ? std::string() : "`" + cell(key.default_value) + "`";
    text += "| `" + key.name.substr(table.size() + 1) + "` | " + cell(key.type) + " | " + value +
            " | " + (key.changes_result ? "yes" : "no") + " | " + cell(key.meaning) + " |\n";
  }
  return text;
}

std::string config_reference_text() {
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    text += key.name + (key.default_value.empty() ? "" : " = " + key.default_value) + "  (" +
            key.type + ")\n    " + key.meaning + "\n";
  }
  return text;
}

}  // namespace wholemount

#include "wholemount/train/config_schema.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "wholemount/base/memory.h"
#include "wholemount/train/config_loss.h"
#include "wholemount/train/config_rules.h"

namespace wholemount {
namespace {

using namespace config_rules;

constexpr int64_t kMany = int64_t{1} << 40;

// The field named by a dotted path below the RunConfig.
#define WM_MEMBER(path) \
  [](auto& c) -> auto& { return c.path; }

using Rules = std::vector<ConfigRule>;

ConfigRule not_counted(ConfigRule rule) {
  rule.counts = never;
  rule.key.changes_result = false;
  return rule;
}

ConfigRule counted_if(ConfigRule rule, std::function<bool(const RunConfig&)> condition) {
  rule.counts = std::move(condition);
  rule.key.changes_result = false;
  return rule;
}

ConfigRule shape_rule() {
  const std::string name = "data.shape";
  return {{name, "\"full\" or [d, h, w]", "",
           "\"full\" pads to what the net needs; [d, h, w] crops and pads centred"},
          [=](const ConfigNode& node, RunConfig& c) {
            const std::string wanted = "\"full\" or [d, h, w]";
            if (const auto* text = std::get_if<std::string>(&node.value)) {
              if (*text != "full") {
                refuse(node, name, "must be " + wanted + ", found " + toml_quote(*text));
              }
              c.data.shape.reset();
              return;
            }
            const auto* array = std::get_if<ConfigNode::Array>(&node.value);
            if (array == nullptr) {
              wrong_type(node, name, wanted);
            }
            if (array->size() != 3) {
              refuse(node, name,
                     "must be " + wanted + ", found " + std::to_string(array->size()) + " sizes");
            }
            c.data.shape = Extent3{integer_of((*array)[0], name, 1, int64_t{1} << 20),
                                   integer_of((*array)[1], name, 1, int64_t{1} << 20),
                                   integer_of((*array)[2], name, 1, int64_t{1} << 20)};
          },
          [](const RunConfig& c) {
            const auto& shape = c.data.shape;
            return shape ? "[" + std::to_string(shape->d) + ", " + std::to_string(shape->h) + ", " +
                               std::to_string(shape->w) + "]"
                         : std::string("\"full\"");
          },
          always};
}

Rules data_rules() {
  return {
      not_counted(
          text("data.root", WM_MEMBER(data.root),
               "Folder of the data set, relative to the current folder; the run folder keeps the "
               "whole path")),
      text("data.layout", WM_MEMBER(data.layout),
           "\"auto\" detects it; else \"msd\", \"nnunet\", \"brats\" or \"csv\""),
      texts("data.channels", WM_MEMBER(data.channels), "Channels to read by name; []: all"),
      texts("data.target", WM_MEMBER(data.target),
            "\"labels\": all classes; or one or several named regions, one output each"),
      shape_rule(),
      text("data.normalise", WM_MEMBER(data.normalise),
           "Intensity normalisation of a case, done before padding: \"zscore\", "
           "\"zscore-nonzero\", \"percentile\", \"minmax\", \"full-scale\" (divided by 255 or "
           "65535), \"anscombe\" (root of counts, then zscore), \"none\"; fitted before training "
           "and kept with the model: \"zscore-training\" (mean and deviation of all training "
           "fields), \"zscore-controls\" (of the untreated fields of the same plate), "
           "\"anscombe-controls\" (the same of the root)"),
      boolean("data.illumination", WM_MEMBER(data.illumination),
              "Fields are first divided by the uneven illumination of their plate and "
              "channel, fitted to the training fields and kept with the model"),
      text("data.control", WM_MEMBER(data.control),
           "Compound (or class, where compounds are unknown) of untreated fields, for "
           "the presets that end in -controls"),
      integer("data.split.seed", WM_MEMBER(data.split.seed), {0, INT64_MAX},
              "Seed of the permutation that divides the cases"),
      number("data.split.train", WM_MEMBER(data.split.train), {0.0, 1.0},
             "Fraction of the cases to train on"),
      number("data.split.validation", WM_MEMBER(data.split.validation), {0.0, 1.0},
             "Fraction to validate on while training"),
      number("data.split.test", WM_MEMBER(data.split.test), {0.0, 1.0},
             "Fraction kept for the final test"),
      text("data.split.by", WM_MEMBER(data.split.by),
           "What is never divided between parts: \"case\", or a group that the data set knows: "
           "\"field\", \"well\", \"plate\", \"batch\", \"compound\", \"treatment\". \"copy\" "
           "divides "
           "augmented copies singly, as paper B did: it leaks, and every report says so"),
      integer_or("data.split.folds", WM_MEMBER(data.split.folds), 2, "none",
                 "k-fold: so many parts, one of which validates; the fractions then do not count"),
      integer("data.split.fold", WM_MEMBER(data.split.fold), {0, kMany},
              "k-fold: the part that validates, counted from 0"),
      text("data.split.hold_out", WM_MEMBER(data.split.hold_out),
           "The one group that validates, e.g. a compound with by = \"compound\"; \"\": none"),
      texts("data.augment", WM_MEMBER(data.augment),
            "Random changes of training cases: \"flip\", \"rot90\", \"rot15\", \"affine\", "
            "\"elastic\", \"intensity-scale\", \"intensity-shift\", \"noise\"; []: none"),
      text("data.copies", WM_MEMBER(data.copies),
           "Classification: fixed augmented copies of every field, made while loading: "
           "\"A\" (quarter turns and mirrors), \"B\" (turns by 15 degrees and mirrors, "
           "cropped to data.shape), \"none\""),
      boolean("data.balance", WM_MEMBER(data.balance),
              "Classification: an epoch shows every class equally often"),
      integer_or("data.control_wells", WM_MEMBER(data.control_wells), 0, "all",
                 "bbbc021: wells of untreated cells (DMSO) kept, drawn by data.split.seed"),
      boolean("data.all_taxol", WM_MEMBER(data.all_taxol),
              "bbbc021: keep taxol, the positive control, of every plate and not of week 1 alone"),
  };
}

Rules net_rules() {
  return {
      choice<NetKind>("net.kind", WM_MEMBER(net.kind),
                      {{"unet3d", NetKind::unet3d}, {"mcnn", NetKind::mcnn}}, "Network"),
      integer("net.filters", WM_MEMBER(net.filters), {1, 65536},
              "unet3d: channels of the first level, doubled at each level"),
      integer("net.levels", WM_MEMBER(net.levels), {1, 16}, "unet3d: resolutions"),
      choice<NetNorm>("net.norm", WM_MEMBER(net.norm),
                      {{"instance", NetNorm::instance},
                       {"batch", NetNorm::batch},
                       {"group", NetNorm::group},
                       {"none", NetNorm::none}},
                      "Normalisation after convolutions"),
      integer("net.groups", WM_MEMBER(net.groups), {1, 65536}, "Groups of norm = \"group\""),
      choice<NormOver>("net.norm_over", WM_MEMBER(net.norm_over),
                       {{"update", NormOver::update}, {"micro_batch", NormOver::micro_batch}},
                       "Batch norm: statistics over the whole update or over each micro-batch"),
      number("net.norm_momentum", WM_MEMBER(net.norm_momentum), {0.0, 1.0},
             "Batch norm: m in moving = m * moving + (1 - m) * observed, once an update"),
      number("net.norm_epsilon", WM_MEMBER(net.norm_epsilon), {0.0, 1.0, true},
             "Added to the variance before the root"),
      choice<DecoderKind>(
          "net.decoder", WM_MEMBER(net.decoder),
          {{"transposed", DecoderKind::transposed}, {"upsample", DecoderKind::upsample}},
          "unet3d: transposed convolutions (halving the channels) or upsampling"),
      number("net.slope", WM_MEMBER(net.slope), {0.0, 1.0},
             "Slope of the activation below zero; 0: ReLU"),
      boolean("net.fc_relu", WM_MEMBER(net.fc_relu), "mcnn: ReLU between the two linear layers"),
  };
}

Rules optimiser_rules() {
  return {
      choice<OptimiserKind>("train.optimizer.name", WM_MEMBER(train.optimizer.kind),
                            {{"sgd", OptimiserKind::sgd},
                             {"adam", OptimiserKind::adam},
                             {"adamw", OptimiserKind::adamw}},
                            "Optimiser; adamw decouples the weight decay"),
      number("train.optimizer.rate", WM_MEMBER(train.optimizer.rate), {0.0, kInfinity},
             "Base learning rate, before the schedule"),
      number("train.optimizer.momentum", WM_MEMBER(train.optimizer.momentum), {0.0, 1.0},
             "sgd: momentum"),
      boolean("train.optimizer.nesterov", WM_MEMBER(train.optimizer.nesterov),
              "sgd: Nesterov momentum"),
      number("train.optimizer.weight_decay", WM_MEMBER(train.optimizer.weight_decay),
             {0.0, kInfinity}, "Decay of weights; biases and norm parameters are never decayed"),
      number("train.optimizer.beta1", WM_MEMBER(train.optimizer.beta1), {0.0, 0.9999999},
             "adam: decay of the first moment"),
      number("train.optimizer.beta2", WM_MEMBER(train.optimizer.beta2), {0.0, 0.9999999},
             "adam: decay of the second moment"),
      number("train.optimizer.epsilon", WM_MEMBER(train.optimizer.epsilon), {0.0, 1.0, true},
             "adam: added to the root of the second moment"),
  };
}

Rules schedule_rules() {
  return {
      choice<ScheduleKind>("train.schedule.name", WM_MEMBER(train.schedule.kind),
                           {{"constant", ScheduleKind::constant},
                            {"plateau", ScheduleKind::plateau},
                            {"poly", ScheduleKind::poly},
                            {"warmup-poly", ScheduleKind::warmup_poly}},
                           "Course of the learning rate"),
      number("train.schedule.factor", WM_MEMBER(train.schedule.factor), {0.0, 1.0, true},
             "plateau: what the rate is multiplied by"),
      integer("train.schedule.patience", WM_MEMBER(train.schedule.patience), {1, kMany},
              "plateau: evaluations without improvement before that"),
      number("train.schedule.min_rate", WM_MEMBER(train.schedule.min_rate), {0.0, kInfinity},
             "plateau: lowest rate"),
      number("train.schedule.min_delta", WM_MEMBER(train.schedule.min_delta), {0.0, kInfinity},
             "plateau: a smaller fall of the validation loss is no improvement"),
      number("train.schedule.power", WM_MEMBER(train.schedule.power), {0.0, 100.0},
             "poly, warmup-poly: exponent"),
      number("train.schedule.end_rate", WM_MEMBER(train.schedule.end_rate), {0.0, kInfinity},
             "poly, warmup-poly: rate at the end"),
      number("train.schedule.start_rate", WM_MEMBER(train.schedule.start_rate), {0.0, kInfinity},
             "warmup-poly: rate at the start"),
      number("train.schedule.warmup_epochs", WM_MEMBER(train.schedule.warmup_epochs), {0.0, 1e6},
             "warmup-poly: epochs of linear rise to the base rate"),
      integer_or("train.schedule.reference_batch", WM_MEMBER(train.schedule.reference_batch), 1,
                 "none",
                 "Linear scaling: the base rate is for this batch and grows with train.batch"),
      number("train.schedule.max_rate", WM_MEMBER(train.schedule.max_rate), {0.0, kInfinity, true},
             "Linear scaling: the base rate grows no further"),
  };
}

ConfigRule clip_rule() {
  const std::string name = "train.clip_norm";
  return {{name, "number > 0 or \"none\"", "", "Largest global norm of the mean gradient"},
          [=](const ConfigNode& node, RunConfig& c) {
            const auto* text = std::get_if<std::string>(&node.value);
            if (text != nullptr && *text == "none") {
              c.train.clip_norm.reset();
              return;
            }
            const double norm = number_of(node, name);
            Bounds{0.0, kInfinity, true}.check(node, name, norm);
            c.train.clip_norm = norm;
          },
          [](const RunConfig& c) {
            return c.train.clip_norm ? toml_number(*c.train.clip_norm) : std::string("\"none\"");
          },
          always};
}

Rules target_rules() {
  const auto target = [](RunConfig& c) -> TargetConfig& {
    if (!c.train.target) {
      c.train.target.emplace();
    }
    return *c.train.target;
  };
  const std::string metric = "train.target.metric";
  const std::string value = "train.target.value";
  return {
      not_counted(
          {{metric, "text", "", "Metric whose reaching is timed (seconds_to_target)"},
           [=](const ConfigNode& node, RunConfig& c) { target(c).metric = text_of(node, metric); },
           [](const RunConfig& c) {
             return c.train.target ? toml_quote(c.train.target->metric) : std::string();
           },
           never}),
      not_counted(
          {{value, "number", "", "Value the metric has to reach"},
           [=](const ConfigNode& node, RunConfig& c) { target(c).value = number_of(node, value); },
           [](const RunConfig& c) {
             return c.train.target ? toml_number(c.train.target->value) : std::string();
           },
           never}),
  };
}

Rules train_rules() {
  Rules rules;
  rules.push_back(counted_if(integer("train.epochs", WM_MEMBER(train.epochs), {1, kMany},
                                     "Passes over the training cases"),
                             [](const RunConfig& c) {
                               return c.train.schedule.kind == ScheduleKind::poly ||
                                      c.train.schedule.kind == ScheduleKind::warmup_poly;
                             }));
  rules.push_back(integer("train.batch", WM_MEMBER(train.batch), {1, int64_t{1} << 24},
                          "Samples per update, summed over workers"));
  rules.push_back(counted_if(
      integer_or("train.micro_batch", WM_MEMBER(train.micro_batch), 1, "auto",
                 "Samples per program; changes the result only with norm_over = \"micro_batch\""),
      [](const RunConfig& c) {
        return c.net.norm == NetNorm::batch && c.net.norm_over == NormOver::micro_batch;
      }));
  rules.push_back(integer("train.sum_groups", WM_MEMBER(train.sum_groups), {1, int64_t{1} << 24},
                          "Groups of the fixed shape of the gradient sum"));
  rules.push_back(loss_rule());
  const auto append = [&](Rules more) {
    std::move(more.begin(), more.end(), std::back_inserter(rules));
  };
  append(optimiser_rules());
  rules.push_back(clip_rule());
  append(schedule_rules());
  rules.push_back(integer("train.seed", WM_MEMBER(train.seed), {0, INT64_MAX},
                          "Seed of initial weights, order of cases and augmentation"));
  rules.push_back(counted_if(
      integer("train.evaluate_every", WM_MEMBER(train.evaluate_every), {1, kMany},
              "Epochs between evaluations on the validation cases"),
      [](const RunConfig& c) { return c.train.schedule.kind == ScheduleKind::plateau; }));
  rules.push_back(not_counted(integer("train.checkpoint_every", WM_MEMBER(train.checkpoint_every),
                                      {1, kMany}, "Epochs between checkpoints")));
  rules.push_back(integer_or("train.steps_per_epoch", WM_MEMBER(train.steps_per_epoch), 1, "auto",
                             "Updates per epoch; \"auto\": once over the training cases"));
  std::vector<std::pair<std::string, KernelChoice>> kernels;
  for (const KernelChoiceName& one : kernel_choices()) kernels.emplace_back(one.name, one.choice);
  rules.push_back(
      counted_if(choice<KernelChoice>("train.kernels", WM_MEMBER(train.kernels), kernels,
                                      "Kernels to use, for comparisons; --kernels"),
                 [](const RunConfig& c) { return c.train.kernels != KernelChoice::best; }));
  append(target_rules());
  return rules;
}

ConfigRule budget_rule() {
  const std::string name = "memory.budget";
  return not_counted({{name, "size (\"8G\" = \"8GiB\", \"8GB\", bytes)", "",
                       "Memory of the whole process; left out: what is free now"},
                      [=](const ConfigNode& node, RunConfig& c) {
                        const auto* bytes = std::get_if<int64_t>(&node.value);
                        const std::string size = bytes != nullptr
                                                     ? std::to_string(*bytes)
                                                     : text_of(node, name, "a size like \"8G\"");
                        try {
                          (void)parse_bytes(size);
                        } catch (const ConfigError& error) {
                          refuse(node, name, std::string("is no size: ") + error.what());
                        }
                        c.memory.budget = size;
                      },
                      [](const RunConfig& c) {
                        return c.memory.budget ? toml_quote(*c.memory.budget) : std::string();
                      },
                      never});
}

Rules memory_rules() {
  const std::string spill = "memory.spill";
  return {
      budget_rule(),
      boolean("memory.half", WM_MEMBER(memory.half),
              "Allow storing values as bfloat16 (not bit-exact)"),
      not_counted(
          {{spill, "text", "", "Folder for spilled values; left out: never spill"},
           [=](const ConfigNode& node, RunConfig& c) { c.memory.spill = text_of(node, spill); },
           [](const RunConfig& c) {
             return c.memory.spill ? toml_quote(*c.memory.spill) : std::string();
           },
           never}),
  };
}

#undef WM_MEMBER

Rules build_schema() {
  Rules rules;
  for (Rules part : {data_rules(), net_rules(), train_rules(), memory_rules()}) {
    std::move(part.begin(), part.end(), std::back_inserter(rules));
  }
  const RunConfig defaults;
  for (ConfigRule& rule : rules) {
    rule.key.default_value = rule.write(defaults);
  }
  return rules;
}

}  // namespace

const std::vector<ConfigRule>& config_schema() {
  static const std::vector<ConfigRule> schema = build_schema();
  return schema;
}

}  // namespace wholemount

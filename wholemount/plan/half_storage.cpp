#include "wholemount/plan/half_storage.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace wholemount {

namespace {

/// The last forward step that writes or reads the value; kNone when no backward step reads it.
int32_t last_forward_step(const Tape& tape, ValueId value) {
  const std::vector<int32_t>& readers = tape.readers[static_cast<size_t>(value)];
  int32_t last = tape.producer[static_cast<size_t>(value)];
  bool read_backward = false;
  for (const int32_t reader : readers) {
    const bool backward = tape.steps[static_cast<size_t>(reader)].backward;
    if (!backward) last = std::max(last, reader);
    read_backward = read_backward || backward;
  }
  return read_backward ? last : kNone;
}

/// Times as long as moving its traffic would take.
constexpr double kCalculates = 2;

/// What reading input `input` of the step as its half saves, or TapeStep::kNotFromHalf.
double half_saves(const Tape& tape, const TapeStep& step, size_t input, const TimeModel& time) {
  const ValueId value = step.stored[input];
  if (value == kNone || tape.half_of(value) == nullptr ||
      !step.kernel->reads_bfloat16(static_cast<int>(input))) {
    return TapeStep::kNotFromHalf;
  }
  const auto unread =
      static_cast<double>(tape.bytes[static_cast<size_t>(value)] -
                          tape.bytes[static_cast<size_t>(tape.half_of(value)->value)]);
  // Measured: what calculates most of the time has its operands before it needs them.
  const double seconds = time.seconds(*step.kernel);
  const double moving =
      static_cast<double>(step.kernel->traffic_bytes()) / time.copy_bytes_per_second;
  if (seconds > kCalculates * moving) return 0;
  // A class's cost of a byte holds more than its way from memory, which alone is shorter now.
  return std::min(seconds - time.seconds(*step.kernel, unread),
                  unread / time.copy_bytes_per_second);
}

void find_readers(Tape& tape, const TimeModel& time) {
  for (size_t s = 0; s < tape.num_own_steps; ++s) {
    TapeStep& step = tape.steps[s];
    std::vector<double> saves;
    for (size_t i = 0; i < step.stored.size(); ++i) {
      saves.push_back(half_saves(tape, step, i, time));
    }
    const bool any =
        std::any_of(saves.begin(), saves.end(), [](double saved) { return saved >= 0; });
    step.half_saves = any ? std::move(saves) : std::vector<double>();
  }
}

class Builder {
 public:
  Builder(Tape& tape, const Target& target, const TimeModel& time)
      : tape_(tape), target_(target), time_(time), graph_(std::make_shared<Graph>(*tape.graph)) {}

  void add(ValueId value, int32_t after, const HalfOps& ops) {
    const Value whole = graph_->value(value);
    Value half;
    half.name = whole.name + " (bfloat16)";
    half.desc = ops.shrink->infer({{whole.desc}}).front();
    half.producer = static_cast<NodeId>(graph_->nodes.size());
    const auto id = static_cast<ValueId>(graph_->values.size());
    const size_t bytes = half.desc.bytes();
    HalfStorage storage;
    storage.value = id;
    storage.after = after;
    storage.shrink = static_cast<int32_t>(tape_.steps.size());
    storage.expand = storage.shrink + 1;
    graph_->values.push_back(std::move(half));
    tape_.producer.push_back(storage.shrink);
    tape_.bytes.push_back(bytes);
    tape_.readers.push_back({storage.expand});
    add_step(ops.shrink, value, id, whole, whole.name + " to bfloat16");
    add_step(ops.expand, id, value, whole, whole.name + " from bfloat16");
    tape_.halves[static_cast<size_t>(value)] = storage;
  }

  void finish() { tape_.graph = std::move(graph_); }

 private:
  void add_step(std::shared_ptr<const Op> op, ValueId from, ValueId to, const Value& whole,
                std::string name) {
    const Node& producer = graph_->nodes[static_cast<size_t>(whole.producer)];
    Node node;
    node.name = std::move(name);
    node.op = std::move(op);
    node.inputs = {from};
    node.outputs = {to};
    node.layer = producer.layer;
    node.sample = producer.sample;
    const std::vector<TensorDesc> inputs{graph_->value(from).desc};
    const std::vector<TensorDesc> outputs{graph_->value(to).desc};
    TapeStep step;
    step.kernel = node.op->prepare({inputs, outputs, target_});
    step.seconds = time_.seconds(*step.kernel);
    step.node = static_cast<NodeId>(graph_->nodes.size());
    step.stored = {from};
    step.statistics = {kNone};
    step.outputs = {to};
    graph_->nodes.push_back(std::move(node));
    tape_.steps.push_back(std::move(step));
  }

  Tape& tape_;
  const Target& target_;
  const TimeModel& time_;
  std::shared_ptr<Graph> graph_;
};

}  // namespace

void add_half_storage(Tape& tape, const HalfOps& ops, const Target& target, const TimeModel& time,
                      size_t smallest_bytes) {
  const auto values = static_cast<ValueId>(tape.bytes.size());
  tape.halves.assign(tape.bytes.size(), {});
  Builder builder(tape, target, time);
  for (ValueId value = 0; value < values; ++value) {
    const int32_t producer = tape.producer[static_cast<size_t>(value)];
    const Value& description = tape.graph->value(value);
    if (producer == kNone || tape.steps[static_cast<size_t>(producer)].backward ||
        description.keep || description.desc.dtype != DType::f32 ||
        tape.bytes[static_cast<size_t>(value)] < smallest_bytes) {
      continue;
    }
    if (const int32_t after = last_forward_step(tape, value); after != kNone) {
      builder.add(value, after, ops);
    }
  }
  builder.finish();
  find_readers(tape, time);
}

}  // namespace wholemount

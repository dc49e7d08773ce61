#include "wholemount/predict/predict_classes.h"

#include <algorithm>
#include <cstdio>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/clock.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6f", value);
  return text;
}

}  // namespace

std::vector<PredictedClass> predict_classes(
    const PredictSpec& spec, const PredictPlan& plan, const std::vector<Case>& cases,
    InferencePrograms& programs, ParameterStore& parameters, ThreadPool& pool,
    const std::function<void(const PredictedClass&)>& after) {
  Session session(pool, parameters, plan.arena_bytes, spec.spill_folder, plan.spill_bytes);
  std::vector<CaseRequest> order;
  for (size_t i = 0; i < cases.size(); ++i) order.push_back({static_cast<int64_t>(i), 0});
  CaseStream stream(cases, spec.load, plan.staging, std::move(order));
  std::vector<PredictedClass> predictions;
  Extent3 first;
  double begin = monotonic_seconds();
  while (const LoadedCase* loaded = stream.next()) {
    const Case& image = cases[static_cast<size_t>(loaded->case_index)];
    const Extent3 extent = loaded->image.desc.extent;
    if (predictions.empty()) first = extent;
    if (extent != first) {
      throw FileError(image.channels.front().path,
                      "is padded to " + to_string(extent) + ", but the first image to " +
                          to_string(first) +
                          "; the network's dense layer wants one shape: predict them apart, or "
                          "train with data.shape");
    }
    const InferenceProgram& program = programs.get(extent);
    RunSpec run;
    run.inputs = {{program.graph.image, loaded->image.origin}};
    session.run(*program.program, run);
    const TensorView view = session.view(*program.program, program.graph.probabilities);
    PredictedClass prediction;
    prediction.id = image.id;
    prediction.input = image.channels.front().path;
    for (int64_t c = 0; c < view.desc.c; ++c) {
      prediction.probabilities.push_back(static_cast<double>(element<float>(view, 0, c, 0, 0, 0)));
    }
    prediction.class_index =
        std::max_element(prediction.probabilities.begin(), prediction.probabilities.end()) -
        prediction.probabilities.begin();
    prediction.seconds = monotonic_seconds() - begin;
    begin = monotonic_seconds();
    stream.release(loaded);
    after(prediction);
    predictions.push_back(std::move(prediction));
  }
  return predictions;
}

void write_predicted_classes(const std::string& path, const std::vector<std::string>& classes,
                             const std::vector<PredictedClass>& predictions) {
  std::string text = "id,input,class,probability";
  for (const std::string& name : classes) text += "," + csv_field("probability of " + name);
  text += "\n";
  for (const PredictedClass& prediction : predictions) {
    const auto index = static_cast<size_t>(prediction.class_index);
    text += csv_field(prediction.id) + "," + csv_field(prediction.input) + "," +
            csv_field(classes[index]) + "," + number(prediction.probabilities[index]);
    for (const double probability : prediction.probabilities) text += "," + number(probability);
    text += "\n";
  }
  write_file_atomically(path, text);
}

}  // namespace wholemount

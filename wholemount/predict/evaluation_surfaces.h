#pragma once

#include <vector>

#include "wholemount/predict/evaluation.h"
#include "wholemount/predict/score_summary.h"

namespace wholemount {

/// Fills NSD and HD95 of a case whose files and overlap counts are known. Labels neither file holds
/// stay undefined, and so does the background. Distances are in the reference's voxel sizes.
/// The files are those count_label_pairs has accepted; throws FileError when they cannot be read
/// again. Memory: two label maps of 1 byte a voxel and what surface_distances needs.
void add_surface_scores(const std::vector<EvaluationLabel>& labels, double tolerance_mm,
                        CaseScores& scores);

}  // namespace wholemount

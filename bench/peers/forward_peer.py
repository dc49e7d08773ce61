"""Times the forward pass of an ONNX model on one image in ONNX Runtime or OpenVINO, and compares its
probabilities with a file. Usage: forward_peer.py RUNTIME MODEL IMAGE.npy WANTED.npy THREADS ROUNDS
Prints one JSON object.
"""

import json
import resource
import sys
import time

import numpy as np


def onnx_runtime(path, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return "ONNX Runtime " + onnxruntime.__version__, \
        lambda image: session.run(None, {"image": image})[0]


def openvino(path, threads):
    import openvino as ov
    core = ov.Core()
    compiled = core.compile_model(core.read_model(path), "CPU",
                                  {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                                   "INFERENCE_PRECISION_HINT": "f32"})
    return "OpenVINO " + ov.__version__.split("-")[0], \
        lambda image: compiled([image])[compiled.output(0)]


def main():
    runtime, model, image_path, wanted_path, threads, rounds = sys.argv[1:7]
    image = np.load(image_path)
    name, run = {"onnxruntime": onnx_runtime, "openvino": openvino}[runtime](model, int(threads))
    seconds = []
    for index in range(int(rounds) + 1):
        begin = time.perf_counter()
        found = run(image)
        if index:
            seconds.append(time.perf_counter() - begin)
    wanted = np.load(wanted_path)
    print(json.dumps({
        "framework": name,
        "forward_seconds": sorted(seconds)[len(seconds) // 2],
        "largest_difference": float(np.abs(found - wanted).max()),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()

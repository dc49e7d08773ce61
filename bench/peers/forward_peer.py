"""Times the forward pass of one 3-D U-Net on one image in ONNX Runtime, OpenVINO or PyTorch, and
compares its probabilities with a file.

    forward_peer.py RUNTIME MODEL IMAGE.npy WANTED.npy THREADS ROUNDS

MODEL is an ONNX file for `onnxruntime` and `openvino`, a model file of ours for `pytorch`,
`pytorch-channels-last` and `pytorch-compiled`. The median of the rounds after one warm-up. Prints one
JSON object. Run by forward.sh.
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


def pytorch(path, threads, channels_last=False, compiled=False):
    import torch
    from pytorch_unet_weights import unet_of
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    net = unet_of(path).eval()
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    net = net.to(memory_format=layout)
    forward = torch.compile(net) if compiled else net
    name = "PyTorch " + torch.__version__.split("+")[0] + \
        (" compiled" if compiled else " channels-last" if channels_last else "")
    return name, lambda image: torch.sigmoid(
        forward(torch.from_numpy(image).to(memory_format=layout))).numpy()


RUNTIMES = {
    "onnxruntime": onnx_runtime,
    "openvino": openvino,
    "pytorch": pytorch,
    "pytorch-channels-last": lambda path, threads: pytorch(path, threads, True),
    "pytorch-compiled": lambda path, threads: pytorch(path, threads, True, True),
}


def main():
    runtime, model, image_path, wanted_path, threads, rounds = sys.argv[1:7]
    image = np.load(image_path)
    name, run = RUNTIMES[runtime](model, int(threads))
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

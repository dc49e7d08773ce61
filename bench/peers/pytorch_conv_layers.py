"""Times convolution layers in PyTorch on the CPU, forward and both gradients, for the case strings of
`./run bench kernels` (same list, same threads). Usage:
pytorch_conv_layers.py [--threads N] [--rounds N] [--channels-last] CASE...
Prints milliseconds of each layer and their sum; without a CASE: M-CNN's 5x5 layers.
"""

import argparse
import time

import torch
from torch.nn import functional

MCNN = ["c3 1024x1280 k1x5x5 -> c16", "c16 1024x1280 k1x5x5 -> c16", "c16 512x640 k1x5x5 -> c16",
        "c16 256x320 k1x5x5 -> c16", "c32 128x160 k1x5x5 -> c32", "c32 64x80 k1x5x5 -> c32",
        "c32 32x40 k1x5x5 -> c32", "c64 16x20 k1x5x5 -> c64"]


def parse(text):
    case = {"n": 1, "k": [3, 3, 3], "s": [1, 1, 1]}
    left, right = text.split("->")
    for word in left.split():
        sizes = [int(size) for size in word.lstrip("ncks").split("x")] if word[0] != "c" else None
        if word[0] == "c":
            case["c_in"] = sum(int(part) for part in word[1:].split("+"))
        elif word[0] in "nks":
            case[word[0]] = sizes[0] if word[0] == "n" else sizes * 3 if len(sizes) == 1 else sizes
        else:
            case["extent"] = sizes if len(sizes) == 3 else [1, *sizes]
    case["c_out"] = int(right.split("c")[1])
    return case


def median_ms(run, rounds):
    run()
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return 1e3 * sorted(seconds)[len(seconds) // 2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("cases", nargs="*", default=MCNN)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    totals = [0.0, 0.0]
    for text in options.cases or MCNN:
        case = parse(text)
        flat = case["extent"][0] == 1 and case["k"][0] == 1
        extent = case["extent"][1:] if flat else case["extent"]
        kernel = case["k"][1:] if flat else case["k"]
        conv = functional.conv2d if flat else functional.conv3d
        layout = torch.contiguous_format
        if options.channels_last:
            layout = torch.channels_last if flat else torch.channels_last_3d
        x = torch.rand(case["n"], case["c_in"], *extent).to(memory_format=layout)
        # No gradient is wanted for an image.
        x.requires_grad_(case["c_in"] > 4)
        weight = (torch.rand(case["c_out"], case["c_in"], *kernel) - 0.5).requires_grad_()
        bias = torch.zeros(case["c_out"]).requires_grad_()
        padding = [size // 2 for size in kernel]
        y = conv(x, weight, bias, padding=padding)
        grad = torch.ones_like(y)
        inputs = [weight, bias] + ([x] if x.requires_grad else [])

        def forward():
            with torch.no_grad():
                conv(x, weight, bias, padding=padding)

        def backward():
            torch.autograd.grad(y, inputs, grad, retain_graph=True)

        times = [median_ms(forward, options.rounds), median_ms(backward, options.rounds)]
        totals = [a + b for a, b in zip(totals, times)]
        print("%-32s forward %9.2f ms   gradients %9.2f ms" % (text, *times), flush=True)
    print("%-32s forward %9.2f ms   gradients %9.2f ms   all %9.2f ms"
          % ("sum, PyTorch " + torch.__version__, *totals, sum(totals)))


if __name__ == "__main__":
    main()

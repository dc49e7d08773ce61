"""Times one training update of paper B's M-CNN in PyTorch on the CPU: the network, loss and fields
that `wholemount bench step examples/bbbc021.toml` runs (1024x1280x3, 13 classes, float32).

Prints one JSON object: median seconds of the rounds after one warm-up, seconds an image, and peak
resident bytes of the process. Run by bench/peers/mcnn_step.sh, which installs PyTorch into a
virtual environment.
"""

import argparse
import json
import resource
import time

import torch
from torch import nn
from torch.nn import functional


WIDTHS = [16, 16, 16, 32, 32, 32, 64]


class Mcnn(nn.Module):
    def __init__(self, height, width, classes):
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(3 if layer == 0 else channels, channels, 5, padding=2)
                for layer in range(3))
            for channels in WIDTHS)
        self.merge = nn.Conv2d(sum(WIDTHS), 1024, 1)
        self.fc1 = nn.Linear(1024 * (height // 128) * (width // 128), 512)
        self.fc2 = nn.Linear(512, classes)

    def forward(self, image):
        outputs = []
        for index, path in enumerate(self.paths):
            x = functional.max_pool2d(image, 2**index) if index else image
            for conv in path:
                x = functional.relu(conv(x), inplace=True)
            outputs.append(functional.max_pool2d(x, 64 >> index) if index < 6 else x)
        x = functional.relu(self.merge(torch.cat(outputs, 1)), inplace=True)
        x = functional.max_pool2d(x, 2).flatten(1)
        return self.fc2(functional.relu(self.fc1(x)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", default="1024x1280", help="h x w, multiples of 128")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--micro-batch", type=int, default=0, help="default: the whole batch")
    parser.add_argument("--classes", type=int, default=13)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    height, width = (int(size) for size in options.shape.split("x"))
    net = Mcnn(height, width, options.classes)
    parameters = sum(p.numel() for p in net.parameters())
    micro = options.micro_batch or options.batch
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    net = net.to(memory_format=layout)
    images = torch.rand(micro, 3, height, width).contiguous(memory_format=layout)
    labels = torch.randint(0, options.classes, (micro,))
    run = torch.compile(net) if options.compile else net
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True,
                                weight_decay=5e-5)
    seconds = []
    for round_index in range(options.rounds + 1):
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        for _ in range(options.batch // micro):
            loss = functional.cross_entropy(run(images), labels, label_smoothing=0.1)
            (loss * micro / options.batch).backward()
        optimizer.step()
        if round_index > 0:
            seconds.append(time.perf_counter() - begin)
    median = sorted(seconds)[len(seconds) // 2]
    print(json.dumps({
        "framework": "PyTorch " + torch.__version__,
        "memory_format": ("channels_last" if options.channels_last else "contiguous") +
                         (", compiled" if options.compile else "") +
                         f", batch {options.batch} by {micro}",
        "parameters": parameters,
        "threads": options.threads,
        "step_seconds": median,
        "seconds_per_image": median / options.batch,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()

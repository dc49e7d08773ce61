"""Times one training step of paper A's 3-D U-Net in PyTorch on the CPU: the network, loss and shape
that `wholemount bench step` runs (instance norm, Dice + BCE, batch 1, float32).

Prints one JSON object: median seconds of the rounds after one warm-up, and peak resident bytes of
the process. Run by bench/peers/unet_step.sh, which installs PyTorch into a virtual environment.
"""

import argparse
import json
import resource
import time

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv0 = nn.Conv3d(c_in, c_out, 3, padding=1)
        self.norm0 = nn.InstanceNorm3d(c_out, affine=True)
        self.conv1 = nn.Conv3d(c_out, c_out, 3, padding=1)
        self.norm1 = nn.InstanceNorm3d(c_out, affine=True)

    def forward(self, x):
        x = functional.relu(self.norm0(self.conv0(x)), inplace=True)
        return functional.relu(self.norm1(self.conv1(x)), inplace=True)


class UNet3d(nn.Module):
    def __init__(self, filters, levels):
        super().__init__()
        widths = [filters << level for level in range(levels)]
        self.encoder = nn.ModuleList(
            Block(1 if level == 0 else widths[level - 1], widths[level]) for level in range(levels))
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(widths[level + 1], widths[level], 2, stride=2)
            for level in range(levels - 1))
        self.decoder = nn.ModuleList(
            Block(2 * widths[level], widths[level]) for level in range(levels - 1))
        self.head = nn.Conv3d(filters, 1, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([self.up[level](x), skips[level]], 1))
        return self.head(x)


def loss_of(logits, target):
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)
    return 0.7 * dice + 0.3 * functional.binary_cross_entropy_with_logits(logits, target)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", default="96x96x96", help="d x h x w")
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    net = UNet3d(options.filters, options.levels)
    shape = [int(size) for size in options.shape.split("x")]
    image = torch.rand(1, 1, *shape) - 0.5
    target = (torch.rand(1, 1, *shape) < 0.1).float()
    if options.channels_last:
        net = net.to(memory_format=torch.channels_last_3d)
        image = image.to(memory_format=torch.channels_last_3d)
    run = torch.compile(net) if options.compile else net
    seconds = []
    for round_index in range(options.rounds + 1):
        begin = time.perf_counter()
        net.zero_grad(set_to_none=True)
        loss_of(run(image), target).backward()
        if round_index > 0:
            seconds.append(time.perf_counter() - begin)
    print(json.dumps({
        "framework": "PyTorch " + torch.__version__,
        "memory_format": ("channels_last_3d" if options.channels_last else "contiguous") +
                         (", compiled" if options.compile else ""),
        "parameters": sum(p.numel() for p in net.parameters()),
        "shape": shape,
        "filters": options.filters,
        "threads": options.threads,
        "step_seconds": sorted(seconds)[len(seconds) // 2],
        "rounds_seconds": seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()

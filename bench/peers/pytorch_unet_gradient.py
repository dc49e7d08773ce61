"""Compares the gradient of one training step with PyTorch's, layer by layer.

    pytorch_unet_gradient.py BEFORE AFTER IMAGE LABELS THREADS

BEFORE and AFTER are model files around one update of SGD with rate 1, so that their difference is the
gradient; IMAGE and LABELS are arrays [1, c, d, h, w] of which the first channel is trained on. A
gradient read so carries the rounding of float32 weights, about 6e-8 of each. Run by unet_gradient.sh.
"""

import sys

import numpy as np
import torch
from pytorch_unet_step import UNet3d, loss_of
from safetensors_file import read_safetensors


def own_name(name):
    """Of a parameter of UNet3d: encoder.0.conv1.weight is encoder0.conv1.weight, up.2 is decoder2.up."""
    parts = name.split(".")
    if parts[0] == "head":
        return name
    if parts[0] == "up":
        return f"decoder{parts[1]}.up.{parts[2]}"
    return f"{parts[0]}{parts[1]}.{'.'.join(parts[2:])}"


def main():
    before, after = (read_safetensors(path)[0] for path in sys.argv[1:3])
    image = np.load(sys.argv[3])[:, :1].astype(np.float64)
    image = torch.from_numpy(((image - image.mean()) / image.std()).astype(np.float32))
    target = torch.from_numpy((np.load(sys.argv[4]) > 0).astype(np.float32))
    torch.set_num_threads(int(sys.argv[5]))
    levels = sum(name.startswith("encoder") and name.endswith("conv0.weight") for name in before)
    net = UNet3d(before["encoder0.conv0.weight"].shape[0], levels)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.from_numpy(before[own_name(name)].copy()).reshape(parameter.shape))
    loss_of(net(image), target).backward()
    layers = {}
    for name, parameter in net.named_parameters():
        own = own_name(name)
        ours = before[own].astype(np.float64) - after[own]
        theirs = parameter.grad.numpy().astype(np.float64).reshape(ours.shape)
        squares = layers.setdefault(own.rsplit(".", 1)[0], np.zeros(2))
        squares += [np.sum((ours - theirs) ** 2), np.sum(theirs ** 2)]
    differences = {name: float(np.sqrt(s[0] / s[1])) for name, s in layers.items()}
    for name, difference in differences.items():
        print(f"{name:20s} {difference:.1e}")
    print(f"largest of {len(differences)} layers: {max(differences.values()):.1e}")


if __name__ == "__main__":
    main()

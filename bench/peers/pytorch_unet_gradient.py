"""Compares the gradient of one training step with PyTorch's, layer by layer.

    pytorch_unet_gradient.py BEFORE AFTER RATE IMAGE LABELS THREADS

BEFORE and AFTER are model files around one update of SGD with that rate, so that their difference over
the rate is the gradient, blurred by the rounding of AFTER, about 6e-8 of weight / rate; IMAGE and
LABELS are arrays [1, c, d, h, w] of which the first channel is trained on. Run by unet_gradient.sh.
"""

import sys

import numpy as np
import torch
from pytorch_unet_step import loss_of
from pytorch_unet_weights import own_name, unet_with
from safetensors_file import read_safetensors


def gradient_of(weights, image, target, dtype):
    """By our names, in float64 arrays of PyTorch's shapes."""
    net = unet_with(weights).to(dtype)
    loss_of(net(image.to(dtype)), target.to(dtype)).backward()
    return {own_name(name): parameter.grad.double().numpy()
            for name, parameter in net.named_parameters()}


def differences(found, wanted):
    """Of each layer, weight and bias together, relative to `wanted`."""
    layers = {}
    for name, gradient in wanted.items():
        difference = found[name].reshape(gradient.shape) - gradient
        squares = layers.setdefault(name.rsplit(".", 1)[0], np.zeros(2))
        squares += [np.sum(difference ** 2), np.sum(gradient ** 2)]
    return {name: float(np.sqrt(s[0] / s[1])) for name, s in layers.items()}


def main():
    before, after = (read_safetensors(path)[0] for path in sys.argv[1:3])
    rate = float(sys.argv[3])
    image = np.load(sys.argv[4])[:, :1].astype(np.float64)
    image = torch.from_numpy(((image - image.mean()) / image.std()).astype(np.float32))
    target = torch.from_numpy((np.load(sys.argv[5]) > 0).astype(np.float32))
    torch.set_num_threads(int(sys.argv[6]))
    ours = {name: (weight.astype(np.float64) - after[name]) / rate for name, weight in before.items()}
    single = gradient_of(before, image, target, torch.float32)
    double = gradient_of(before, image, target, torch.float64)
    columns = [differences(ours, single), differences(ours, double), differences(single, double)]
    print(f"{'layer':20s} ours to PyTorch   ours to float64   PyTorch to float64")
    for name in columns[0]:
        print(f"{name:20s} " + "           ".join(f"{column[name]:.1e}" for column in columns))
    print(f"largest of {len(columns[0])} layers: ours to PyTorch {max(columns[0].values()):.1e}, to "
          f"float64 {max(columns[1].values()):.1e}; PyTorch to float64 {max(columns[2].values()):.1e}")


if __name__ == "__main__":
    main()

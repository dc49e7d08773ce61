"""The U-Net of a model file of ours in PyTorch, and its probabilities in float64.

    pytorch_unet_weights.py MODEL IMAGE.npy OUT.npy

writes the probabilities [1, c, d, h, w] that float64 arithmetic gives for the image: what float32
programs are compared with. PyTorch's float64 convolution wants 27 times its input in memory; where
there is not so much it takes float32. Prints the arithmetic's name. Run by forward.sh.
"""

import sys

import numpy as np
import torch
from pytorch_unet_step import UNet3d
from safetensors_file import read_safetensors


def own_name(name):
    """Of a parameter of UNet3d: encoder.0.conv1.weight is encoder0.conv1.weight, up.2 is decoder2.up."""
    parts = name.split(".")
    if parts[0] == "head":
        return name
    if parts[0] == "up":
        return f"decoder{parts[1]}.up.{parts[2]}"
    return f"{parts[0]}{parts[1]}.{'.'.join(parts[2:])}"


def unet_with(weights):
    """The network with these weights by our names (one input channel, one output)."""
    levels = sum(name.startswith("encoder") and name.endswith("conv0.weight") for name in weights)
    net = UNet3d(weights["encoder0.conv0.weight"].shape[0], levels)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            weight = torch.from_numpy(weights[own_name(name)].copy())
            parameter.copy_(weight.reshape(parameter.shape))
    return net


def unet_of(path):
    return unet_with(read_safetensors(path)[0])


def main():
    model, image, out = sys.argv[1:4]
    voxels = torch.from_numpy(np.load(image))
    with torch.no_grad():
        net = unet_of(model)
        try:
            name, logits = "float64", net.double()(voxels.double())
        except RuntimeError as error:
            if "allocate memory" not in str(error):
                raise
            name, logits = "PyTorch's float32", net.float()(voxels)
        np.save(out, torch.sigmoid(logits).numpy())
    print(name)


if __name__ == "__main__":
    main()

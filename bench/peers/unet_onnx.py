"""Writes the 3-D U-Net of a wholemount model file as an ONNX graph with the same weights, for
runtimes that read ONNX. Instance norm, transposed decoder; usage: unet_onnx.py MODEL SHAPE OUT.
"""

import re
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors_file import read_safetensors


def setting(metadata, key):
    """A number of table [net] in the configuration a model file carries."""
    return float(re.search(rf"^{key} = (\S+)$", metadata["config"], re.MULTILINE).group(1))


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = []

    def constant(self, name, shape=None):
        value = self.weights[name]
        value = value.reshape(-1) if shape is None else value
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def block(self, x, name):
        for index in ("0", "1"):
            conv, norm = f"{name}.conv{index}", f"{name}.norm{index}"
            x = self.add("Conv", [x, self.constant(conv + ".weight", True),
                                  self.constant(conv + ".bias")], conv,
                         kernel_shape=[3, 3, 3], pads=[1] * 6)
            x = self.add("InstanceNormalization",
                         [x, self.constant(norm + ".weight"), self.constant(norm + ".bias")], norm,
                         epsilon=self.epsilon)
            x = self.add("LeakyRelu", [x], norm + ".activation", alpha=self.slope)
        return x


def build(weights, metadata, shape):
    graph = Graph(weights)
    graph.epsilon = setting(metadata, "norm_epsilon")
    graph.slope = setting(metadata, "slope")
    levels = sum(name.endswith("conv0.weight") and name.startswith("encoder") for name in weights)
    channels = weights["encoder0.conv0.weight"].shape[1]
    outputs = weights["head.weight"].shape[0]
    x, skips = "image", []
    for level in range(levels):
        if level:
            x = graph.add("MaxPool", [x], f"pool{level}", kernel_shape=[2] * 3, strides=[2] * 3)
        x = graph.block(x, f"encoder{level}")
        skips.append(x)
    for level in reversed(range(levels - 1)):
        up = f"decoder{level}.up"
        x = graph.add("ConvTranspose", [x, graph.constant(up + ".weight", True),
                                        graph.constant(up + ".bias")], up,
                      kernel_shape=[2] * 3, strides=[2] * 3)
        x = graph.add("Concat", [x, skips[level]], f"concat{level}", axis=1)
        x = graph.block(x, f"decoder{level}")
    x = graph.add("Conv", [x, graph.constant("head.weight", True), graph.constant("head.bias")],
                  "head", kernel_shape=[1] * 3)
    graph.add("Sigmoid" if outputs == 1 else "Softmax", [x], "probabilities",
              **({} if outputs == 1 else {"axis": 1}))
    model = helper.make_graph(
        graph.nodes, "unet3d",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, outputs, *shape])],
        graph.constants)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    model, shape, out = sys.argv[1:4]
    sizes = [int(size) for size in shape.split("x")]
    onnx.save(build(*read_safetensors(model), sizes), out)


if __name__ == "__main__":
    main()

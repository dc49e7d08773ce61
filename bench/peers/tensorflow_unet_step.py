"""Times one training step of paper A's 3-D U-Net in TensorFlow on the CPU: the network, loss and shape
that `wholemount bench step` runs (instance norm, Dice + BCE, batch 1, float32, channels last). The
environment variable TF_ENABLE_ONEDNN_OPTS=1 or 0 chooses oneDNN or Eigen kernels (paper A, Fig. 2).

Prints one JSON object like pytorch_unet_step.py. Run by bench/peers/unet_step.sh.
"""

import argparse
import json
import os
import resource
import time

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers


def instance_norm(x):
    return layers.GroupNormalization(groups=-1, epsilon=1e-5)(x)


def block(x, width):
    for _ in range(2):
        x = layers.Conv3D(width, 3, padding="same")(x)
        x = layers.ReLU()(instance_norm(x))
    return x


def unet(shape, filters, levels):
    image = layers.Input((*shape, 1))
    x, skips = image, []
    for level in range(levels):
        x = block(layers.MaxPool3D(2)(x) if level else x, filters << level)
        skips.append(x)
    for level in reversed(range(levels - 1)):
        up = layers.Conv3DTranspose(filters << level, 2, strides=2)(x)
        x = block(layers.Concatenate()([up, skips[level]]), filters << level)
    return tf.keras.Model(image, layers.Conv3D(1, 1)(x))


def loss_of(logits, target):
    p = tf.sigmoid(logits)
    dice = 1 - (2 * tf.reduce_sum(p * target) + 1) / (tf.reduce_sum(p) + tf.reduce_sum(target) + 1)
    bce = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits))
    return 0.7 * dice + 0.3 * bce


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", default="96x96x96", help="d x h x w")
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shape = [int(size) for size in options.shape.split("x")]
    net = unet(shape, options.filters, options.levels)
    random = np.random.default_rng(1)
    image = tf.constant(random.random((1, *shape, 1), np.float32) - 0.5)
    target = tf.constant((random.random((1, *shape, 1)) < 0.1).astype(np.float32))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(net(image, training=True), target)
        return tape.gradient(loss, net.trainable_variables)

    seconds = []
    for index in range(options.rounds + 1):
        begin = time.perf_counter()
        [gradient.numpy() for gradient in step()]
        if index:
            seconds.append(time.perf_counter() - begin)
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    print(json.dumps({
        "framework": "TensorFlow " + tf.__version__,
        "memory_format": "oneDNN" if onednn else "without oneDNN",
        "parameters": int(sum(np.prod(v.shape) for v in net.trainable_variables)),
        "shape": shape,
        "filters": options.filters,
        "threads": options.threads,
        "step_seconds": sorted(seconds)[len(seconds) // 2],
        "rounds_seconds": seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()

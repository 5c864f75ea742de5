"""Weights and inputs that Python and Rust compute alike, so that no fixture has to store them.

The number at flat C-order index i of a tensor named `key`:

    x = FNV-1a 64 of the key's UTF-8 bytes, plus i, modulo 2^64
    z = x + 0x9E3779B97F4A7C15;  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;  z = (z ^ z >> 27) * 0x94D049BB133111EB;  z ^= z >> 31
    u = (z >> 40) / 2^23 - 1                                            # in [-1, 1), exact in f32

A value is f32(scale) * u, plus an offset where there is one: a product and then a sum, each rounded to f32. By key and rank:

    rank 2 and above                        sqrt(6 / fan_in) * u, fan_in the product of shape[1:]; half of it in a head. The scale is
                                            computed in f64 and then rounded to f32
    L2Norm.weight, backbone.scale_weight    20 + 2 u
    other `weight`s of rank 1               1 + 0.2 u                   # batch norms
    running_mean, running_var               0.1 u, 1 + 0.5 u
    other rank 1                            0.05 u                      # biases
    num_batches_tracked                     kept
    input, [B, 3, S, S]                     1.5 u

A head's keys start with `loc.` or `conf.`, or contain `head.` or `_headers.`.
"""

import math

import numpy as np

# A head's gain keeps offsets and logits near a standard deviation of 1: neither flat nor saturated.
HEAD_GAIN, INPUT_SCALE = 0.5, 1.5


def fnv1a(text: str) -> int:
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def uniform(key: str, shape) -> np.ndarray:
    """u, f32."""
    # Arrays of uint64 wrap around silently; numpy warns of scalars only.
    x = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(fnv1a(key))
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)).reshape(shape)


def scaled(key: str, shape, scale: float, offset: float = 0.0) -> np.ndarray:
    return np.float32(scale) * uniform(key, shape) + np.float32(offset)


def parameter(key: str, shape) -> np.ndarray:
    if len(shape) >= 2:
        head = key.startswith(("loc.", "conf.")) or "head." in key or "_headers." in key
        return scaled(key, shape, math.sqrt(6 / math.prod(shape[1:])) * (HEAD_GAIN if head else 1))
    if key in ("L2Norm.weight", "backbone.scale_weight"):
        return scaled(key, shape, 2, 20)
    rules = {"weight": (0.2, 1), "running_mean": (0.1, 0), "running_var": (0.5, 1)}
    return scaled(key, shape, *rules.get(key.rsplit(".", 1)[-1], (0.05, 0)))


def fill(net):
    """Every parameter and running statistic of a network, in place."""
    import torch

    with torch.no_grad():
        for key, value in net.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(parameter(key, tuple(value.shape))))
    return net


def images(batch: int, side: int = 300):
    import torch

    return torch.from_numpy(scaled("input", (batch, 3, side, side), INPUT_SCALE))

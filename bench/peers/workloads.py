"""The workloads as all peers run them, and the pictures they run on. bench/src/workloads.rs is our side of the same."""
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from single import LAYERS

BATCHES = 15
CLASSES = 10
PIXELS = 3 * 32 * 32
WEIGHT_SCALE = 2e-2
DATA = Path(__file__).resolve().parents[2] / "data"


@dataclass(frozen=True)
class Workload:
    """A net: affine (- batch norm) - ReLU (- dropout) for each hidden layer, an affine layer, softmax loss. Before them perhaps
    one convolution that keeps the size of pictures, ReLU, and max pooling 2 x 2. Or, with `net`, one of the networks of nets.py
    with PyTorch's own initial values, on pictures normalised by channels."""
    hidden: tuple
    batch: int
    rule: str            # "sgdm" (momentum 0.9), "nesterov" (likewise), "adam" or "adamw"
    lr: float
    batch_norm: bool = False
    keep: float = 1.0    # the share of activations that dropout keeps
    filters: int = 0     # of the convolution, if there is one
    filter_size: int = 0
    reg: float = 0.0     # weight decay of weights, not of biases, gamma and beta; for "adamw" it is no part of the gradient
    net: str = ""

    def convolutional(self):
        return bool(self.filters) or self.net in ("conv_net", "ResNetCE")


WORKLOADS = {
    "W1-sgdm": Workload((100,) * 5, 100, "sgdm", 5e-3),
    "W1-adam": Workload((100,) * 5, 100, "adam", 1e-3),
    "W2": Workload((100,) * 5, 50, "adam", 1e-3, batch_norm=True),
    "W3": Workload((200, 150), 256, "adam", 2e-3, batch_norm=True, keep=0.8, reg=2.5e-3),
    "W4": Workload((500,), 50, "adam", 1e-3, filters=32, filter_size=7, reg=1e-3),
    # Ours runs explicit layers as W1-sgdm and modules on the tape as W1-modules; for peers it is the same network.
    "W1-modules": Workload((100,) * 5, 100, "sgdm", 5e-3),
    "W5": Workload((), 64, "nesterov", 1e-2, net="two_layers"),
    "W6": Workload((), 64, "nesterov", 1e-2, net="conv_net"),
    "W7": Workload((), 64, "adamw", 1e-3, reg=0.05, net="ResNetCE"),
}


def chosen(only):
    """The names that a list as in W1,W3 means: W1 is both of its forms, W9 all of its layers. An empty list is all nets."""
    names = [*WORKLOADS, *LAYERS]
    wanted = [w for w in only.split(",") if w]
    unknown = [w for w in wanted if not any(w in (n, n.split("-")[0]) for n in names)]
    if unknown:
        raise SystemExit(f"--only: unknown workload {unknown[0]!r}; there are {', '.join(names)}")
    return [n for n in names if n in wanted or n.split("-")[0] in wanted] if wanted else list(WORKLOADS)


def pictures():
    """Training pictures (N, 3072) u8, in planes, and their labels.

    From the directory CIFAR10_BIN names (data_batch_1.bin of the binary version), else the excerpt in data/, else made up with
    the same mean and spread: speed does not depend on what the pictures show.
    """
    if folder := os.environ.get("CIFAR10_BIN"):
        raw = np.fromfile(Path(folder) / "data_batch_1.bin", np.uint8).reshape(-1, 1 + PIXELS)
        return raw[:, 1:], raw[:, 0].astype(np.int64)
    grids = [DATA / f"cifar10-batch-{i}.webp" for i in range(1, 5)]
    if not all(g.exists() for g in grids):
        rng = np.random.default_rng(0)
        made_up = rng.normal(121, 64, (4000, PIXELS)).clip(0, 255).astype(np.uint8)
        return made_up, rng.integers(0, CLASSES, 4000)
    from PIL import Image
    parts = []
    for grid in grids:
        pixels = np.asarray(Image.open(grid).convert("RGB")).reshape(10, 32, 100, 32, 3)
        parts.append(pixels.transpose(0, 2, 4, 1, 3).reshape(1000, PIXELS))
    labels = np.fromfile(DATA / "cifar10-labels.bin", np.uint8)[:4000].astype(np.int64)
    return np.concatenate(parts), labels


def batches(size, channels=False):
    """BATCHES pairs of pictures (size, 3072) f32 and labels (size,) i64; each its own memory.

    Less the mean picture; or, with `channels`, each channel with mean 0 and deviation 1.
    """
    x, y = pictures()
    if channels:
        planes = x.reshape(len(x), 3, -1)
        mean, std = (f(planes, axis=(0, 2), dtype=np.float64) for f in (np.mean, np.std))
        x = ((planes - mean[:, None]) / std[:, None]).astype(np.float32).reshape(len(x), PIXELS)
    else:
        x = x.astype(np.float32) - x.mean(0, dtype=np.float64).astype(np.float32)
    picks = [np.arange(i * size, (i + 1) * size) % len(x) for i in range(BATCHES)]
    return [(x[p], y[p]) for p in picks]

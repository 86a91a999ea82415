#!/usr/bin/env python3
"""Cut the exact pictures of CIFAR-10 into one lossless grid a file of the data set.

    pip install pillow numpy
    python3 make_excerpt.py SOURCE_DIR      # holds exact.webp and labels.bin

SOURCE_DIR/exact.webp is a grid of 60 rows x 100 columns of 32 x 32 pictures: the first 1,000 of data_batch_1..5 and of
test_batch. Each file gets its own grid of 10 x 100 here, so that they decode in parallel and only those that are used. The
pixels are compared after writing.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
NAMES = [f"batch-{i}" for i in range(1, 6)] + ["test"]

source = Path(sys.argv[1])
grid = np.asarray(Image.open(source / "exact.webp").convert("RGB"))
assert grid.shape == (60 * 32, 100 * 32, 3), grid.shape
for i, name in enumerate(NAMES):
    part = grid[i * 320:(i + 1) * 320]
    path = HERE / f"cifar10-{name}.webp"
    Image.fromarray(part).save(path, lossless=True, quality=100, method=6, exact=True)
    assert (np.asarray(Image.open(path).convert("RGB")) == part).all(), path
    print(path.name, path.stat().st_size)
labels = np.frombuffer((source / "labels.bin").read_bytes(), np.uint8).reshape(6, 10000)[:, :1000]
(HERE / "cifar10-labels.bin").write_bytes(labels.tobytes())

#!/usr/bin/env python3
"""Ten thousand JPEG pictures of 500 x 375, and how fast PyTorch's ImageFolder reads them to 32 x 32 with two workers.

    pip install torch torchvision pillow numpy
    python3 pictures.py make DIR [COUNT]     # DIR/train/{0..9}/NNNNN.jpg, quality 90, about 60 kB each
    python3 pictures.py time DIR [WORKERS]   # one JSON object: seconds for a whole pass, the first batch's start-up included
"""
import io, json, sys, time
from pathlib import Path


# So many pictures differ; the rest are copies, which take as long to decode.
DISTINCT = 1000


def make(directory, count):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:375, 0:500].astype(np.float32)
    for i in range(min(count, DISTINCT)):
        # Soft shapes with grain: as much detail as a photograph's, so that the files have a photograph's size.
        planes = []
        for _ in range(3):
            a, b, c, d = rng.uniform(10, 80, 4)
            planes.append(128 + 60 * np.sin(x / a + c) + 50 * np.cos(y / b + d))
        grain = rng.normal(0, 9, (375, 500, 1)).astype(np.float32)
        pixels = np.clip(np.stack(planes, -1) + grain, 0, 255).astype(np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "jpeg", quality=90)
        for copy in range(i, count, DISTINCT):
            path = Path(directory) / "train" / str(copy % 10) / f"{copy:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded.getvalue())


def timed(directory, workers):
    import torch
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    fit = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()])
    data = ImageFolder(Path(directory) / "train", fit)
    loader = torch.utils.data.DataLoader(data, batch_size=100, num_workers=workers)
    start, pictures = time.perf_counter(), 0
    for batch, _ in loader:
        pictures += len(batch)
    print(json.dumps({"peer": "torchvision", "workers": workers, "pictures": pictures, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    command, directory, *number = sys.argv[1:]
    {"make": lambda: make(directory, int((number or [10000])[0])), "time": lambda: timed(directory, int((number or [2])[0]))}[command]()

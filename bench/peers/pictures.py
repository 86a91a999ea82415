#!/usr/bin/env python3
"""Ten thousand JPEG pictures of 500 x 375, and how fast PyTorch's ImageFolder reads them to 32 x 32 with two workers.

    pip install torch torchvision pillow numpy
    python3 pictures.py make DIR [COUNT]     # DIR/train/{0..9}/NNNNN.jpg, quality 90, about 60 kB each
    python3 pictures.py time DIR [WORKERS]   # one JSON object: seconds for a whole pass, the first batch's start-up included
    python3 pictures.py compare DIR [COUNT]  # makes them if DIR has none, then ours and PyTorch's in turn, and the ratio
"""
import io, json, statistics, subprocess, sys, time
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


ROUNDS = 3
ROOT = Path(__file__).resolve().parents[2]


def compare(directory, count):
    """Ours and PyTorch's with two workers, in turn, each round in processes of their own; fails if ours is the slower."""
    if not (Path(directory) / "train").exists():
        make(directory, count)
    cargo = ["cargo", "run", "--release", "--quiet", "-p", "chainrule-bench", "--example", "data", "--"]
    ours, theirs = [], []

    def output(command, where):
        return json.loads(subprocess.run(command, cwd=where, check=True, stdout=subprocess.PIPE, text=True).stdout)

    for _ in range(ROUNDS):
        found = output([*cargo, str(Path(directory).resolve()), "2", "1"], ROOT)
        ours.append(found["min_ms"] / 1e3)
        theirs.append(output([sys.executable, __file__, "time", directory, "2"], None)["seconds"])
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"ours {ours:.2f} s, ImageFolder with 2 workers {theirs:.2f} s: {ours / theirs:.2f} (at most 1.00 is wanted)")
    sys.exit(ours > theirs)


if __name__ == "__main__":
    command, directory, *number = sys.argv[1:]
    count = lambda default: int((number or [default])[0])
    run = {"make": lambda: make(directory, count(10000)), "time": lambda: timed(directory, count(2)), "compare": lambda: compare(directory, count(10000))}
    run[command]()

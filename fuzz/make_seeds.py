#!/usr/bin/env python3
"""Makes the inputs that fuzzing begins with: small, good, one of each kind. Needs numpy and Pillow."""
import gzip, io, json, pickle, struct, tarfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "crates/chainrule/tests/samples"


def seed(target, name, content):
    (HERE / "seeds" / target).mkdir(parents=True, exist_ok=True)
    (HERE / "seeds" / target / name).write_bytes(content)


def tar(names):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


idx = struct.pack(">IIII", 0x803, 2, 3, 2) + bytes(range(12))
seed("idx", "pictures", idx)
seed("idx", "labels", struct.pack(">II", 0x801, 3) + bytes([1, 2, 3]))
seed("gzip", "pictures", gzip.compress(idx, mtime=0))
seed("gzip", "plain", idx)
archive = tar(["folder/a", "folder/b.bin", "folder/other"])[:4096]
seed("archive", "plain", archive)
seed("archive", "packed", gzip.compress(archive, mtime=0))
seed("cifar_records", "two", bytes([2]) + bytes(8) + (bytes([3]) + bytes(3072)) * 2)
batch = {b"labels": [1, 2], b"data": np.arange(12, dtype=np.uint8).reshape(2, 6) * 20, b"filenames": [b"a", b"b"]}
for protocol in (2, 3, 4):
    seed("pickle", f"protocol{protocol}", pickle.dumps(batch, protocol))
seed("metrics", "run", b'{"step":1,"epoch":0,"loss":2.3,"lr":0.001}\n{"step":1,"epoch":0,"train_acc":0.1,"val_acc":0.2,"best":true}\n')
seed("catalogue", "built_in", (HERE.parent / "crates/lab/src/fetch/catalogue.toml").read_bytes())
config = {
    "one": 'model = "fully-connected"\nhidden = "20,10"\nnorm = "batch"\ndropout-keep = 0.8\nepochs = 3\nbatch = 50\noptim = "adam"\n'
    'schedule = "multistep"\nmilestones = [1, 2]\ngamma = 0.1\nlr = 0.001\nseed = 7\n',
    "two": 'model = "small-convnet"\nchannels = "8,8"\naugment = "flip,crop"\nnormalize = "channels"\noptim = "sgd"\nmomentum = 0.9\n'
    'nesterov = true\nschedule = "cosine"\nwarmup-epochs = 0.5\nlabel-smoothing = 0.1\nclip-norm = 1.0\ncheckpoint-every = "30s"\n',
    "three": 'model = "three-layer-convnet"\nfilters = 4\nfilter-size = 3\nloss = "svm"\noptim = "rmsprop"\ncentered = true\n'
    'data = "pictures"\nsize = 16\nval-fraction = 0.2\nskip-bad = true\ndtype = "f64"\non-nan = "continue"\nthreads = 2\n',
}
for name, text in config.items():
    seed("settings", name, text.encode())
metrics = (
    '{"step":1,"epoch":0,"loss":2.3,"lr":0.001}\n{"step":1,"epoch":0,"train_acc":0.1,"val_acc":0.2,"best":true}\n'
    '{"step":2,"epoch":0,"loss":null,"lr":0.001}\n{"step":3,"epoch":0,"loss":1.5,"lr":0.0005}\n'
    '{"step":3,"epoch":1,"train_acc":0.3,"val_acc":0.4,"best":true}\n'
)
result = {"best_val_acc": 0.4, "test_acc": 0.3, "final_loss": 1.5, "steps": 3, "seconds": 2.5, "resumed_at": 1,
          "command": "chainrule train --lr '1'", "machine": [["processor", "<script>alert(1)</script>"], ["threads", "2"]]}
about = {"name": "pictures", "shape": [1, 1, 2], "classes": ["a", "b"],
         "normalization": {"channels": {"mean": [0.5], "std": [0.2]}}}
ended = [config["one"], metrics, json.dumps(result), json.dumps(about)]
seed("run_files", "ended", "\0".join(ended).encode())
about["normalization"] = {"mean-image": [120.5, 130]}
seed("run_files", "mean_image", "\0".join(ended[:3] + [json.dumps(about)]).encode())
seed("run_files", "stopped", "\0".join(ended[:2]).encode())
tensors = {"W1": [4, 3], "b1": [3], "W2": [3, 2], "b2": [2]}
header, end = {}, 0
for name, shape in tensors.items():
    size = 4 * int(np.prod(shape))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
    end += size
text = json.dumps(header).encode()
seed("weights", "net", struct.pack("<Q", len(text)) + text + bytes(end))
pixels = bytes([200, 10, 30])
reasons = b"\n\n\n\n"
seed("picture_cache", "good", reasons + pixels * 16)
seed("picture_cache", "broken", b"is broken\n\n\n\n" + pixels * 16)
seed("fetch_part", "two", b"abcdefgh" * 4 + b"\x00\x20")
for path in (HERE.parent / "data/spaces").glob("*.toml"):
    entry = {"trial": 1, "rung": 0, "epochs": 3, "val_acc": 0.25, "ended": "finished", "seconds": 1.5}
    lines = [json.dumps(entry), json.dumps(entry | {"trial": 2, "val_acc": None, "ended": "diverged"})]
    seed("search", path.stem, path.read_bytes() + b"\0" + "\n".join(lines).encode())
seed("search", "grid", b'method = "grid"\n[search]\nlr = { log-uniform = [1e-4, 1e-2], points = 3 }\n'
     b"batch = { integer = [32, 256], points = 2 }\n[final]\nepochs = 5\n")
found = {
    "pieces": [
        {"Text": "a `word` <script>alert(1)</script>"}, {"Printed": ["1", "2"]},
        {"Plot": {"title": "t", "x": "n", "x_decades": True, "y": "Decades", "left_out": 1,
                  "lines": [{"name": "a", "points": [[1, 2.5], [10, 30]], "dots": False}]}},
        {"Plot": {"title": "", "x": "n", "x_decades": False, "y": {"Between": [0, 1]}, "left_out": 0,
                  "lines": [{"name": "b", "points": [[1, 0.5]], "dots": True}]}},
        {"Table": {"title": "t", "head": ["a", "b"], "rows": [["1", "2"]]}},
        {"Pictures": [{"size": [2, 1], "pixels": [1, 2, 3, 4, 5, 6], "title": "p", "text": "q"}]},
        {"Check": {"what": "w", "value": "1", "wanted": "2", "passed": False}}, {"Question": ["why?", "so"]},
    ],
    "kept": {"best": [0.5, 2]},
}
seed("lab_cell", "all", json.dumps(found).encode())
for sample in SAMPLES.iterdir():
    if sample.suffix in (".png", ".jpg", ".webp", ".bmp"):
        seed("images", sample.name, sample.read_bytes())
# Pictures of a few pixels, which a decoder is through with at once. The seeds of `checkpoint` are made by
# `cargo run --example checkpoint_seeds`.
rng = np.random.default_rng(0)
for mode, channels in (("L", 1), ("RGB", 3), ("RGBA", 4), ("LA", 2), ("P", 1), ("1", 1), ("I;16", 1), ("CMYK", 4)):
    pixels = rng.integers(0, 256, (5, 4, channels), dtype=np.uint8)
    base = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    picture = Image.fromarray(pixels.squeeze(), base)
    if mode == "I;16":
        picture = Image.fromarray(pixels.squeeze().astype(np.uint16) * 257)
    elif mode != base:
        picture = picture.convert("RGB").convert(mode)
    kinds = {"png": {}, "bmp": {}, "webp": {"lossless": True}, "jpeg": {"progressive": True}}
    for kind, options in kinds.items():
        out = io.BytesIO()
        try:
            picture.save(out, kind, **options)
        except (OSError, ValueError, KeyError):
            continue  # not every format has every mode
        seed("images", f"tiny-{mode.replace(';', '')}.{kind}", out.getvalue())
arrays = {name: np.arange(int(np.prod(shape)), dtype="<f4").reshape(shape) for name, shape in tensors.items()}
for name, save in [("stored", np.savez), ("packed", np.savez_compressed)]:
    out = io.BytesIO()
    save(out, **arrays)
    seed("npz", name, out.getvalue())
transposed = io.BytesIO()
np.savez(transposed, **{name: np.asfortranarray(a) for name, a in arrays.items()})
seed("npz", "transposed", transposed.getvalue())

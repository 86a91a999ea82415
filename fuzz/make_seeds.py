#!/usr/bin/env python3
"""Makes the inputs that fuzzing begins with: small, good, one of each kind. Needs numpy."""
import gzip, io, json, pickle, struct, tarfile
from pathlib import Path

import numpy as np

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
tensors = {"W1": [4, 3], "b1": [3], "W2": [3, 2], "b2": [2]}
header, end = {}, 0
for name, shape in tensors.items():
    size = 4 * int(np.prod(shape))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
    end += size
text = json.dumps(header).encode()
seed("weights", "net", struct.pack("<Q", len(text)) + text + bytes(end))
for sample in SAMPLES.iterdir():
    if sample.suffix in (".png", ".jpg", ".webp", ".bmp"):
        seed("images", sample.name, sample.read_bytes())

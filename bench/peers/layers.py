#!/usr/bin/env python3
"""Time convolution and max pooling in NumPy and PyTorch, on the shapes of the course's 'Fast layers', and write the medians to
runs/layers.json, where `chainrule bench layers` finds them.

    python bench/peers/layers.py [--threads 2,1] [--seconds 4] [--patience 60]

PyTorch runs with the C library's allocator as it is and with one that keeps what is freed; the better median counts. NumPy's
convolution is patches (strided views, copied) times weights, its pooling a reshape, as the course's fast layers are.
"""
import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "runs" / "layers.json"
RETAIN = dict(MALLOC_MMAP_THRESHOLD_="4294967296", MALLOC_TRIM_THRESHOLD_="17179869184", MALLOC_TOP_PAD_="268435456")
BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
STRIDE, PAD = 2, 1


def inputs():
    """x, w, b, dy of the convolution; x, dy of the pooling."""
    import numpy as np
    rng = np.random.RandomState(231)
    conv = [rng.randn(*s) for s in ((100, 3, 31, 31), (25, 3, 3, 3), (25,), (100, 25, 16, 16))]
    rng = np.random.RandomState(231)
    return conv, [rng.randn(*s) for s in ((100, 3, 32, 32), (100, 3, 16, 16))]


def numpy_steps():
    import numpy as np
    (x, w, b, dy), (px, pdy) = inputs()
    f, c, kh, kw = w.shape
    n, _, oh, ow = dy.shape

    def patches():
        padded = np.pad(x, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)))
        sn, sc, sh, sw = padded.strides
        view = np.lib.stride_tricks.as_strided(
            padded, (c, kh, kw, n, oh, ow), (sc, sh, sw, sn, STRIDE * sh, STRIDE * sw))
        return np.ascontiguousarray(view).reshape(c * kh * kw, n * oh * ow)

    cols = patches()

    def conv_forward():
        y = w.reshape(f, -1) @ patches()
        y += b[:, None]
        return y.reshape(f, n, oh, ow).transpose(1, 0, 2, 3)

    def conv_backward():
        d = np.ascontiguousarray(dy.transpose(1, 0, 2, 3)).reshape(f, -1)
        dcols = (w.reshape(f, -1).T @ d).reshape(c, kh, kw, n, oh, ow)
        dx = np.zeros((c, n, x.shape[2] + 2 * PAD, x.shape[3] + 2 * PAD))
        for u in range(kh):
            for v in range(kw):
                dx[:, :, u:u + STRIDE * oh:STRIDE, v:v + STRIDE * ow:STRIDE] += dcols[:, u, v]
        return dx[:, :, PAD:-PAD, PAD:-PAD].transpose(1, 0, 2, 3), (d @ cols.T).reshape(w.shape), d.sum(1)

    tiles = px.reshape(100, 3, 16, 2, 16, 2)
    largest = tiles.max(axis=(3, 5))

    def pool_forward():
        return tiles.max(axis=3).max(axis=4)

    def pool_backward():
        mask = tiles == largest[:, :, :, None, :, None]
        dx = mask * pdy[:, :, :, None, :, None]
        dx /= mask.sum(axis=(3, 5), keepdims=True)
        return dx.reshape(px.shape)

    return dict(zip(NAMES, (conv_forward, conv_backward, pool_forward, pool_backward)))


def torch_steps(threads):
    import torch
    from torch.nn import functional as F
    torch.set_num_threads(threads)
    (x, w, b, dy), (px, pdy) = ([torch.from_numpy(a) for a in arrays] for arrays in inputs())
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    y = F.conv2d(*leaves, stride=STRIDE, padding=PAD)
    pleaf = px.clone().requires_grad_()
    py = F.max_pool2d(pleaf, 2)

    def conv_forward():
        with torch.inference_mode():
            return F.conv2d(x, w, b, stride=STRIDE, padding=PAD)

    def pool_forward():
        return F.max_pool2d(pleaf, 2)

    steps = (conv_forward, lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True),
             pool_forward, lambda: torch.autograd.grad(py, [pleaf], pdy, retain_graph=True))
    return dict(zip(NAMES, steps))


NAMES = ("conv forward", "conv backward", "pool forward", "pool backward")


def measure(args):
    """One peer in this process: a JSON object a line."""
    from gate import Gate
    threads = int(args.threads)
    gate = Gate(args.patience)
    for name, step in (numpy_steps() if args.peer == "numpy" else torch_steps(threads)).items():
        print(json.dumps(dict(name=name) | gate.measure(step, args.seconds)), flush=True)


def run(args, peer, threads, environment):
    """{name: (median, whether the machine was quiet)} of one peer in a process of its own, whose libraries obey the threads."""
    command = [sys.executable, __file__, "--peer", peer, "--threads", str(threads),
               "--seconds", str(args.seconds), "--patience", str(args.patience)]
    environment = os.environ | {v: str(threads) for v in BLAS} | environment
    print(f"{threads} thread(s): {peer}", file=sys.stderr, flush=True)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with code {done.returncode}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["name"]: (row["median_ms"], row["quiet"]) for row in rows}


def better(one, other):
    """A median of a quiet machine beats one of a disturbed machine whatever it says."""
    return min(one, other, key=lambda m: (not m[1], m[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default=",".join(str(n) for n in dict.fromkeys((len(os.sched_getaffinity(0)), 1))))
    parser.add_argument("--seconds", type=float, default=4, help="the longest a measurement may take (default 4)")
    parser.add_argument("--patience", type=float, default=60, help="seconds a peer waits for other processes (default 60)")
    parser.add_argument("--peer", choices=("numpy", "torch"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return measure(args)
    rows = []
    for threads in (int(t) for t in args.threads.split(",")):
        numpy = run(args, "numpy", threads, {})
        stock, retained = (run(args, "torch", threads, e) for e in ({}, RETAIN))
        for name in NAMES:
            torch, numpy_ms = better(stock[name], retained[name]), numpy[name]
            quiet = torch[1] and numpy_ms[1]
            rows.append(dict(name=name, threads=threads, numpy_ms=numpy_ms[0], torch_ms=torch[0], quiet=quiet))
            print(f"{name:<16}{threads:>3}{numpy_ms[0]:>10.3f}{torch[0]:>10.3f}{'' if quiet else '   * not quiet'}")
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    versions = {p: importlib.metadata.version(p) for p in ("torch", "numpy")}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(dict(cpu=model, **versions, rows=rows), indent=1) + "\n")
    print(OUT)


main()

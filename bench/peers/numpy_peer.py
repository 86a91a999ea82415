"""The workloads in NumPy, one JSON object a line: explicit layers as one writes them by hand, all in f32.

    python numpy_peer.py [--threads 2] [--only W1,W3] [--budget 8] [--patience 300]

The number of BLAS threads is set before NumPy is imported.
"""
import argparse
import itertools
import json
import os

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--only", default="")
parser.add_argument("--budget", type=float, default=8.0, help="seconds a measurement may take")
parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for other processes, in all")
args = parser.parse_args()
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(args.threads)

import numpy as np  # noqa: E402

from gate import Gate  # noqa: E402
from workloads import CLASSES, PIXELS, WEIGHT_SCALE, WORKLOADS, batches, chosen  # noqa: E402

F32 = np.float32
EPS = F32(1e-5)


class Net:
    """Parameters in a list; a weight is 2-D, everything else 1-D."""

    def __init__(self, w):
        self.w = w
        self.rng = np.random.default_rng(0)
        widths = [PIXELS, *w.hidden, CLASSES]
        self.params = []
        self.running = []
        for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
            self.params.append(self.rng.standard_normal((fan_in, fan_out), F32) * F32(WEIGHT_SCALE))
            self.params.append(np.zeros(fan_out, F32))
            if w.batch_norm and i < len(w.hidden):
                self.params += [np.ones(fan_out, F32), np.zeros(fan_out, F32)]
                self.running.append([np.zeros(fan_out, F32), np.ones(fan_out, F32)])

    def forward(self, x, train):
        """Scores, and what backward needs of each layer."""
        params = iter(self.params)
        caches = []
        for layer in range(len(self.w.hidden)):
            weight, bias = next(params), next(params)
            z = x @ weight
            z += bias
            norm = keep = None
            if self.w.batch_norm:
                z, norm = self.batch_norm(z, next(params), next(params), self.running[layer], train)
            mask = z > 0
            out = z * mask
            if train and self.w.keep < 1:
                keep = (self.rng.random(out.shape, F32) < self.w.keep) * F32(1 / self.w.keep)
                out *= keep
            caches.append((x, weight, norm, mask, keep))
            x = out
        weight, bias = next(params), next(params)
        return x @ weight + bias, (caches, x, weight)

    @staticmethod
    def batch_norm(z, gamma, beta, running, train):
        if not train:
            return (z - running[0]) * (gamma / np.sqrt(running[1] + EPS)) + beta, None
        mean = z.mean(0)
        centred = z - mean
        variance = np.mean(centred * centred, 0)
        for slot, now in zip(running, (mean, variance)):
            slot *= F32(0.9)
            slot += F32(0.1) * now
        scale = 1 / np.sqrt(variance + EPS)
        centred *= scale
        return centred * gamma + beta, (centred, gamma * scale)

    def backward(self, scores, labels, kept):
        """The loss and the gradient of each parameter."""
        caches, x, weight = kept
        n = len(labels)
        rows = np.arange(n)
        shifted = scores - scores.max(1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, labels]))
        p /= total
        p[rows, labels] -= 1
        p /= F32(n)
        backwards = [p.sum(0), x.T @ p]
        d = p @ weight.T
        for layer in reversed(range(len(caches))):
            x, weight, norm, mask, keep = caches[layer]
            if keep is not None:
                d *= keep
            d *= mask
            if norm is not None:
                hat, factor = norm
                dbeta = d.sum(0)
                dgamma = np.sum(d * hat, 0)
                backwards += [dbeta, dgamma]
                d = factor * (d - dbeta / F32(n) - hat * (dgamma / F32(n)))
            backwards += [d.sum(0), x.T @ d]
            if layer:
                d = d @ weight.T
        return loss, backwards[::-1]


class Rule:
    """Momentum or Adam, in place."""

    def __init__(self, w, params):
        self.w = w
        self.steps = 0
        self.first = [np.zeros_like(p) for p in params]
        self.second = [np.zeros_like(p) for p in params] if w.rule == "adam" else self.first

    def update(self, params, grads):
        self.steps += 1
        lr = F32(self.w.lr)
        for p, g, m, v in zip(params, grads, self.first, self.second):
            if self.w.reg and p.ndim > 1:
                g += F32(self.w.reg) * p
            if self.w.rule == "sgdm":
                m *= F32(0.9)
                m -= lr * g
                p += m
                continue
            m *= F32(0.9)
            m += F32(0.1) * g
            v *= F32(0.999)
            g *= g
            g *= F32(0.001)
            v += g
            root = np.sqrt(v)
            root *= F32((1 - 0.999**self.steps) ** -0.5)
            root += F32(1e-8)
            np.divide(m, root, out=root)
            root *= F32(self.w.lr / (1 - 0.9**self.steps))
            p -= root


def run(gate, name):
    w = WORKLOADS[name]
    net = Net(w)
    rule = Rule(w, net.params)
    turn = itertools.cycle(batches(w.batch))
    loss = None

    def step():
        nonlocal loss
        x, y = next(turn)
        scores, kept = net.forward(x, True)
        loss, grads = net.backward(scores, y, kept)
        rule.update(net.params, grads)

    def infer():
        return net.forward(next(turn)[0], False)[0]

    for what, function in (("train", step), ("infer", infer)):
        result = gate.measure(function, args.budget)
        row = dict(name=f"{name} {what}", variant="numpy f32", threads=args.threads)
        print(json.dumps(row | result | (dict(loss=round(loss, 4)) if what == "train" else {})), flush=True)


gate = Gate(args.patience)
for name in chosen(args.only):
    # Convolutions are not among what NumPy runs here; layers.py has its own for those of the course.
    if name in WORKLOADS and not WORKLOADS[name].filters and not WORKLOADS[name].net:
        run(gate, name)

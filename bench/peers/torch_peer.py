"""The workloads in PyTorch, one JSON object a line.

    python torch_peer.py [--threads 2] [--only W1,W3] [--modes eager,fused,compile] [--budget 8] [--patience 300] [--tag retained]

eager: the default optimizer. fused: the fused one. compile: torch.compile of the model, and the fused optimizer.
Nets with a convolution run in both memory orders.
A step is zero_grad (to None), forward, cross_entropy, backward, optimizer step; inference is eval() in inference_mode.
"""
import argparse
import itertools
import json
import time

import torch
import torch._dynamo
from torch import nn
from torch.nn import functional as F

import nets
from gate import Gate
from single import LAYERS, torch_passes
from workloads import CLASSES, PIXELS, WEIGHT_SCALE, WORKLOADS, batches, chosen


def network(w):
    if w.net:
        return getattr(nets, w.net)()
    layers = []
    width = PIXELS
    if w.filters:
        layers += [nn.Conv2d(3, w.filters, w.filter_size, padding=w.filter_size // 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        width = w.filters * 16 * 16
    for hidden in w.hidden:
        layers.append(nn.Linear(width, hidden))
        if w.batch_norm:
            layers.append(nn.BatchNorm1d(hidden))
        layers.append(nn.ReLU())
        if w.keep < 1:
            layers.append(nn.Dropout(1 - w.keep))
        width = hidden
    layers.append(nn.Linear(width, CLASSES))
    for layer in layers:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.normal_(layer.weight, std=WEIGHT_SCALE)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def optimizer(w, model, fused):
    fused = fused or None
    if w.rule in ("sgdm", "nesterov"):
        return torch.optim.SGD(model.parameters(), lr=w.lr, momentum=0.9, nesterov=w.rule == "nesterov", fused=fused)
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [dict(params=weights, weight_decay=w.reg), dict(params=others)]
    kind = torch.optim.AdamW if w.rule == "adamw" else torch.optim.Adam
    return kind(groups, lr=w.lr, fused=fused)


def graphs():
    """How many graphs torch.compile has compiled so far: training and inference are one each."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def run_layer(gate, args, name):
    """A layer's passes in both memory orders. The optimizer's modes do not matter to it."""
    for order in ("planes", "channels-last"):
        for what, function in torch_passes(name, order != "planes"):
            row = dict(name=f"{name} {what}", variant=f"torch eager {order}{args.tag and '+' + args.tag}", threads=args.threads)
            print(json.dumps(row | gate.measure(function, args.budget)), flush=True)


def run(gate, args, name, mode, channels_last=False):
    w = WORKLOADS[name]
    torch.manual_seed(0)
    order = torch.channels_last if channels_last else torch.contiguous_format
    model = network(w).to(memory_format=order)
    update = optimizer(w, model, mode != "eager")
    if mode == "compile":
        # The cache is per code object, here Sequential.forward; when it is full, compile falls back to eager without a word.
        torch._dynamo.reset()
        net = torch.compile(model)
    else:
        net = model
    compiled_before = graphs()
    shape = (-1, 3, 32, 32) if w.convolutional() else (-1, PIXELS)

    def picture(x):
        x = torch.from_numpy(x).reshape(shape)
        return x.contiguous(memory_format=order) if w.convolutional() else x

    ready = [(picture(x), torch.from_numpy(y)) for x, y in batches(w.batch, channels=bool(w.net))]
    turn = itertools.cycle(ready)
    last = None

    def step():
        nonlocal last
        x, y = next(turn)
        update.zero_grad()
        last = F.cross_entropy(net(x), y)
        last.backward()
        update.step()

    def infer():
        x, _ = next(turn)
        with torch.inference_mode():
            return net(x)

    def emit(what, result, **more):
        row = dict(name=f"{name} {what}", variant=f"torch {mode}{' channels-last' * channels_last}{args.tag and '+' + args.tag}",
                   threads=args.threads)
        print(json.dumps(row | result | more | dict(process_bytes=nets.peak_memory())), flush=True)

    warmup = 2 if name == "W7" else 10  # a step of W7 takes a second
    model.train()
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    result = gate.measure(step, args.budget, warmup=warmup)
    emit("train", result, first_step_ms=round(first * 1e3, 1), loss=round(last.item(), 4))
    model.eval()
    emit("infer", gate.measure(infer, args.budget, warmup=warmup))
    if mode == "compile" and graphs() - compiled_before < 2:
        raise SystemExit(f"{name}: torch.compile fell back to eager, so its figures are not of compiled code")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--modes", default="eager,fused,compile")
    parser.add_argument("--budget", type=float, default=8.0, help="seconds a measurement may take")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for other processes, in all")
    parser.add_argument("--tag", default="", help="added to the variant's name")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    gate = Gate(args.patience)
    for name in chosen(args.only):
        if name in LAYERS:
            run_layer(gate, args, name)
            continue
        for mode in args.modes.split(","):
            run(gate, args, name, mode)
            if WORKLOADS[name].convolutional():
                run(gate, args, name, mode, channels_last=True)


main()

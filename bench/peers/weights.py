"""Weights from chainrule into PyTorch and NumPy, and back.

    weights.py DIRECTORY

Called by the test `weights_go_to_pytorch_and_back` (crates/chainrule/tests/weights.rs), which wrote NET.safetensors, NET.npz and
NET.io.npz (x, and the scores y of it) for each net. Each file must go into the equivalent module with strict=True and give the same
scores to 1e-5. Then every net is made anew by PyTorch, and its weights and scores are written as BACK_NET.*.
"""
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        hidden = channels // reduction
        self.squeeze_excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x):
        return x * self.squeeze_excite(x)[:, :, None, None]


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.se = SqueezeExcite(channels)
        self.shortcut = nn.Sequential()

    def forward(self, x):
        h = self.conv1(F.relu(self.bn1(x)))
        h = self.conv2(F.relu(self.bn2(h)))
        return self.se(h) + self.shortcut(x)


class DepthwiseSeparable(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = F.relu(self.bn1(self.depthwise(x)))
        return F.relu(self.bn2(self.pointwise(x)))


class ResNetCE(nn.Module):
    def __init__(self):
        super().__init__()
        stage = lambda channels, blocks: nn.Sequential(*[ResidualBlock(channels) for _ in range(blocks)])
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.stage1 = stage(64, 2)
        self.transition1 = DepthwiseSeparable(64, 128)
        self.stage2 = stage(128, 3)
        self.transition2 = DepthwiseSeparable(128, 256)
        self.stage3 = stage(256, 2)
        self.bn_final = nn.BatchNorm2d(256)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.transition1(self.stage1(x))
        x = self.stage3(self.transition2(self.stage2(x)))
        x = F.relu(self.bn_final(x)).mean((2, 3))
        return self.fc(self.dropout(x))


NETS = {
    "dense": lambda: nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    "convnet": lambda: nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 8 * 8, 10)
    ),
    "resnet_ce": ResNetCE,
}


def check(what, net, x, y):
    net.eval()
    with torch.no_grad():
        worst = (net(x) - y).abs().max().item()
    print(f"{what}: scores differ by at most {worst:.1e}")
    assert worst <= 1e-5, what


def main(directory):
    torch.manual_seed(7)
    for name, make in NETS.items():
        io = {k: torch.from_numpy(v) for k, v in np.load(f"{directory}/{name}.io.npz").items()}
        for ending in ["safetensors", "npz"]:
            path = f"{directory}/{name}.{ending}"
            if ending == "npz":
                state = {k: torch.from_numpy(v) for k, v in np.load(path).items()}
            else:
                state = load_file(path)
            net = make()
            own = net.state_dict()
            net.load_state_dict(state, strict=True)
            assert all(own[k].dtype == v.dtype for k, v in state.items()), "types are PyTorch's"
            check(f"{name}.{ending}", net, io["x"], io["y"])
        net = make()
        # Two batches in training mode, so that running averages and counts are not those of the beginning.
        net.train()
        net(io["x"])
        net(io["x"] * 0.5 + 0.1)
        net.eval()
        with torch.no_grad():
            y = net(io["x"])
        state = net.state_dict()
        save_file(state, f"{directory}/BACK_{name}.safetensors")
        # One of the matrices in Fortran's order, and packed.
        arrays = {k: np.asfortranarray(v) if v.ndim == 2 else v.numpy() for k, v in state.items()}
        np.savez_compressed(f"{directory}/BACK_{name}.npz", **arrays)
        np.savez(f"{directory}/BACK_{name}.io.npz", x=io["x"].numpy(), y=y.numpy())


main(sys.argv[1])

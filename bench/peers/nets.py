"""The networks that our side writes as modules, in PyTorch: bench/src/modules.rs is the same."""
import torch
from torch import nn
from torch.nn import functional as F


def two_layers():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 4000), nn.ReLU(), nn.Linear(4000, 10))


def conv_net():
    return nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(),
                         nn.Flatten(), nn.Linear(16 * 32 * 32, 10))


class SqueezeExcite(nn.Module):
    """Channels scaled by a number between 0 and 1 each, which follows from the means of all of them."""

    def __init__(self, channels):
        super().__init__()
        hidden = channels // 16
        self.gates = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(inplace=True),
                                   nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x):
        return x * self.gates(x)[:, :, None, None]


class Block(nn.Module):
    """Two convolutions, each behind a batch norm and a ReLU, with squeeze-and-excitation and a shortcut around all."""

    def __init__(self, channels):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.excite = SqueezeExcite(channels)

    def forward(self, x):
        y = x
        for norm, conv in zip(self.norms, self.convs):
            y = conv(F.relu(norm(y)))
        y = self.excite(y)
        y += x
        return y


def transition(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def ResNetCE():
    """3,469,002 parameters, as ours has."""
    net = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        *(Block(64) for _ in range(2)), transition(64, 128), *(Block(128) for _ in range(3)), transition(128, 256),
        *(Block(256) for _ in range(2)), nn.BatchNorm2d(256), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(256, 10))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    assert sum(p.numel() for p in net.parameters()) == 3_469_002
    return net


def peak_memory():
    """The most memory this process ever had, in bytes; PyTorch itself included."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return None

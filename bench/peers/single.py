"""Single layers in PyTorch, the same as bench/src/single.rs: W8 (a course's layer benchmark, f64) and W9 (layers of a
residual net for CIFAR-10 at batch 64, f32)."""

# name: channels, filters, side of the pictures, kernel, stride, groups
CONVOLUTIONS = {
    "W9-3-64-32": (3, 64, 32, 3, 1, 1),
    "W9-64-64-32": (64, 64, 32, 3, 1, 1),
    "W9-128-128-16": (128, 128, 16, 3, 1, 1),
    "W9-256-256-8": (256, 256, 8, 3, 1, 1),
    "W9-dw-64-32": (64, 64, 32, 3, 2, 64),
    "W9-dw-128-16": (128, 128, 16, 3, 2, 128),
    "W9-1x1-64-128-16": (64, 128, 16, 1, 1, 1),
    "W9-1x1-128-256-8": (128, 256, 8, 1, 1, 1),
}
LAYERS = ["W8-conv", "W8-pool", *CONVOLUTIONS, "W9-norm-relu"]


def torch_passes(name, channels_last):
    """(pass, function) of a layer in PyTorch, its pictures in one or the other memory order."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    order = torch.channels_last if channels_last else torch.contiguous_format
    backward = torch.ops.aten.convolution_backward

    def pictures(*shape, dtype=torch.float32):
        return torch.randn(*shape, dtype=dtype).contiguous(memory_format=order)

    def quietly(function):
        def run():
            with torch.no_grad():
                return function()
        return run

    if name == "W8-conv":
        x, dy = pictures(100, 3, 31, 31, dtype=torch.float64), pictures(100, 25, 16, 16, dtype=torch.float64)
        w, b = torch.randn(25, 3, 3, 3, dtype=torch.float64), torch.randn(25, dtype=torch.float64)
        fixed = ([25], [2, 2], [1, 1], [1, 1], False, [0, 0], 1)
        return [("forward", quietly(lambda: F.conv2d(x, w, b, 2, 1))),
                ("backward", quietly(lambda: backward(dy, x, w, *fixed, [True] * 3)))]
    if name == "W8-pool":
        x, dy = pictures(100, 3, 32, 32, dtype=torch.float64), pictures(100, 3, 16, 16, dtype=torch.float64)
        _, places = F.max_pool2d(x, 2, return_indices=True)
        down = torch.ops.aten.max_pool2d_with_indices_backward
        return [("forward", quietly(lambda: F.max_pool2d(x, 2))),
                ("backward", quietly(lambda: down(dy, x, [2, 2], [2, 2], [0, 0], [1, 1], False, places)))]
    if name == "W9-norm-relu":
        x, dy = pictures(64, 64, 32, 32).requires_grad_(), pictures(64, 64, 32, 32)
        norm = nn.BatchNorm2d(64)
        y = F.relu(norm(x))
        inputs = [x, *norm.parameters()]
        return [("forward", lambda: F.relu(norm(x))),
                ("backward", lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True))]
    channels, filters, side, kernel, stride, groups = CONVOLUTIONS[name]
    pad = kernel // 2
    x = pictures(64, channels, side, side)
    w = pictures(filters, channels // groups, kernel, kernel)
    dy = torch.randn_like(F.conv2d(x, w, None, stride, pad, 1, groups))
    fixed = (None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups)
    return [("forward", quietly(lambda: F.conv2d(x, w, None, stride, pad, 1, groups))),
            ("data", quietly(lambda: backward(dy, x, w, *fixed, [True, False, False]))),
            ("weights", quietly(lambda: backward(dy, x, w, *fixed, [False, True, False])))]

#!/usr/bin/env python3
"""Makes the sample pictures and what Pillow and torchvision make of them.

    pip install pillow numpy torch torchvision
    python3 make.py

Each picture is the same 50 x 37 pattern in another format. NAME.planes holds torchvision's Resize(16), CenterCrop(16) of it as
16 x 16 red, green and blue planes.
"""
import numpy as np
from PIL import Image
from torchvision.transforms import v2

y, x = np.mgrid[0:37, 0:50].astype(float)
red = 128 + 100 * np.sin(x / 6) * np.cos(y / 9)
green = 40 + 4 * x
blue = 230 - 5 * y
pattern = Image.fromarray(np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8))

exif = Image.Exif()
exif[0x0112] = 1  # the orientation, which the tests change
pattern.save("exif.jpg", quality=92, exif=exif)
pattern.save("progressive.jpg", quality=92, progressive=True)
pattern.convert("L").save("gray.jpg", quality=92)
pattern.convert("CMYK").save("cmyk.jpg", quality=92)
pattern.save("rgb.png")
pattern.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save("palette.png")
pattern.save("rgb.bmp")
pattern.save("lossy.webp", quality=90)
pattern.save("lossless.webp", lossless=True)

fit = v2.Compose([v2.Resize(16), v2.CenterCrop(16)])
for name in ["exif.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "rgb.png", "palette.png", "rgb.bmp", "lossy.webp", "lossless.webp"]:
    square = fit(Image.open(name).convert("RGB"))
    open(f"{name}.planes", "wb").write(np.asarray(square).transpose(2, 0, 1).tobytes())

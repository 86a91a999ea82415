"""From the start of the program to the end of its first training step on the embedded pictures.

    cargo build --release && python3 bench/start.py [settings of train]

Starts `chainrule train` seven times and waits for the first line of metrics.jsonl, which is written after the first update.
"""
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(__file__).parent.parent / "target" / "release" / "chainrule"


def once(settings):
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        metrics = out / "metrics.jsonl"
        start = time.perf_counter()
        training = subprocess.Popen([PROGRAM, "train", "--quiet", "--out", out, *settings])
        while not (metrics.exists() and metrics.stat().st_size):
            if training.poll() is not None:
                raise SystemExit("the training ended before its first step")
            time.sleep(0.0005)
        took = time.perf_counter() - start
        training.kill()
        training.wait()
        return took


seconds = [once(sys.argv[1:]) for _ in range(7)]
print(f"first step after {statistics.median(seconds):.3f} s (median of 7; least {min(seconds):.3f}, most {max(seconds):.3f})")

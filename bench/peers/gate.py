"""A quiet-machine gate for Python, the twin of bench/src/gate.rs: the same rules, so that all sides are timed alike.

Samples are taken in chunks of about 150 ms. A chunk counts when the canaries before and after it (3 ms of multiply-adds on all
processors, and on a machine with two of them the time that a cache line takes from one to the other and back) reach 90 % of the
best rate of the run and no trip took 2.5 times as long as the shortest, and other processes used next to no processor time
meanwhile.
"""
import ctypes
import hashlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUIET = 0.90
FAR = 2.5
NEAR_NS = 60
ENOUGH = 5
CHUNK_S = 0.15
PAUSE_S = 0.008
BURST_S = 0.003
PROCESSORS = len(os.sched_getaffinity(0))


def build_canary():
    """The canary in C, or None where there is no compiler. Kept beside Python's own caches, one per source and CPU."""
    source = Path(__file__).with_name("canary.c")
    model = platform.machine()
    for line in open("/proc/cpuinfo"):
        if line.startswith(("model name", "flags")):
            model += line
            if line.startswith("flags"):
                break
    name = "canary-" + hashlib.sha256(source.read_bytes() + model.encode()).hexdigest()[:16] + ".so"
    cache = source.parent / "__pycache__"
    try:
        cache.mkdir(exist_ok=True)
        library = cache / name
        if not library.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                built = Path(scratch) / name
                command = ["cc", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread"]
                subprocess.run([*command, str(source), "-o", str(built)], check=True, capture_output=True)
                os.replace(built, library)
        canary = ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError) as fault:
        print(f"no canary in C ({fault}); a product of NumPy matrices takes its place", file=sys.stderr)
        return None
    canary.burst.restype = canary.round_trip_ns.restype = ctypes.c_double
    canary.burst.argtypes = [ctypes.c_int, ctypes.c_long]
    canary.round_trip_ns.argtypes = []
    return canary


class Canary:
    """Bursts of a fixed amount of work, chosen so that one takes about three milliseconds here."""

    def __init__(self):
        self.in_c = build_canary()
        if self.in_c:
            rate = self.in_c.burst(PROCESSORS, 100_000)
            self.rounds = max(1, int(BURST_S * rate * 1e9 / PROCESSORS / (2 * 8 * 10)))
            return
        import numpy as np
        self.matrix = np.ones((256, 256), np.float32)
        self.rounds = 1
        self.rounds = max(1, int(BURST_S * self.burst() * 1e9 / (2 * 256**3)))

    def look(self):
        """The rate of one burst in GFLOP/s and the round trip in nanoseconds (0 where there are not just two processors)."""
        return self.burst(), self.in_c.round_trip_ns() if self.in_c and PROCESSORS == 2 else 0.0

    def burst(self):
        """The rate of one burst in GFLOP/s."""
        if self.in_c:
            return self.in_c.burst(PROCESSORS, self.rounds)
        self.matrix @ self.matrix
        start = time.perf_counter()
        for _ in range(self.rounds):
            self.matrix @ self.matrix
        return self.rounds * 2 * 256**3 / (time.perf_counter() - start) / 1e9


class Load:
    """Processor seconds used so far by the machine (without idle and waiting) and by this process."""

    def __init__(self):
        self.at = time.perf_counter()
        with open("/proc/stat") as stat:
            ticks = [int(t) for t in stat.readline().split()[1:9]]
        self.busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        self.own = own.user + own.system

    def others(self, later):
        return max(0.0, (later.busy - self.busy) - (later.own - self.own))

    def contended(self, later):
        return self.others(later) > max(0.021, 0.04 * (later.at - self.at))


def wait_until_idle(limit_s):
    start = time.perf_counter()
    while time.perf_counter() - start < limit_s:
        before = Load()
        time.sleep(0.06)
        if before.others(Load()) < 0.015:
            break
        time.sleep(0.2)
    return time.perf_counter() - start


def is_quiet(look, best):
    return look[0] >= QUIET * best[0] and look[1] <= FAR * max(best[1], NEAR_NS)


def quiet_samples(chunks, best):
    """The samples of chunks (times, before, after, contended) between two quiet canaries, with nobody else at work."""
    return [t for times, before, after, contended in chunks
            if not contended and is_quiet(before, best) and is_quiet(after, best) for t in times]


class Gate:
    """One for a process: all measurements share its best look and its patience (seconds of waiting for others)."""

    def __init__(self, patience_s):
        self.canary = Canary()
        self.best = (0.0, float("inf"))
        self.patience = patience_s
        for _ in range(20):
            self.look()
            time.sleep(PAUSE_S)

    def look(self):
        look = self.canary.look()
        self.best = (max(self.best[0], look[0]), min(self.best[1], look[1]))
        return look

    def wait(self):
        waited = wait_until_idle(self.patience)
        self.patience = max(0.0, self.patience - waited)
        return waited

    def measure(self, step, budget_s, samples=100, warmup=10):
        """A dict of median_ms, min_ms, n, quiet, median_all_ms, n_all, contended_chunks, canary_gflops, peak_gflops, trip_ns."""
        clock = time.perf_counter
        for _ in range(warmup):
            step()
        start = clock()
        step()
        estimate = clock() - start
        per_chunk = max(1, min(samples, int(CHUNK_S / max(estimate, 1e-7))))
        chunks, canaries = [], []
        end = clock() + budget_s
        while True:
            late = clock() >= end
            time.sleep(PAUSE_S)
            load = Load()
            before = self.look()
            canaries.append(before[0])
            if not is_quiet(before, self.best) and not late:
                if load.contended(Load()):
                    end += self.wait()
                time.sleep(0.02)
                continue
            if estimate < 0.05:
                step()
            times = []
            for _ in range(per_chunk):
                start = clock()
                step()
                times.append((clock() - start) * 1e3)
            time.sleep(PAUSE_S)
            after = self.look()
            canaries.append(after[0])
            contended = load.contended(Load())
            chunks.append((times, before, after, contended))
            if late or len(quiet_samples(chunks, self.best)) >= samples:
                return self.summary(chunks, canaries)
            if contended:
                end += self.wait()

    def summary(self, chunks, canaries):
        everything = [t for chunk in chunks for t in chunk[0]]
        quiet = quiet_samples(chunks, self.best)
        enough = len(quiet) >= ENOUGH
        counted = quiet if enough else everything
        return dict(
            median_ms=round(statistics.median(counted), 5), min_ms=round(min(everything), 5), n=len(counted), quiet=enough,
            median_all_ms=round(statistics.median(everything), 5), n_all=len(everything),
            contended_chunks=sum(chunk[3] for chunk in chunks),
            canary_gflops=round(statistics.median(canaries), 1), peak_gflops=round(self.best[0], 1),
            trip_ns=round(self.best[1], 1))

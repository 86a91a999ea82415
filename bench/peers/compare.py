#!/usr/bin/env python3
"""Run our benchmark and the peers' in turn on this machine, and print the ratios of ours to the best peer.

    python bench/peers/compare.py [--threads 2,1] [--rounds 3] [--only W1,W3]

Run it with the Python that has torch, numpy and pillow (bench/README.md). In each round every program runs once for each
number of threads, in an order that rotates; a cell is the median over rounds of the gated median. All rows, the machine and
the table go to a JSON file (runs/compare.json).
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from gate import PROCESSORS, is_quiet
from workloads import chosen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# glibc then keeps what is freed and never maps a block alone: without it large tensors are mapped, and touched first, each step.
RETAIN = dict(MALLOC_MMAP_THRESHOLD_="4294967296", MALLOC_TRIM_THRESHOLD_="17179869184", MALLOC_TOP_PAD_="268435456")
BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def programs(args):
    """(name, command for T threads, environment) of everything that runs."""
    def peer(script, *more):
        common = ["--budget", str(args.seconds), "--patience", str(args.patience), "--only", args.only, *more]
        return lambda threads: [sys.executable, str(HERE / script), "--threads", str(threads), *common]

    def ours(threads):
        bench = ["bench", "--json", "--infer", "--seconds", str(args.seconds), "--threads", str(threads)]
        return ["cargo", "run", "--quiet", "--release", "--", *bench, *(["--only", args.only] if args.only else [])]

    found = [("chainrule", ours, {})] if not args.peers_only else []
    modes = ("--modes", args.modes)
    found.append(("torch", peer("torch_peer.py", *modes), {}))
    found.append(("torch, tuned allocator", peer("torch_peer.py", *modes, "--tag", "retained"), RETAIN))
    found.append(("numpy", peer("numpy_peer.py"), {}))
    return found


def run(program, threads, number):
    """The rows that one program prints, with its name and the round."""
    name, command, environment = program
    command = command(threads)
    print(f"round {number + 1}, {threads} thread(s): {name}", file=sys.stderr, flush=True)
    environment = os.environ | {v: str(threads) for v in BLAS} | environment
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with code {done.returncode}:\n{done.stderr[-3000:]}")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not rows and name != "numpy":
        raise SystemExit(f"{' '.join(command)}\nprinted no measurements")
    for row in rows:
        row.setdefault("variant", name)
        row |= dict(program=name, round=number)
    return rows


def cells(rows):
    """{(name, threads): {variant: cell}}. Rows of a quiet machine count; where there is none, all do, and `quiet` is false.

    A run that never saw the machine at its best took a slow machine for a quiet one: its best look at it, against the best of
    the same program, gives it away.
    """
    best = {}
    for row in rows:
        peak, trip = best.get(row["program"], (0, float("inf")))
        best[row["program"]] = max(peak, row["peak_gflops"]), min(trip, row["trip_ns"])
    grouped = {}
    for row in rows:
        quiet = row["quiet"] and is_quiet((row["peak_gflops"], row["trip_ns"]), best[row["program"]])
        of_name = grouped.setdefault((row["name"], row["threads"]), {})
        of_name.setdefault(row["variant"], []).append((quiet, row["median_ms"], row["min_ms"]))
    result = {}
    for key, variants in grouped.items():
        for variant, measured in variants.items():
            good = [m for quiet, m, _ in measured if quiet]
            result.setdefault(key, {})[variant] = dict(
                median_ms=statistics.median(good or [m for _, m, _ in measured]), min_ms=min(low for *_, low in measured),
                rounds=len(measured), quiet_rounds=len(good), quiet=bool(good))
    return result


KINDS = {
    "eager": lambda v: v.startswith(("torch eager", "torch fused")),
    "compile": lambda v: v.startswith("torch compile"),
    "numpy": lambda v: v.startswith("numpy"),
}


def table(measured):
    """One dict a workload and number of threads: ours, the best variant of each kind of peer, and our ratios to them."""
    lines = []
    for (name, threads), variants in measured.items():
        ours = variants.get("chainrule")
        line = dict(name=name, threads=threads, ours_ms=ours and ours["median_ms"], quiet=not ours or ours["quiet"])
        for kind, belongs in KINDS.items():
            peers = {v: cell for v, cell in variants.items() if belongs(v)}
            if not peers:
                continue
            # A median of quiet rounds beats one of a disturbed machine whatever it says.
            best = min(peers, key=lambda v: (not peers[v]["quiet"], peers[v]["median_ms"]))
            line[kind] = dict(variant=best, median_ms=peers[best]["median_ms"])
            line["quiet"] &= peers[best]["quiet"]
            if ours:
                line[kind]["ratio"] = round(ours["median_ms"] / peers[best]["median_ms"], 4)
        lines.append(line)
    return sorted(lines, key=lambda line: (line["name"].split()[1] == "infer", -line["threads"], line["name"]))


def show(lines):
    print(f"\n{'':<27}{'thr':>3}{'ours':>9}  {'best eager':>10}{'ratio':>7}  {'compile':>10}{'ratio':>7}  {'numpy':>10}{'ratio':>7}   (ms)")
    for line in lines:
        text = f"{line['name']:<27}{line['threads']:>3}" + (f"{line['ours_ms']:>9.3f}" if line["ours_ms"] else f"{'-':>9}")
        for kind in KINDS:
            cell = line.get(kind)
            text += f"  {cell['median_ms']:>10.3f}" if cell else f"  {'-':>10}"
            text += f"{cell['ratio']:>7.2f}" if cell and "ratio" in cell else f"{'-':>7}"
        note = line["eager"]["variant"] if "eager" in line else ""
        print(f"{text}   {note}{'' if line['quiet'] else '   * not quiet'}")
    for threads in sorted({line["threads"] for line in lines}, reverse=True):
        ratios = [line["eager"]["ratio"] for line in lines if line["threads"] == threads and "ratio" in line.get("eager", {})]
        if len(ratios) > 1:
            print(f"{len(ratios)} ratios to the best eager PyTorch on {threads} thread(s): geometric mean "
                  f"{statistics.geometric_mean(ratios):.2f}, largest {max(ratios):.2f}")
    if not all(line["quiet"] for line in lines):
        print("* no round saw a quiet machine for one side of this line: read it as weather, and measure again")


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    versions = {p: importlib.metadata.version(p) for p in ("torch", "numpy")}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return dict(cpu=model, processors=PROCESSORS, python=platform.python_version(), **versions, commit=commit,
                date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default=f"{PROCESSORS},1", help=f"numbers of threads (default {PROCESSORS},1)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="workloads, as in W1,W3 (default all)")
    parser.add_argument("--modes", default="eager,fused,compile", help="PyTorch's modes (default all three)")
    parser.add_argument("--seconds", type=int, default=8, help="the longest a measurement may take (default 8)")
    parser.add_argument("--patience", type=float, default=300, help="seconds a peer waits for other processes (default 300)")
    parser.add_argument("--peers-only", action="store_true", help="leave our own benchmark out")
    parser.add_argument("--json", type=Path, default=ROOT / "runs" / "compare.json", metavar="FILE")
    args = parser.parse_args()
    chosen(args.only)
    threads = list(dict.fromkeys(int(t) for t in args.threads.split(",")))
    if args.rounds < 1 or min(threads) < 1:
        parser.error("--rounds and --threads start at 1")
    if not args.peers_only and subprocess.run(["cargo", "build", "--release"], cwd=ROOT).returncode:
        raise SystemExit("our own program does not build (see above); --peers-only measures without it")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    every = programs(args)
    rows = []
    for number in range(args.rounds):
        turned = every[number % len(every):] + every[:number % len(every)]
        for count in threads:
            for program in turned:
                rows += run(program, count, number)
    lines = table(cells(rows))
    show(lines)
    settings = {k: str(v) for k, v in vars(args).items()}
    args.json.write_text(json.dumps(dict(machine=machine(), settings=settings, table=lines, rows=rows), indent=1) + "\n")
    print(f"\nall rows: {args.json}")


main()

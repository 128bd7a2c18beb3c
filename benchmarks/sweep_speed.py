"""Points per CPU-second of a vectorised sweep, and its ratio to one point at a time.

Llama-2-7B decode on an H100 over batch 1:512 and context 128:8192:16 (258,560
points), imports and file reading excluded. Checks that sampled points are equal.

    python benchmarks/sweep_speed.py [--singles 200]
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import perfmodel
from perfmodel.evaluate import evaluate, totals
from perfmodel.sweeping import parse_axes, sweep_blocks

OVER = ["batch=1:512", "context=128:8192:16"]


def main() -> int:
    """Evaluate the grid at once and a sample of it one by one; print both speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--singles", type=int, default=200)
    singles = parser.parse_args().singles
    workload = perfmodel.load_workload("llama-2-7b")
    machine = perfmodel.load_hardware("h100-sxm")
    axes = parse_axes(OVER)
    for _ in sweep_blocks(workload, [machine], {"batch": [1.0]}, phase="decode"):
        pass  # imports what is imported on first use

    began = time.process_time()
    blocks = list(sweep_blocks(workload, [machine], axes, phase="decode"))
    together = time.process_time() - began
    points = sum(len(b["batch"]) for b in blocks)

    random.seed(0)
    sampled = [random.choice(blocks) for _ in range(singles)]
    chosen = [(random.randrange(len(b["batch"])), b) for b in sampled]
    began = time.process_time()
    for i, block in chosen:
        dims = {"batch": int(block["batch"][i]), "context": int(block["context"][i])}
        graph = workload.bind(dims, phase="decode")
        sums = totals(graph, evaluate(graph, machine))
        if sums["time_s"] != block["time_s"][i] or sums["bytes"] != block["bytes"][i]:
            print(f"point {dims} differs: {sums['time_s']} against {block['time_s'][i]}")
            return 1
    alone = (time.process_time() - began) / singles

    fast, slow = points / together, 1 / alone
    print(f"{points:,} points in {together:.2f} CPU-s: {fast:,.0f} points per CPU-second")
    print(f"one by one: {slow:,.0f} points per CPU-second ({singles} points, all equal)")
    print(f"ratio: {fast / slow:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

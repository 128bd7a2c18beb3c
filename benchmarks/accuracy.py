"""How far predictions are off: ROWS kernels of a device fitted, the others predicted.

    python benchmarks/accuracy.py FOLDER    # of kernels.csv files with a `hardware` column

Per device and operator family, the mean absolute percentage error of the datasheet
roofline, of the device never measured (rules), and of the fit to at most 50 rows a family
(stratified by FLOP, the mean of three seeds), with the share of held-out rows inside the
90 % interval; then what each term of the model is worth.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

import perfmodel
from perfmodel.measure.fit import fit
from perfmodel.measure.predict import predict
from perfmodel.model import TERMS
from perfmodel.readers.kernel_table import KernelTable, read_kernels

ROWS, SEEDS = 50, 3
NAMES = {"matmul": "matmul", "softmax": "softmax", "layer_norm": "layer_norm"}


def family(table: KernelTable, index: int) -> str:
    """Return the family a row is scored in."""
    op = table.rows[index].op.name
    if op == "attention":
        return "decode" if table.sizes(index)["q_len"] == 1 else "prefill"
    return NAMES.get(op, "elementwise")


def stratified(table: KernelTable, rows: list[int], seed: int) -> list[int]:
    """Return ROWS of ``rows``, one of each stratum of FLOP."""
    flops = np.zeros(len(table))
    for group in table.groups:
        node = group.graph.nodes[0]
        flops[group.rows] = node.algorithms()[0].work.flops
    order = sorted(rows, key=lambda i: flops[i])
    chance = np.random.default_rng(seed)
    return [int(chance.choice(part)) for part in np.array_split(order, ROWS) if len(part)]


def off(found: object, measured: np.ndarray, rows: list[int]) -> tuple[float, float]:
    """Return (MAPE, share inside the interval) over ``rows``."""
    time, low, high = (getattr(found, k)[rows] for k in ("time", "low", "high"))
    y = measured[rows]
    return float(np.mean(np.abs(time / y - 1))), float(np.mean((low <= y) & (y <= high)))


def main(folder: Path) -> None:
    """Print the table."""
    print(f"{'device':20}{'family':12}{'rows':>6}{'roofline':>10}{'rules':>8}{'(90 %)':>8}"
          f"{'fitted':>8}{'(90 %)':>8}  without " + ", ".join(TERMS))  # fmt: skip
    for file in sorted(folder.glob("gpu-*.csv")):
        with file.open() as lines:
            devices = sorted({row["hardware"] for row in csv.DictReader(lines)})
        for device in devices:
            one(device, read_kernels(file, {device}))


def one(device: str, table: KernelTable) -> None:
    """Print a device's lines."""
    base = replace(perfmodel.load_hardware(device), efficiency=None)
    by_family: dict[str, list[int]] = defaultdict(list)
    for index in range(len(table)):
        by_family[family(table, index)].append(index)
    rules = predict(table, base)
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    worth: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        chosen = {f: stratified(table, rows, seed) for f, rows in by_family.items()}
        taken = [i for rows in chosen.values() for i in rows]
        fitted = replace(base, efficiency=fit(base, table.take(taken)))
        found = predict(table, fitted)
        for name, rows in by_family.items():
            held = sorted(set(rows) - set(chosen[name]))
            scores[name].append(off(found, table.measured, held))
        if seed == SEEDS - 1:
            for term in TERMS:
                less = predict(table, fitted, frozenset({term}))
                for name, rows in by_family.items():
                    worth.setdefault(name, []).append(off(less, table.measured, rows)[0])
            told = {k: float(f"{e.value:.3g}") for k, e in fitted.efficiency.parameters.items()}
            print(device, told)
    for name, rows in by_family.items():
        roof = float(np.mean(np.abs(rules.roofline[rows] / table.measured[rows] - 1)))
        unseen, fit_ = off(rules, table.measured, rows), np.mean(scores[name], axis=0)
        print(f"{device:20}{name:12}{len(rows):6}{roof:10.1%}{unseen[0]:8.1%}{unseen[1]:8.0%}"
              f"{fit_[0]:8.1%}{fit_[1]:8.0%}  " + " ".join(f"{w:.1%}" for w in worth[name]),
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How far predictions are off on measured kernels, and what each term of the model is worth.

    python benchmarks/accuracy.py FOLDER            # the tables of docs/accuracy.md
    python benchmarks/accuracy.py FOLDER --write    # fits to all rows, into hardware/ and rules.py

FOLDER holds kernels.csv files (gpu-*.csv) with a `hardware` column. By device and family
of operators, the mean absolute percentage error of

- roofline: the datasheet's,
- unseen: the device left out, its parameters carried over from the others' fits,
- fitted: calibrated with 50 rows a family, stratified by FLOP; the other rows are
  predicted, the mean of three seeds,

each of the last two with the share of rows inside the 90 % interval; then the error
that the fitted model makes without each term.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

import perfmodel
from perfmodel.machine import Machine, rules
from perfmodel.machine.efficiency_file import write_efficiency
from perfmodel.machine.rules import Donor, clock_of, default_efficiency, memory_of, year_of
from perfmodel.measure.fit import fit
from perfmodel.measure.predict import Predictions, predict
from perfmodel.model import TERMS
from perfmodel.readers.kernel_table import KernelTable, read_kernels

ROWS, SEEDS = 50, 3
#: a fit to all rows takes at most so many of a family
MANY = 800
OPS = ("matmul", "softmax", "layer_norm")
#: parameters of tiles
TILES = ("compute_share", "step", "latency", "throttle")
#: where the rows of a format are published
SOURCES = {
    "bf16": "aiconfigurator (ai-dynamo), collections of sglang 0.5.10, Apache-2.0",
    "fp32": "NeuSight (sitar-lab), PyTorch 2.1, MIT",
}
ROOT = Path(__file__).parents[1]


def read(folder: Path) -> dict[str, KernelTable]:
    """Return the rows of every device, of all files together."""
    found: dict[str, KernelTable] = {}
    for file in sorted(folder.glob("gpu-*.csv")):
        with file.open() as lines:
            devices = sorted({row["hardware"] for row in csv.DictReader(lines)})
        for device in devices:
            table = read_kernels(file, {device})
            before = found[device].rows if device in found else ()
            found[device] = KernelTable(folder.name, [*before, *table.rows])
    return found


def families(table: KernelTable) -> dict[str, list[int]]:
    """Return the rows by the family that they are scored in."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(table.rows):
        name = row.op.name if row.op.name in OPS else "elementwise"
        if row.op.name == "attention":
            name = "decode" if table.sizes(index)["q_len"] == 1 else "prefill"
        found[f"{name} {row.dtype}"].append(index)
    return found


def stratified(table: KernelTable, rows: list[int], count: int, seed: int) -> list[int]:
    """Return ``count`` of ``rows``, one of each stratum of FLOP."""
    flops = np.zeros(len(table))
    for group in table.groups:
        flops[group.rows] = group.graph.nodes[0].algorithms()[0].work.flops
    order = sorted(rows, key=lambda i: flops[i])
    chance = np.random.default_rng(seed)
    parts = np.array_split(order, min(count, len(order)))
    return [int(chance.choice(part)) for part in parts]


def score(found: Predictions, measured: np.ndarray, rows: list[int]) -> tuple[float, float]:
    """Return (MAPE, share inside the interval) over ``rows``."""
    time, low, high = (getattr(found, k)[rows] for k in ("time", "low", "high"))
    y = measured[rows]
    return float(np.mean(np.abs(time / y - 1))), float(np.mean((low <= y) & (y <= high)))


def bare(name: str) -> Machine:
    """Return a device of the catalogue without what is known of its efficiency."""
    return replace(perfmodel.load_hardware(name), efficiency=None)


def fit_all(name: str, table: KernelTable) -> Machine:
    """Return the device fitted to all its rows, or to MANY of a family."""
    chosen = [i for rows in families(table).values() for i in stratified(table, rows, MANY, 0)]
    base = replace(bare(name), efficiency=default_efficiency(bare(name), ()))
    return replace(base, efficiency=fit(base, table.take(sorted(chosen))))


def donor(machine: Machine, table: KernelTable) -> Donor:
    """Return what a fitted device tells about others.

    Products on the vector engine tell nothing about those on an engine for matrices.
    """
    on_tensor_cores = any(row.dtype == "bf16" for row in table.rows)
    assert machine.efficiency is not None
    told = {
        name: float(f"{item.value:.4g}")
        for name, item in machine.efficiency.parameters.items()
        if item.method == "fitted" and (on_tensor_cores or name not in TILES)
    }
    year = round(year_of(machine) or 0.0, 2)
    return Donor(machine.name, year, memory_of(machine), clock_of(machine), told)


def show(folder: Path) -> None:
    """Print the tables."""
    tables = read(folder)
    fitted = {name: fit_all(name, table) for name, table in tables.items()}
    donors = {name: donor(machine, tables[name]) for name, machine in fitted.items()}
    print(f"{'device':16}{'family':18}{'rows':>5}{'roofline':>9}{'unseen':>8}{'(90 %)':>8}"
          f"{'fitted':>8}{'(90 %)':>8}   without " + ", ".join(TERMS))  # fmt: skip
    for name, table in tables.items():
        others = [d for other, d in donors.items() if other != name]
        base = replace(bare(name), efficiency=default_efficiency(bare(name), others))
        one(name, table, base)


def one(name: str, table: KernelTable, base: Machine) -> None:
    """Print a device's lines; ``base`` has no row of it."""
    by_family = families(table)
    unseen = predict(table, base)
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(SEEDS):
        chosen = {f: stratified(table, rows, ROWS, seed) for f, rows in by_family.items()}
        taken = sorted(i for rows in chosen.values() for i in rows)
        fitted = replace(base, efficiency=fit(base, table.take(taken)))
        found = predict(table, fitted)
        for family, rows in by_family.items():
            held = sorted(set(rows) - set(chosen[family]))
            scores[family].append(score(found, table.measured, held))
    less = {term: predict(table, fitted, frozenset({term})) for term in TERMS}
    for family, rows in by_family.items():
        roof = float(np.mean(np.abs(unseen.roofline[rows] / table.measured[rows] - 1)))
        apart, after = score(unseen, table.measured, rows), np.mean(scores[family], axis=0)
        worth = " ".join(f"{score(p, table.measured, rows)[0]:.1%}" for p in less.values())
        print(f"{name:16}{family:18}{len(rows):5}{roof:9.1%}{apart[0]:8.1%}{apart[1]:8.0%}"
              f"{after[0]:8.1%}{after[1]:8.0%}   {worth}", flush=True)  # fmt: skip


def write(folder: Path) -> None:
    """Fit every device to all its rows; write its hardware file and its word for others."""
    lines = []
    for name, table in read(folder).items():
        machine = fit_all(name, table)
        told = donor(machine, table)
        values = "".join(f'            "{k}": {v!r},\n' for k, v in told.values.items())
        first = f'        "{told.name}", {told.year}, "{told.memory}", {told.clock!r},\n'
        lines.append(f"    Donor(\n{first}        {{\n{values}        }},\n    ),\n")
        assert machine.efficiency is not None
        kept = {k: e for k, e in machine.efficiency.parameters.items() if e.method == "fitted"}
        spreads = {k: s for k, s in machine.efficiency.spreads.items() if s.method == "fitted"}
        block = write_efficiency(replace(machine.efficiency, parameters=kept, spreads=spreads))
        source = SOURCES["bf16" if any(r.dtype == "bf16" for r in table.rows) else "fp32"]
        block = block.replace(f'"{folder.name}"', f'"{source}"')
        file = ROOT / "hardware" / f"{name}.yaml"
        text = file.read_text()
        text = re.sub(r"(?ms)^efficiency:.*?(?=^sources:)", "", text)
        before, sources, after = text.partition("\nsources:")
        file.write_text(f"{before.rstrip()}\n\n{block}{sources}{after}")
    rule = Path(rules.__file__)
    body = "".join(lines)
    text = re.sub(r"(?ms)^DONORS: .*?^_?(?=#: a GPU without)", "", rule.read_text())
    at = text.index("#: a GPU without")
    made = f"DONORS: tuple[Donor, ...] = (\n{body})\n\n"
    rule.write_text(text[:at] + made + text[at:])


if __name__ == "__main__":
    (write if "--write" in sys.argv[2:] else show)(Path(sys.argv[1]))

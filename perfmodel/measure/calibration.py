"""Fits a device to kernels measured on it, and says how good the fit is on others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perfmodel.catalog import parse_document
from perfmodel.errors import InputError
from perfmodel.machine import Efficiency, Machine, efficiency_of
from perfmodel.machine.efficiency_file import with_efficiency
from perfmodel.machine.read import machine_from_document
from perfmodel.measure.validation import Validation, validate
from perfmodel.readers.kernel_table import KernelTable, Rows

SCHEMA = "perfmodel/calibration@1"

Fit = Callable[[Machine, KernelTable], Efficiency]


@dataclass(frozen=True)
class Calibration:
    """A fitted device: its file's ``text``, and scores.

    ``before`` is BASE on all rows, ``after`` the file on all rows, which are those it
    was fitted to; ``held_out`` a fit to some rows, scored on the others (None where no
    row was held out).
    """

    base: Machine
    machine: Machine
    text: str
    before: Validation
    after: Validation
    held_out: Validation | None

    def data(self) -> dict[str, Any]:
        """Return the calibration as plain data: parameters before and after, scores."""
        old, new = efficiency_of(self.base).parameters, efficiency_of(self.machine).parameters
        return {
            "schema": SCHEMA,
            "hardware": self.machine.name,
            "based_on": self.base.name,
            "conditions": self.after["conditions"],
            "parameters": {
                name: {"before": _plain(old[name]), "after": _plain(new[name])} for name in new
            },
            "accuracy": {f: _plain(s) for f, s in efficiency_of(self.machine).spreads.items()},
            "before": _scores(self.before),
            "after": _scores(self.after),
            "held_out": None if self.held_out is None else _scores(self.held_out),
        }


def calibrate(
    base: Machine,
    text: str,
    table: KernelTable,
    fit: Fit,
    *,
    name: str,
    holdout: float = 0.0,
    seed: int = 0,
) -> Calibration:
    """Return ``base``, whose file is ``text``, fitted to ``table``.

    ``holdout`` is the share of each operator's rows that a first fit does not see and is
    scored on; the file's own fit then takes all rows.
    Raises InputError where ``text`` cannot be changed into the new file.
    """
    kept, held = split(table, holdout, seed)
    held_out = None
    if len(held):
        partial = replace(base, efficiency=fit(base, table.take(kept)))
        held_out = validate(table.take(held), partial)
    written = with_efficiency(text, name, base.based_on or base.name, fit(base, table))
    machine = machine_from_document(parse_document(written, f"{name}.yaml"))
    if machine.name != name or machine.efficiency is None:
        raise InputError(
            f"the file of {base.name} has no lines 'name:' and 'sources:' to write beside",
            mend="write it in block style, a key a line, as the built-in files are",
        )
    return Calibration(
        base, machine, written, validate(table, base), validate(table, machine), held_out
    )


def split(table: KernelTable, holdout: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to fit and those held out: a share of each operator's, drawn by chance.

    An operator with so few rows that its share is less than one keeps all of them.
    """
    rng = np.random.default_rng(seed)
    ops = np.array(table.column("op"))
    held = [
        rng.permutation(rows)[: int(holdout * len(rows))]
        for rows in (np.flatnonzero(ops == op) for op in sorted(set(ops)))
    ]
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(table)), out), out


def _scores(found: Validation) -> dict[str, Any]:
    return {key: found[key] for key in ("totals", "by_op", "by_bound", "by_launch")}


def _plain(item: Any) -> dict[str, Any]:
    return {key: value for key, value in vars(item).items() if value is not None}

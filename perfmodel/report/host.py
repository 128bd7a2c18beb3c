"""A calibration of this machine (schema perfmodel/calibration@1) in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from rich.text import Text

from perfmodel.report.tables import Strings, print_table
from perfmodel.report.terminal import make_console

Data = Mapping[str, Any]


def scaling_rows(data: Data) -> list[Strings]:
    """Return a row for each number of threads."""
    return [
        {
            "threads": str(row["threads"]),
            "products fp32": f"{row['flop_per_s'] / 1e9:.4g} GFLOP/s",
            **{
                f"copy, {level}": f"{row[f'{level}_bytes_per_s'] / 1e9:.4g} GB/s"
                for level in ("own", "shared", "memory")
            },
        }
        for row in data["scaling"]
    ]


def print_host(data: Data, stream: TextIO) -> None:
    """Print how far threads help, how good the fit is, and how disturbed the run was."""
    console = make_console(stream)
    print_table(scaling_rows(data), stream)
    quality = data["quality"]
    floor, held = quality["noise_floor"], quality["held_out"]
    if floor["pairs"]:
        console.print(
            Text(
                f"noise floor, visits against visits: mean {100 * floor['mean']:.1f} %, median"
                f" {100 * floor['median']:.1f} %, {100 * quality['clean']:.0f} % of"
                f" {quality['samples']:,} samples clean"
            )
        )
    kernels = quality["kernels"]
    console.print(
        Text(
            f"kernels: MAPE {100 * kernels['mape']:.1f} %, median"
            f" {100 * kernels['median_ape']:.1f} %, n {kernels['rows']}"
        )
    )
    console.print(
        Text(
            f"calls that a fit did not see: MAPE {100 * held['mape']:.1f} %, median"
            f" {100 * held['median_ape']:.1f} %, n {held['rows']}"
        )
    )

"""What convert does once the command line is parsed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from perfmodel.errors import InputError


def run_convert(
    workload: str,
    output: Path,
    dims: Sequence[str],
    phase: str | None,
    inputs: Sequence[str],
    values: Sequence[str],
    patterns: bool = True,
) -> None:
    """Read any workload and write it as YAML."""
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"cannot convert to '{output}'", mend="its name must end in .yaml")
    from perfmodel.cli.commands import parse_settings, parse_shapes, parse_values
    from perfmodel.readers import load_workload
    from perfmodel.readers.convert import as_yaml
    from perfmodel.report.files import write_text

    sizes = parse_settings(dims)
    network = load_workload(workload, parse_shapes(inputs), parse_values(values), patterns)
    write_text(output, as_yaml(network, sizes, phase))
    print(f"wrote {output}", file=sys.stderr)

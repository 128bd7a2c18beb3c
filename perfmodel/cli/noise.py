"""What noise does once the command line is parsed."""

from __future__ import annotations

import json
import sys


def run_noise(threads: int, seed: int, form: str) -> int:
    """Compare this machine with itself; return the exit code."""
    import numpy as np

    from perfmodel.cli.commands import check_format
    from perfmodel.measure.clocks import NumpyBackend
    from perfmodel.measure.noise import measure_noise
    from perfmodel.measure.probes import reference_probes
    from perfmodel.report.noise import noise_markdown, print_noise

    check_format(form, ("table", "json", "markdown"))
    backend = NumpyBackend()
    with backend.threads(threads):
        data = measure_noise(
            backend, reference_probes(backend), np.random.default_rng(seed), by_cpu=threads == 1
        )
    data["conditions"]["threads_used"] = threads
    if form == "json":
        print(json.dumps(data, indent=1, allow_nan=False))
    elif form == "markdown":
        print(noise_markdown(data), end="")
    else:
        print_noise(data, sys.stdout)
    return 0

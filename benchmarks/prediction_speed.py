"""How many predictions of the machine model a core makes: a million matrix products at once.

    python benchmarks/prediction_speed.py [DEVICE]

CPU seconds of this process, NumPy on one thread, the import left out.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

import perfmodel
from perfmodel.evaluate import evaluate
from perfmodel.readers.inline import parse_inline

COUNT = 1_000_000
KERNELS = {
    "matmul:m=1,n=1,k=1": ("m", "n", "k"),
    "softmax:rows=1,cols=1": ("rows", "cols"),
    "add:elements=1": ("elements",),
    "attention:batch=1,q_heads=32,kv_heads=8,q_len=1,kv_len=1,head_dim=128": ("batch", "kv_len"),
}


def main(device: str) -> None:
    """Print CPU seconds by kernel."""
    machine = perfmodel.load_hardware(device)
    rng = np.random.default_rng(0)
    for inline, names in KERNELS.items():
        sizes = {n: np.round(np.exp(rng.uniform(0, np.log(16384), COUNT))) for n in names}
        graph = parse_inline(inline).bind(sizes)
        start = time.process_time()
        (cost,) = evaluate(graph, machine)
        spent = time.process_time() - start
        assert np.size(cost.time) == COUNT
        name = inline.partition(":")[0]
        print(f"{name:10} {COUNT:,} predictions on {device}: {spent:.2f} CPU-s,"
              f" {COUNT / spent:,.0f} a CPU-second", flush=True)  # fmt: skip


if __name__ == "__main__":
    with threadpool_limits(1):
        main(sys.argv[1] if len(sys.argv) > 1 else "h100-sxm")

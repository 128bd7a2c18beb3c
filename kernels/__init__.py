"""Real kernels; `naive` holds the literal loops that the counting oracle runs, `fast` the others.

`registry.kernel_for` finds a kernel, `passes` says what one states, `network` runs a graph.
"""

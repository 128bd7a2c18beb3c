"""Real kernels; `naive` holds the literal loops that the counting oracle runs."""

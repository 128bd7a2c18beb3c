"""Predictions against measured kernels: score them, and fit a device to them."""

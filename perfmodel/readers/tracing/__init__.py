"""What readers of models share: Values while tracing, and the Network that they make."""

"""Recurrent units: the input's products of all steps as one, then a product a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.kernels.fast._products import product
from perfmodel.kernels.registry import kernel

#: sets the new hidden state from the step's input part, a buffer of gates and the state
Step = Callable[[Any], None]


def _run(xp: Any, op: Any, ws: Any, a: Any, unit: Callable[..., Any], width: int) -> Any:
    """Run layers and directions; states are [B, width], sequences between layers [T, B, width].

    ``unit`` is called once a layer and direction and returns the state's array and the step.
    """
    out, w = ws.output(a), a.weights
    batch, steps, size = a.x.shape
    x = ws.buffer("steps first", (steps, batch, size), out.dtype)
    xp.copyto(x, xp.swapaxes(a.x, 0, 1))
    for layer in range(op.layers):
        last = layer == op.layers - 1
        y = xp.swapaxes(out, 0, 1)
        if not last:
            shape = (steps, batch, op.directions * width)
            y = ws.buffer(("between", layer % 2), shape, out.dtype)
        for d in range(op.directions):
            W = w["deeper_input_weight"][layer - 1, d] if layer else w["input_weight"][d]
            gates = W.shape[0]
            hoisted = ws.buffer("hoisted", (steps, batch, gates), out.dtype)
            flat = hoisted.reshape(-1, gates)
            product(xp, x.reshape(-1, x.shape[2]), W.T, flat)
            given, own = unit(xp, op, ws, w, layer, d)
            if given is not None:
                xp.add(flat, given, out=flat)
            h, step = own(batch)
            to = y[:, :, d * width : (d + 1) * width]
            for t in range(steps) if d == 0 else reversed(range(steps)):
                step(hoisted[t])
                xp.copyto(to[t], h)
        x = y
    return out


def _summed(xp: Any, ws: Any, bias: Any, name: Any) -> Any:
    """Return the sum of a layer's biases, made once; None where there is none."""
    if bias.shape[0] == 0:
        return None
    if bias.shape[0] == 1:
        return bias[0]
    return ws.once(name, lambda: bias[0] + bias[1])


def _sigmoid(xp: Any, x: Any) -> None:
    """In place; the half before the hyperbolic tangent is applied already."""
    xp.multiply(x, 0.5, out=x)
    xp.add(x, 0.5, out=x)


def _state(xp: Any, ws: Any, name: str, shape: tuple[int, int], dtype: Any) -> Any:
    made = ws.buffer(("state", name), shape, dtype)
    xp.copyto(made, 0.0)
    return made


@kernel("rnn")
def rnn(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """h = tanh(W x + b + U h), or the rectified sum."""

    def unit(xp: Any, op: Any, ws: Any, w: Any, layer: int, d: int) -> Any:
        U = w["hidden_weight"][layer, d]

        def own(batch: int) -> tuple[Any, Step]:
            h = _state(xp, ws, "h", (batch, U.shape[1]), U.dtype)
            g = ws.buffer("gates", (batch, U.shape[0]), U.dtype)

            def step(of_input: Any) -> None:
                product(xp, h, U.T, g)
                xp.add(g, of_input, out=g)
                if op.nonlinearity == "tanh":
                    xp.tanh(g, out=h)
                else:
                    xp.maximum(g, 0.0, out=h)

            return h, step

        return _summed(xp, ws, w["bias"][layer, d], (layer, d)) if "bias" in w else None, own

    return _run(xp, op, ws, a, unit, op.hidden)


@kernel("gru")
def gru(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Reset and update gates together, the candidate, and the step towards it."""
    H = op.hidden

    def unit(xp: Any, op: Any, ws: Any, w: Any, layer: int, d: int) -> Any:
        U = w["hidden_weight"][layer, d]
        bias = w["bias"][layer, d] if "bias" in w else U[:0]
        own_bias = bias[1] if bias.shape[0] > 1 else None

        def own(batch: int) -> tuple[Any, Step]:
            h = _state(xp, ws, "h", (batch, H), U.dtype)
            g = ws.buffer("gates", (batch, 3 * H), U.dtype)
            rz, n = g[:, : 2 * H], g[:, 2 * H :]
            r, z = rz[:, :H], rz[:, H:]

            def step(of_input: Any) -> None:
                product(xp, h, U.T, g)
                if own_bias is not None:
                    xp.add(g, own_bias, out=g)
                xp.add(rz, of_input[:, : 2 * H], out=rz)
                xp.multiply(rz, 0.5, out=rz)
                xp.tanh(rz, out=rz)
                _sigmoid(xp, rz)
                xp.multiply(n, r, out=n)
                xp.add(n, of_input[:, 2 * H :], out=n)
                xp.tanh(n, out=n)
                xp.subtract(h, n, out=h)
                xp.multiply(h, z, out=h)
                xp.add(h, n, out=h)

            return h, step

        return bias[0] if bias.shape[0] else None, own

    return _run(xp, op, ws, a, unit, H)


@kernel("lstm")
def lstm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Gates i, f, g, o in one buffer: one hyperbolic tangent gives all four."""
    H, P = op.hidden, op.projection or op.hidden

    def unit(xp: Any, op: Any, ws: Any, w: Any, layer: int, d: int) -> Any:
        U = w["hidden_weight"][layer, d]
        peephole = w["peephole"][layer, d] if "peephole" in w else None
        down = w["projection_weight"][layer, d] if "projection_weight" in w else None

        def own(batch: int) -> tuple[Any, Step]:
            h = _state(xp, ws, "h", (batch, P), U.dtype)
            c = _state(xp, ws, "c", (batch, H), U.dtype)
            gates = ws.buffer("gates", (batch, 4 * H), U.dtype)
            t = ws.buffer("t", (batch, H), U.dtype)
            full = h if down is None else ws.buffer("full", (batch, H), U.dtype)
            i, f, g, o = (gates[:, n * H : (n + 1) * H] for n in range(4))

            def peep(gate: Any, row: int) -> None:
                xp.multiply(c, peephole[row], out=t)
                xp.add(gate, t, out=gate)

            def step(of_input: Any) -> None:
                product(xp, h, U.T, gates)
                xp.add(gates, of_input, out=gates)
                if peephole is not None:
                    peep(i, 0)
                    peep(f, 1)
                xp.multiply(gates[:, : 2 * H], 0.5, out=gates[:, : 2 * H])
                if peephole is None:
                    xp.multiply(o, 0.5, out=o)
                    xp.tanh(gates, out=gates)
                else:
                    xp.tanh(gates[:, : 3 * H], out=gates[:, : 3 * H])
                _sigmoid(xp, gates[:, : 2 * H])
                xp.multiply(c, f, out=c)
                xp.multiply(i, g, out=t)
                xp.add(c, t, out=c)
                if peephole is not None:
                    peep(o, 2)
                    xp.multiply(o, 0.5, out=o)
                    xp.tanh(o, out=o)
                _sigmoid(xp, o)
                xp.tanh(c, out=t)
                xp.multiply(o, t, out=full)
                if down is not None:
                    product(xp, full, down.T, h)

            return h, step

        return _summed(xp, ws, w["bias"][layer, d], (layer, d)) if "bias" in w else None, own

    return _run(xp, op, ws, a, unit, P)

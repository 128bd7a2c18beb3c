"""Scans of state-space layers: step by step over whole states, and by chunks as products."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import values_of
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.registry import kernel


@kernel("ssm_scan")
def ssm_scan(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A step is a few passes over the state [D, N] of a sample."""
    x, delta, b, c = a.inputs
    out, decay, skip = ws.output(a), a.weights["decay"], a.weights["skip"]
    B, T, D = x.shape
    state, t = (ws.buffer(name, (D, op.state), out.dtype) for name in ("state", "t"))
    into = ws.buffer("into", (D, 1), out.dtype)
    for i in range(B):
        xp.copyto(state, 0.0)
        for step in range(T):
            column, given = delta[i, step].reshape(-1, 1), x[i, step].reshape(-1, 1)
            xp.multiply(decay, column, out=t)
            xp.exp(t, out=t)
            xp.multiply(state, t, out=state)
            xp.multiply(column, given, out=into)
            xp.multiply(into, b[i, step], out=t)
            xp.add(state, t, out=state)
            y = out[i, step].reshape(-1, 1)
            product(xp, state, c[i, step].reshape(-1, 1), y)
            xp.multiply(given, skip.reshape(-1, 1), out=into)
            xp.add(y, into, out=y)
    return out


def _kind(name: str) -> Any:
    def refuses(op: Any, t: Any) -> str | None:
        return None if op.algorithm in (name, "auto") else f"it is to be {op.algorithm}"

    return refuses


@kernel("ssd_scan", algorithm="chunked", refuses=_kind("chunked"))
def chunked(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Within a chunk one product with faded scores, between chunks a state passed on.

    Source: Dao and Gu, arXiv:2405.21060, listing 1.
    """
    x, delta, b, c = a.inputs
    out, decay, skip = ws.output(a), a.weights["decay"], a.weights["skip"]
    (B, T, width), H, G = x.shape, op.heads, op.groups
    P, N, shared = width // H, b.shape[2] // G, H // G
    for i in range(B):
        state = ws.buffer("state", (H, N, P), out.dtype)
        xp.copyto(state, 0.0)
        for start in range(0, T, op.chunk):
            at = slice(start, min(start + op.chunk, T))
            Q = at.stop - start
            # [H, Q, P] and [G, Q, N], contiguous; u is delta x.
            u = ws.buffer("u", (H, Q, P), out.dtype)
            values = xp.swapaxes(x[i, at].reshape(Q, H, P), 0, 1)
            steps = xp.swapaxes(delta[i, at], 0, 1)
            xp.multiply(values, steps.reshape(H, Q, 1) if Q == 1 else steps[:, :, None], out=u)
            log = ws.buffer("log", (H, Q), out.dtype)
            xp.multiply(steps, decay.reshape(-1, 1), out=log)
            xp.cumsum(log, axis=1, out=log)
            inner, outer = (xp.swapaxes(v[i, at].reshape(Q, G, N), 0, 1) for v in (b, c))
            scores = ws.buffer("scores", (G, Q, Q), out.dtype)
            product(xp, outer, xp.swapaxes(inner, 1, 2), scores)
            faded = ws.buffer("faded", (H, Q, Q), out.dtype)
            xp.subtract(log[:, :, None], log[:, None, :], out=faded)
            hidden = ws.once(("hidden", Q), lambda Q=Q: _upper(xp, Q, out.dtype))
            xp.minimum(faded, hidden, out=faded)
            xp.exp(faded, out=faded)
            by_group = faded.reshape(G, shared, Q, Q)
            xp.multiply(by_group, scores[:, None], out=by_group)
            y = ws.buffer("y", (H, Q, P), out.dtype)
            more = ws.buffer("more", (H, Q, P), out.dtype)
            product(xp, faded, u, y)
            since = xp.exp(log, out=ws.buffer("since", (H, Q), out.dtype))
            grouped = state.reshape(G, shared, N, P)
            product(xp, outer[:, None], grouped, more.reshape(G, shared, Q, P))
            xp.multiply(more, since[:, :, None], out=more)
            xp.add(y, more, out=y)
            xp.multiply(values, skip.reshape(-1, 1, 1), out=more)
            xp.add(y, more, out=y)
            xp.copyto(xp.swapaxes(out[i, at].reshape(Q, H, P), 0, 1), y)
            # What is left of each step at the chunk's end, times b, joins the state.
            left = ws.buffer("left", (H, Q), out.dtype)
            xp.subtract(log[:, Q - 1 :], log, out=left)
            xp.exp(left, out=left)
            xp.multiply(u, left[:, :, None], out=u)
            xp.multiply(state, since[:, Q - 1 :, None], out=state)
            added = ws.buffer("added", (H, N, P), out.dtype)
            turned = xp.swapaxes(inner, 1, 2)[:, None]
            product(xp, turned, u.reshape(G, shared, Q, P), added.reshape(G, shared, N, P))
            xp.add(state, added, out=state)
    return out


def _upper(xp: Any, size: int, dtype: Any) -> Any:
    """Return what hides later steps: very negative above the diagonal, large below."""
    import numpy as np

    made = np.where(np.tri(size, dtype=bool), 1e4, -1e4)
    return xp.asarray(made.astype(str(dtype)))


@kernel("ssd_scan", algorithm="recurrent", refuses=_kind("recurrent"))
def recurrent(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A step is a few passes over the states [H, P, N] of a sample."""
    x, delta, b, c = a.inputs
    out, decay, skip = ws.output(a), a.weights["decay"], a.weights["skip"]
    (B, T, width), H, G = x.shape, op.heads, op.groups
    P, N, shared = width // H, b.shape[2] // G, H // G
    state, t = (ws.buffer(name, (G, shared, P, N), out.dtype) for name in ("state", "t"))
    u, y = (ws.buffer(name, (H, P), out.dtype) for name in ("u", "y"))
    for i in range(B):
        xp.copyto(state, 0.0)
        for step in range(T):
            d, values = delta[i, step], x[i, step].reshape(H, P)
            factor = xp.exp(xp.multiply(d, decay))
            xp.multiply(state, factor.reshape(G, shared, 1, 1), out=state)
            xp.multiply(values, d.reshape(-1, 1), out=u)
            xp.multiply(u.reshape(G, shared, P, 1), b[i, step].reshape(G, 1, 1, N), out=t)
            xp.add(state, t, out=state)
            rows = state.reshape(G, shared * P, N)
            product(xp, rows, c[i, step].reshape(G, N, 1), y.reshape(G, shared * P, 1))
            xp.multiply(values, skip.reshape(-1, 1), out=u)
            xp.add(y, u, out=out[i, step].reshape(H, P))
    return out


@values_of("ssm_scan", "decay")
@values_of("ssd_scan", "decay")
def _decays(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return -rng.uniform(0.1, 1.0, shape)


@values_of("ssm_scan", 1)
@values_of("ssd_scan", 1)
def _deltas(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.uniform(0.01, 0.1, shape)

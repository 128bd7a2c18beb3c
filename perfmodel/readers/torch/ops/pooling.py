"""Pooling, and images made larger or smaller."""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.torch.ops.dense import plain
from perfmodel.readers.tracing.resizing import resized
from perfmodel.readers.tracing.values import Value


def _each(call: Call, name: str, axes: int, default: Any) -> list[Dim]:
    given = call.arg(name, default)
    given = list(given) if isinstance(given, list | tuple) else [given]
    given = given or list(default if isinstance(default, list) else [default])
    return given * axes if len(given) == 1 else given


def _batched(call: Call, x: Value, axes: int) -> Value:
    return call.view(x, (1, *x.shape)) if x.rank == axes + 1 else x


@handles("max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices",
         "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d",
         "avg_pool3d")  # fmt: skip
def windowed(call: Call) -> Made:
    """The largest value, or the mean, of every window; places where somebody reads them."""
    op = call.op.removesuffix("_with_indices")
    axes = int(op[-2])
    kernel = _each(call, "kernel_size", axes, 1)
    more: dict[str, Any] = {}
    if op.startswith("max"):
        more["dilation"] = plain(_each(call, "dilation", axes, 1))
        if call.wants(1) and len(call.made) > 1:
            more["indices"] = True
    made = call.emit(
        op,
        _batched(call, call.x(), axes),
        kernel=plain(kernel),
        stride=plain(_each(call, "stride", axes, kernel)),
        padding=plain(_each(call, "padding", axes, 0) * 2),
        ceil_mode=bool(call.arg("ceil_mode", False)),
        **more,
    )
    out = [call.view(v, shape) for v, (shape, _) in zip(made, call.made, strict=False)]
    return [*out, *(Value("", d, s, stored=call.name) for s, d in call.made[len(out) :])]


@handles("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d",
         "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
         "adaptive_max_pool2d", "adaptive_max_pool3d")  # fmt: skip
def adaptive(call: Call) -> Made:
    """As many windows as are asked for."""
    op = call.op.lstrip("_")
    axes = int(op[-2])
    bins = _each(call, "output_size", axes, 1)
    (y,) = call.emit(op, _batched(call, call.x(), axes), bins=plain(bins))
    rest = [Value("", d, s, stored=call.name) for s, d in call.made[1:]]
    return [call.view(y, call.shape), *rest]


_MODES = {
    "upsample_nearest1d": "nearest", "upsample_nearest2d": "nearest",
    "upsample_nearest3d": "nearest", "_upsample_nearest_exact1d": "nearest",
    "_upsample_nearest_exact2d": "nearest", "upsample_linear1d": "bilinear",
    "upsample_bilinear2d": "bilinear", "_upsample_bilinear2d_aa": "bilinear",
    "upsample_bicubic2d": "cubic", "_upsample_bicubic2d_aa": "cubic",
    "upsample_trilinear3d": "bilinear",
}  # fmt: skip


@handles(*_MODES)
def resize(call: Call) -> Made:
    """An image of another size."""
    return resized(call, call.x(), call.shape, _MODES[call.op])


@handles("grid_sampler_2d", "grid_sampler", "grid_sampler_3d")
def grid_sample(call: Call) -> Made:
    """Values between places of an image, where a grid says."""
    x, grid = call.operands()[:2]
    if x.rank == 4 and call.arg("interpolation_mode", 0) == 0:
        return call.emit("grid_sample", x, grid)
    return call.bytes_only()


@handles("max_unpool2d", "max_unpool3d")
def max_unpool(call: Call) -> Made:
    """Values put back where a pool found them."""
    x, places = call.operands()[:2]
    return call.emit(call.op, x, places, size=plain(call.shape[2:]))


@handles("im2col", "col2im", treatment="bounded")
def columns(call: Call) -> Made:
    """Windows written out as columns, or added back: bytes only."""
    x = call.x()
    return x if same(x.elements, 0) else call.bytes_only()

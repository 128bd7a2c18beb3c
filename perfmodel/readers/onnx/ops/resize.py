"""Images made larger or smaller, and sampled at places that move."""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.resizing import resized
from perfmodel.readers.tracing.values import Value

_MODES = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "cubic": "cubic"}


@handles("Resize", "Upsample")
def resize(call: Call) -> Made:
    """``x -> y`` of a given size, or scaled; planes of two axes are resized by our operator."""
    x = call.input(0)
    mode = _MODES.get(call.attr("mode", "nearest"), "nearest")
    return resized(call, x, _target(call, x), mode)


def _target(call: Call, x: Value) -> list[Dim]:
    if call.op == "Upsample" and call.opset < 9:
        return _scaled(x, call.attr("scales"), range(x.rank))
    scales = call.optional(1 if call.op == "Upsample" or call.opset < 11 else 2)
    sizes = call.optional(3) if call.op == "Resize" and call.opset >= 11 else None
    axes = [int(a) % x.rank for a in call.attr("axes") or range(x.rank)]
    if sizes is not None and not same(sizes.elements, 0):
        wanted = call.known(3, "the shape of the output")
        policy = call.attr("keep_aspect_ratio_policy", "stretch")
        shape = list(x.shape)
        if policy != "stretch":
            ratios = [float(w) / float(x.shape[a]) for w, a in zip(wanted, axes, strict=True)]
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            wanted = [int(float(x.shape[a]) * ratio + 0.5) for a in axes]
        for axis, size in zip(axes, wanted, strict=True):
            shape[axis] = size
        return shape
    if scales is None:
        raise InputError(f"{call.op} has neither sizes nor scales")
    place = 1 if call.op == "Upsample" or call.opset < 11 else 2
    # Of tf_crop_and_resize too: runtimes scale the whole input's size, not the region's.
    return _scaled(x, call.known(place, "the shape of the output"), axes)


def _scaled(x: Value, scales: Any, axes: Any) -> list[Dim]:
    shape = list(x.shape)
    for axis, scale in zip(axes, scales, strict=True):
        size: Any = shape[axis]
        if isinstance(size, int):
            # Scales are stored in 32 bits: 2/3 of 3 must not become 1.
            shape[axis] = int(size * float(scale) + 1e-5 * max(1.0, size * 1e-2))
        else:
            shape[axis] = (size * float(scale)) // 1
    return shape


@handles("GridSample")
@handles("GridSample", domain=MICROSOFT)
def grid_sample(call: Call) -> Made:
    """Values between places of an image, where a grid says."""
    x, grid = call.input(0), call.input(1)
    if x.rank == 4 and call.attr("mode", "linear") in ("linear", "bilinear"):
        return call.emit("grid_sample", x, grid)
    return call.opaque((*x.shape[:2], *grid.shape[1:-1]))


@handles("AffineGrid")
def affine_grid(call: Call) -> Made:
    """The places that an affine map sends a grid to."""
    size = call.known(1, "the shape of the output")
    return call.opaque((size[0], *size[2:], len(size) - 2))


@handles("RoiAlign")
def roi_align(call: Call) -> Made:
    """Regions of an image sampled into bins."""
    x, regions, numbers = call.input(0), call.input(1), call.input(2)
    bins = (call.attr("output_height", 1), call.attr("output_width", 1))
    samples = call.attr("sampling_ratio", 0)
    if samples == 0:
        samples = 2
        call.net.note(
            "RoiAlign samples by the size of each region, which is not known: 2x2 a bin is taken"
        )
    return call.emit("roi_align", x, regions, numbers, bins=bins, samples=samples)


@handles("MaxRoiPool", treatment="bounded")
def max_roi_pool(call: Call) -> Made:
    """The largest value of each bin of a region."""
    x, regions = call.input(0), call.input(1)
    return call.opaque((regions.shape[0], x.shape[1], *call.attr("pooled_shape")))


@handles("NonMaxSuppression")
def non_max_suppression(call: Call) -> Made:
    """Boxes that overlap none better: at most so many a class, of the boxes there are."""
    boxes, scores = call.input(0), call.input(1)
    kept: Any = boxes.shape[1]
    limit = call.optional(2)
    if limit is None:
        kept = 0
    elif limit.data is not None and limit.data.size == 1:
        most = limit.data.item()
        kept = kept if most > kept else most
    call.net.note("NonMaxSuppression keeps as many boxes as it finds: the most it can is taken")
    total = scores.shape[0] * scores.shape[1] * kept
    (places,) = call.opaque((total, 3), formats=["int64"])
    places.bound = True
    return places


@handles("Col2Im", treatment="bounded")
def col2im(call: Call) -> Made:
    """Columns of blocks added up into an image."""
    x = call.input(0)
    image = call.known(1, "the shape of the output")
    block = product(call.known(2, "the shape of the output"))
    return call.opaque((x.shape[0], x.shape[1] // block, *image))

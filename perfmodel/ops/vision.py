"""Object detection: regions of an image made alike, and overlapping boxes thinned out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    both,
    gradient_of,
    pair,
    size,
)
from perfmodel.core.dims import minimum
from perfmodel.core.powers import ceil_log2


@dataclass(frozen=True)
class RoiAlign(Operator):
    """Regions at one size: ``x[N,C,H,W], boxes[K,4], images[K] -> y[K,C,P,Q]``.

    An output is the mean of S x S bilinear samples spread evenly over its part
    of the box (left, top, right, bottom, in pixels of the image). A box costs 12
    operations to bring it to x's scale, half a cell back, and to find its steps;
    each of its S (P + Q) rows and columns of samples four; each sample four
    products of weights; and each channel 8 S^2 an output. Samples outside take
    the border's values. Finding the cell is addressing and is not counted.

    The gradient goes to x alone: the same weights, a multiplication an output by
    1/S^2, and a product and an addition for each corner of each sample.
    Source: He et al., "Mask R-CNN", arXiv:1703.06870, section 3.
    """

    name = "roi_align"
    category = "reduction"
    arity = 3
    sizes = {
        "n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "boxes": REQUIRED, "p": REQUIRED,
        "q": "p", "samples": 2, "stride": 16,
    }  # fmt: skip
    example = "roi_align:n=2,c=256,h=50,w=84,boxes=1000,p=7"
    small = (
        {"n": 2, "c": 2, "h": 2, "w": 3, "boxes": 2, "p": 2, "samples": 1, "stride": 2},
        {"n": 3, "c": 1, "h": 3, "w": 2, "boxes": 3, "p": 1, "q": 3, "stride": 4},
        {"n": 1, "c": 3, "h": 1, "w": 5, "boxes": 1, "p": 3, "q": 1, "samples": 3, "stride": 1},
    )

    bins: Any = pair(doc="height and width of the output, P and Q")
    samples: Dim = size(2, doc="samples an output along each axis, S")
    stride: Dim = size(1, doc="pixels of the image that a place of x stands for")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, boxes, images = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        self.need_rank(boxes, 2, "boxes[K,4]")
        self.need_rank(images, 1, "images[K]")
        self.need_same(boxes.shape[1], 4, "coordinates of a box")
        self.need_same(images.shape[0], boxes.shape[0], "images against boxes")
        return Inferred((x.like(boxes.shape[0], x.shape[1], *both(self.bins)),))

    def _placing(self, boxes: Dim) -> Dim:
        """Return the operations that place the samples of ``boxes`` boxes and weigh their cells."""
        p, q = both(self.bins)
        return boxes * (12 + 4 * self.samples * (p + q) + 4 * self.samples * self.samples * p * q)

    def work(self, t: Bound) -> Work:
        x, boxes, images = t.inputs
        each = self.samples * self.samples
        seen = minimum(x.bytes, x.like(4 * each, *t.y.shape).bytes)
        builder = WorkBuilder().access(x.name, "read", seen).read(boxes, images).write(t.y)
        operations = self._placing(boxes.shape[0]) + t.y.elements * (8 * each)
        return builder.count("vector", x.dtype, operations).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, boxes, images = t.inputs
        builder = WorkBuilder().read(gradient_of(t.y), boxes, images).write(gradient_of(x))
        operations = t.y.elements * (8 * self.samples * self.samples + 1)
        builder.count("vector", x.dtype, self._placing(boxes.shape[0]) + operations)
        return [Gradient("input", (x,), (boxes, images), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")
        # An index, for boxes say where x is read and take no gradient.
        boxes = Tensor((sizes["boxes"], 4), precision.activation, "index", "boxes")
        images = Tensor((sizes["boxes"],), precision.of("index"), "index", "images")
        op = cls((sizes["p"], sizes["q"]), samples=sizes["samples"], stride=sizes["stride"])
        return op, [x, boxes, images]


@dataclass(frozen=True)
class Nms(Operator):
    """Non-maximum suppression: ``boxes[N,B,4], scores[N,B] -> kept[N,K]``.

    Boxes by falling score; each that is kept suppresses those after it that
    overlap it by more than half of their union; the places of the first K that
    are left, -1 where there are fewer. Three kernels, whose cost does not depend
    on the values: a merge sort of the scores, ceil(log2 B) comparisons a box; the
    overlaps of all B (B - 1) / 2 pairs, 13 operations each (four comparisons and
    two subtractions for the sides of the intersection, two comparisons with
    zero, its area, two additions for the union, its half, a comparison) after
    three a box for its area; and a walk over the bits of the pairs.
    No gradient. Source: Felzenszwalb et al., IEEE Trans. PAMI 32 (2010),
    section 7.2; kernels as in torchvision's ``ops.nms``.
    """

    name = "nms"
    category = "reduction"
    arity = 2
    sizes = {"n": 1, "boxes": REQUIRED, "keep": "boxes"}
    example = "nms:n=8,boxes=4000,keep=1000"
    small = (
        {"boxes": 4},
        {"n": 2, "boxes": 5, "keep": 2},
        {"boxes": 9, "keep": 1},
    )

    keep: Dim = size(doc="boxes kept at most, K")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        boxes, scores = inputs
        self.need_rank(boxes, 3, "boxes[N,B,4]")
        self.need_rank(scores, 2, "scores[N,B]")
        self.need_same(boxes.shape[2], 4, "coordinates of a box")
        for axis, what in enumerate(("batch", "number")):
            self.need_same(scores.shape[axis], boxes.shape[axis], f"{what} of scores against boxes")
        self.need_positive(boxes.shape[1] - self.keep + 1, "boxes less those kept, plus 1")
        kept = (boxes.shape[0], self.keep)
        return Inferred((Tensor(kept, precision.of("index"), "index"),))

    def work(self, t: Bound) -> Work:
        boxes, scores = t.inputs
        images, count = scores.shape
        pairs = count * (count - 1) // 2
        builder = WorkBuilder().read(boxes, scores).write(t.y)
        builder.count(
            "vector", boxes.dtype, images * (count * ceil_log2(count) + 3 * count + 13 * pairs)
        )
        order = Tensor(scores.shape, t.y.dtype).bytes
        overlaps = images * pairs / 8
        for name, bytes in (("order", order), ("overlaps", overlaps)):
            builder.access(name, "write", bytes).access(name, "read", bytes)
        return builder.build(launches=3, workspace=order + overlaps)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["n"], sizes["boxes"])
        boxes = Tensor((*shape, 4), precision.activation, name="boxes")
        return cls(sizes["keep"]), [boxes, Tensor(shape, precision.activation, name="scores")]

"""Convolutions as sums over windows of the padded image, of any rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def convolved(
    x: Array,
    weight: Array,
    bias: Array | float = 0.0,
    *,
    stride: Any,
    pads: Any,
    dilation: Any,
    groups: int = 1,
) -> Array:
    """Return the convolution of x[N,C,...]; ``pads`` is (before, after) an axis."""
    rank = x.ndim - 2
    axes = tuple(range(2, 2 + rank))
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    taps = weight.shape[2:]
    reach = tuple(d * (t - 1) + 1 for d, t in zip(dilation, taps, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=axes)
    steps = [slice(None, None, s) for s in (*stride, *dilation)]
    windows = windows[(slice(None), slice(None), *steps)]
    image, tap = "pqo"[:rank], "rst"[:rank]
    made = [
        np.einsum(f"nc{image}{tap},kc{tap}->nk{image}", part, filters)
        for part, filters in zip(
            np.split(windows, groups, axis=1), np.split(weight, groups, axis=0), strict=True
        )
    ]
    return np.concatenate(made, axis=1) + np.reshape(bias, (1, -1, *[1] * rank))


def scattered(
    x: Array,
    weight: Array,
    bias: Array | float = 0.0,
    *,
    stride: Any,
    pads: Any,
    dilation: Any,
    extra: Any,
    groups: int = 1,
) -> Array:
    """Return the transposed convolution: the image spread out by its stride, filters turned."""
    rank = x.ndim - 2
    taps = weight.shape[2:]
    spread = np.zeros(
        (*x.shape[:2], *((i - 1) * s + 1 for i, s in zip(x.shape[2:], stride, strict=True)))
    )
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in stride))] = x
    turned = np.flip(weight, axis=tuple(range(2, 2 + rank)))
    parts = [
        np.swapaxes(part, 0, 1) for part in np.split(turned, groups, axis=0)
    ]  # [C/g,K/g,...] -> [K/g,C/g,...]
    border = [(d * (t - 1), d * (t - 1) + e) for d, t, e in zip(dilation, taps, extra, strict=True)]
    y = convolved(
        spread,
        np.concatenate(parts, axis=0),
        bias,
        stride=(1,) * rank,
        pads=border,
        dilation=dilation,
        groups=groups,
    )
    cut = [slice(b, y.shape[2 + i] - a) for i, (b, a) in enumerate(pads)]
    return y[(slice(None), slice(None), *cut)]


def partial(
    x: Array, mask: Array, weight: Array, bias: Array, *, stride: Any, pads: Any, dilation: Any
) -> tuple[Array, Array]:
    """Return partial convolution and new mask; the mask sum is a convolution with ones."""
    window = {"stride": stride, "pads": pads, "dilation": dilation}
    taps = weight.shape[2:]
    total = convolved(mask.astype(float), np.ones((1, 1, *taps)), **window)
    seen = total > 0
    ratio = np.where(seen, np.prod(taps) / (total + 1e-8), 0)
    y = convolved(x * mask, weight, **window) * ratio + bias.reshape(1, -1, 1, 1)
    return np.where(seen, y, 0), seen.astype(int)


ONE = {"stride": (2,), "pads": ((1, 2),), "dilation": (2,)}
TWO = {"stride": (2, 1), "pads": ((1, 2), (0, 3)), "dilation": (1, 2)}
THREE = {"stride": (1, 2, 1), "pads": ((1, 1), (0, 0), (2, 2)), "dilation": (1, 2, 1)}
GIVEN_1: dict[str, Any] = {"kernel": 3, "stride": 2, "padding": (1, 2), "dilation": 2}
GIVEN_2: dict[str, Any] = {
    "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0, 2, 3), "dilation": (1, 2)
}  # fmt: skip
GIVEN_3: dict[str, Any] = {
    "kernel": (2, 2, 3), "stride": (1, 2, 1), "padding": (1, 0, 2), "dilation": (1, 2, 1)
}  # fmt: skip

#: operator: (attributes, shapes of inputs, shapes of weights, reference of inputs and weights)
CASES: dict[str, Any] = {
    "conv1d": [
        ({**GIVEN_1, "out_channels": 4, "groups": 2, "bias": True}, [(2, 6, 9)],
         {"weight": (4, 3, 3), "bias": (4,)},
         lambda x, w: convolved(x, w["weight"], w["bias"], **ONE, groups=2)),
        # 9 / 2 rounded up is 5 positions; 5 steps of a window of 5 reach 13: 4 more than 9.
        ({"kernel": 3, "stride": 2, "padding": 0, "dilation": 2, "pad_mode": "same",
          "out_channels": 2, "groups": 1, "bias": False}, [(1, 3, 9)], {"weight": (2, 3, 3)},
         lambda x, w: convolved(
             x, w["weight"], stride=(2,), pads=((2, 2),), dilation=(2,))),
    ],
    "conv3d": [
        ({**GIVEN_3, "out_channels": 4, "groups": 1, "bias": True}, [(2, 3, 4, 5, 4)],
         {"weight": (4, 3, 2, 2, 3), "bias": (4,)},
         lambda x, w: convolved(x, w["weight"], w["bias"], **THREE)),
    ],
    "depthwise_conv2d": [
        ({**GIVEN_2, "multiplier": 2, "bias": True}, [(2, 3, 7, 5)],
         {"weight": (6, 1, 3, 2), "bias": (6,)},
         lambda x, w: convolved(x, w["weight"], w["bias"], **TWO, groups=3)),
    ],
    "depthwise_separable_conv2d": [
        ({**GIVEN_2, "out_channels": 4}, [(2, 3, 7, 5)],
         {"depthwise": (3, 1, 3, 2), "pointwise": (4, 3, 1, 1)},
         lambda x, w: np.einsum("ncpq,kc->nkpq", convolved(
             x, w["depthwise"], **TWO, groups=3), w["pointwise"][:, :, 0, 0])),
    ],
    "conv_transpose1d": [
        ({**GIVEN_1, "output_padding": 1, "out_channels": 4, "groups": 2, "bias": True},
         [(2, 6, 5)], {"weight": (6, 2, 3), "bias": (4,)},
         lambda x, w: scattered(x, w["weight"], w["bias"], **ONE, extra=(1,), groups=2)),
    ],
    "conv_transpose2d": [
        ({**GIVEN_2, "output_padding": (1, 0), "out_channels": 4, "groups": 2, "bias": True},
         [(2, 6, 4, 5)], {"weight": (6, 2, 3, 2), "bias": (4,)},
         lambda x, w: scattered(x, w["weight"], w["bias"], **TWO, extra=(1, 0), groups=2)),
        ({"kernel": 2, "stride": 2, "padding": 0, "dilation": 1, "output_padding": 0,
          "out_channels": 3, "groups": 1, "bias": False, "layout": "nhwc",
          "filter_layout": "rsck"}, [(2, 3, 2, 5)], {"weight": (2, 2, 3, 5)},
         lambda x, w: np.moveaxis(scattered(
             np.moveaxis(x, -1, 1), np.transpose(w["weight"], (3, 2, 0, 1)), stride=(2, 2),
             pads=((0, 0), (0, 0)), dilation=(1, 1), extra=(0, 0)), 1, -1)),
    ],
    "conv_transpose3d": [
        ({**GIVEN_3, "output_padding": 0, "out_channels": 2, "groups": 1, "bias": False},
         [(2, 3, 3, 2, 4)], {"weight": (3, 2, 2, 2, 3)},
         lambda x, w: scattered(x, w["weight"], **THREE, extra=(0, 0, 0))),
    ],
    "convert_layout": [
        ({"to": "nhwc"}, [(2, 3, 4, 5)], {}, lambda x, w: x.transpose(0, 2, 3, 1)),
        ({"to": "nchw"}, [(2, 3, 4, 5)], {}, lambda x, w: x.transpose(0, 3, 1, 2)),
    ],
}  # fmt: skip

#: its mask is no plain random array
APART = {"partial_conv2d"}

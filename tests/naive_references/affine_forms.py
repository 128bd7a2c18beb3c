"""The affine layer of low rank as two matrix products."""

CASES = {
    "low_rank_affine": [
        ({"units": 4, "rank": 2, "bias": True}, [(2, 3, 5)],
         {"down": (2, 5), "up": (4, 2), "bias": (4,)},
         lambda x, w: x @ (w["up"] @ w["down"]).T + w["bias"]),
        ({"units": 1, "rank": 3, "bias": False}, [(2, 5)], {"down": (3, 5), "up": (1, 3)},
         lambda x, w: x @ (w["up"] @ w["down"]).T),
    ],
}  # fmt: skip
APART: set[str] = set()

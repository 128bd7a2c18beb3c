"""The machine model: (Work, Machine) -> Times.

`roofline` is the hard bound, `tiles` the cost of products cut into tiles, `predict`
puts them together with the device's efficiency, `limits` says what binds.
"""

from perfmodel.model.limits import limiter
from perfmodel.model.predict import TERMS, estimate, family_of
from perfmodel.model.roofline import can_run
from perfmodel.model.times import Times

__all__ = ["TERMS", "Times", "can_run", "estimate", "family_of", "limiter"]

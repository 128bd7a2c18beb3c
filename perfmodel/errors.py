"""Errors that a user can mend: one clear line, never a traceback.

The command maps them to exit codes (2 for invalid input); anything else that
escapes is an internal error (70).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class PerfmodelError(Exception):
    """Base of every error that perfmodel raises on purpose."""

    exit_code = 2


class InputError(PerfmodelError):
    """Something the user gave is wrong: says what was found, where, and the mend.

    Parameters
    ----------
    message : what was found and what was expected.
    where : ``file:line:column``, where there is one.
    mend : what to write or run instead.
    """

    def __init__(self, message: str, *, where: str | None = None, mend: str | None = None) -> None:
        self.message = one_line(message)
        self.where = where
        self.mend = one_line(mend) if mend else None
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.mend}" if self.mend else text


class InvalidFileError(InputError):
    """A file with one or more problems; prints the first and counts the rest."""

    def __init__(self, problems: Sequence[InputError]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.message, where=first.where, mend=first.mend)

    def __str__(self) -> str:
        text = super().__str__()
        rest = len(self.problems) - 1
        return f"{text} (and {rest} more: perfmodel check shows all)" if rest else text


class MissingExtraError(PerfmodelError):
    """An optional package is not installed; names the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed;"
            f" run: pip install 'perfmodel[{extra}]'"
        )


def one_line(text: str) -> str:
    """Fold white space and show control characters, so that one error stays one line."""
    folded = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in folded)


def shorten(value: object, limit: int = 60) -> str:
    """Quote a user's value for a message, cut to ``limit`` characters."""
    try:
        text = repr(value)
    except ValueError:  # an int beyond the interpreter's digit limit
        return "a huge number"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def did_you_mean(name: str, known: Iterable[str], *, show: int = 12) -> str:
    """Return the mend for an unknown name: what begins with it, near misses, or what there is."""
    names = sorted(set(known))
    lowered = {n.lower(): n for n in names}
    near = [n for n in lowered if n.startswith(name.lower()) and len(name) > 2]
    if not near:
        near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)
        near += [n for n in lowered if name.lower() in n and n not in near and len(name) > 2]
    if near:
        return "did you mean " + " or ".join(f"'{lowered[n]}'" for n in near[:3]) + "?"
    if not names:
        return "none are known"
    listed = ", ".join(names[:show])
    return f"known: {listed}" + (f" and {len(names) - show} more" if len(names) > show else "")

"""The `perfmodel` command: parses, calls the library, renders. Nothing is computed here.

Exit codes: 0 ok, 1 a gate tripped, 2 invalid input, 3 not comparable under
--strict, 70 internal error, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

EXIT_INPUT, EXIT_INTERNAL, EXIT_INTERRUPTED = 2, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; errors are one line on stderr."""
    from perfmodel.errors import PerfmodelError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot show a character of a user's name shows '?'.
            stream.reconfigure(errors="replace")
    try:
        return _run(arguments)
    except PerfmodelError as error:
        return _fail(f"error: {error}", error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe has left (click turns that into SystemExit, its
        # only one here): what the reader did not want is not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("PERFMODEL_DEBUG"):
            raise
        return _fail(
            f"internal error: {type(error).__name__}: {error}"
            " (this is a defect of perfmodel; PERFMODEL_DEBUG=1 shows where)",
            EXIT_INTERNAL,
        )


def _run(arguments: Sequence[str] | None) -> int:
    from typer import Abort, BadParameter

    from perfmodel.cli.app_measured import app
    from perfmodel.errors import one_line

    # Typer carries its own copy of click in some versions, and uses click in others.
    usage_error: type[Exception] = next(
        c for c in BadParameter.__mro__ if c.__name__ == "ClickException"
    )
    try:
        code = app(arguments, standalone_mode=False, prog_name="perfmodel")
        sys.stdout.flush()
        if code == EXIT_INTERRUPTED:  # some versions of Typer turn Ctrl-C into this code
            return _fail("interrupted", EXIT_INTERRUPTED)
        return code if isinstance(code, int) else 0
    except Abort:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except usage_error as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "perfmodel")
        message = one_line(error.format_message())  # type: ignore[attr-defined]
        return _fail(f"error: {message} (see: {command} --help)", EXIT_INPUT)


def _fail(message: str, code: int) -> int:
    from perfmodel.errors import one_line

    print(one_line(message), file=sys.stderr)
    return code

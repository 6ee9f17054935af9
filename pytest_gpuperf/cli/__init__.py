"""The `gpuperf` command."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.endings import AskedToEnd, ending_in_order
from pytest_gpuperf.errors import FileError, GpuPerfError
from pytest_gpuperf.reports.tables import inert, visible

INTERRUPTED = 2  # as pytest ends on Ctrl-C
READER_LEFT = 141  # as a shell reports SIGPIPE
FAULT = 70  # of gpuperf itself: no verdict may be read from it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name no terminal can show must not end the command
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        with ending_in_order():
            options = parse(sys.argv[1:] if arguments is None else arguments)
            code: int = options.run(options)
            if sys.stdout is not None:  # closed by whoever started this
                sys.stdout.flush()
    except GpuPerfError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:  # `gpuperf show FILE | head`: the interpreter's last flush must not complain either
        _end_output()
        return READER_LEFT
    except OSError as error:  # the disk behind standard output is full, the working directory is gone
        _end_output()
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}", FileError.exit_code)
    except KeyboardInterrupt as stop:
        consequence = stop.args[0] if stop.args and not isinstance(stop, AskedToEnd) else "no file was changed"
        print(f"gpuperf: interrupted; {consequence}.", file=sys.stderr)
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - whatever it is, it must not look like "regressed"
        traceback.print_exc()
        return _failed(
            "this is a fault of gpuperf itself, and says nothing about your code. Please report it, with the lines "
            "above and the file it was given.",
            FAULT,
        )
    return code


def _failed(what: str, code: int) -> int:
    lines = "\n".join(inert(visible(line)) for line in what.split("\n"))
    print(f"gpuperf: error: {lines}", file=sys.stderr)
    return code


def _end_output() -> None:
    """What is still to be written goes nowhere: the interpreter's last flush would complain again."""
    with suppress(AttributeError):  # there is none: it was closed by whoever started this
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""The `gpuperf` command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.endings import Ended, ending_in_order
from pytest_gpuperf.errors import GpuPerfError
from pytest_gpuperf.reports.tables import inert, visible

INTERRUPTED = 2  # as pytest ends on Ctrl-C
READER_LEFT = 141  # as a shell reports SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name no terminal can show must not end the command
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        with ending_in_order():
            options = parse(sys.argv[1:] if arguments is None else arguments)
            code: int = options.run(options)
            sys.stdout.flush()
    except GpuPerfError as error:
        lines = "\n".join(inert(visible(line)) for line in str(error).split("\n"))
        print(f"gpuperf: error: {lines}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `gpuperf show FILE | head`: the interpreter's last flush must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_LEFT
    except KeyboardInterrupt as stop:
        said = stop.args[0] if stop.args and not isinstance(stop, Ended) else "no file was changed"
        print(f"gpuperf: interrupted; {said}.", file=sys.stderr)
        return INTERRUPTED
    return code

"""``--gpuperf-trace DIR``: a trace of each case, after its measurement. A profiled call is never a timed one."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.units import many

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.device.clocks import Call
    from pytest_gpuperf.records.model import Case


@dataclass
class Traces:
    """The traces of one session."""

    folder: Path
    chosen: Chosen
    written: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])  # test -> its traces
    without: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])  # test -> case -> why

    def record(self, case: Case, call: Call) -> None:
        """Write the trace of a case that has just been measured; what cannot be traced is said at the end."""
        from statistics import median

        from pytest_gpuperf.device.numa import own_node
        from pytest_gpuperf.traces.recorded_name import trace_name

        path = self.folder / trace_name(case.id, case.parameters, self.chosen.index, own_node())
        why = self._recorded(path, call, median(case.measurements[-1].samples))
        if why is None:
            self.written.setdefault(case.test, []).append(path)
        else:
            path.unlink(missing_ok=True)  # of an earlier session: it would pass for this one's
            self.without.setdefault(case.test, {})[case.id] = why

    def _recorded(self, path: Path, call: Call, seconds: float) -> str | None:
        """Record it; why that was not possible."""
        from pytest_gpuperf.measure.find_evidence import LONGEST_PROFILED
        from pytest_gpuperf.measure.quiet import unwatched
        from pytest_gpuperf.traces.record_trace import record_trace

        if "torch" not in sys.modules:
            return "nothing of torch ran"
        if seconds > LONGEST_PROFILED:
            return f"a call takes more than {LONGEST_PROFILED:g} s, whose trace would fill the memory"
        synchronize, cuda = self.chosen.clock.synchronize, self.chosen.index is not None
        try:
            with unwatched():  # a tracer of Python's would make the host look slow
                torch_ran = record_trace(call, path, synchronize, cuda=cuda, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - of a workload of anybody's: its figures stand all the same
            return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return None if torch_ran else "nothing of torch ran"

    def drop(self, test: str) -> None:
        """Remove the traces of a test that failed: they are of something that does not work."""
        self.without.pop(test, None)
        for path in self.written.pop(test, ()):
            path.unlink(missing_ok=True)

    def lines(self) -> Iterator[str]:
        """What was written and how to read it, and what has no trace."""
        count = len({path for paths in self.written.values() for path in paths})
        if count:
            yield f"traces: {count} in {self.folder}; read them with: gpuperf trace {shlex.quote(str(self.folder))}"
        else:
            yield f"traces: none in {self.folder}"
        for why, cases in Counter(why for of_test in self.without.values() for why in of_test.values()).items():
            yield f"no trace of {many(cases, 'case')}: {why}"


def refuse_unwritable_folder(folder: Path) -> None:
    """Make it where it is missing; better refused now than after the measuring."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FileError(
            f"--gpuperf-trace {folder}: no trace can be written there: {error.strerror or error}. Give the path of a "
            f"folder that is writable, or of one that can be made."
        ) from error

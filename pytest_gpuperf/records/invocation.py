"""How pytest was started: what a command that people paste has to repeat."""

from __future__ import annotations

import posixpath
import shlex

from pytest_gpuperf.records.fields import Record


class Invocation(Record, frozen=True, kw_only=True):
    """The part of a command line that chooses tests, and what is measured of them."""

    options: tuple[str, ...] = ()  # but for those that say what is judged, written or shown
    paths: tuple[str, ...] = ()  # files and folders, as node ids are written; "." is all
    root: str = "."  # pytest's root, from where it was started
    narrows: bool = True  # whether single tests can be named instead of the paths

    def arguments(self, *tests: str) -> list[str]:
        """The same options on these tests; on the whole suite where none are given."""
        where = tests if tests and self.narrows else tuple(p for p in self.paths if p != ".")
        return [*self.options, *(self._from_here(test) for test in where)]

    def tail(self, *tests: str) -> str:
        """What stands after the words of a command: ``-- --gpuperf-device cpu tests/perf``."""
        arguments = self.arguments(*tests)
        return f" -- {shlex.join(arguments)}" if arguments else ""

    def _from_here(self, test: str) -> str:
        file, separator, name = test.partition("::")
        if "--pyargs" in self.options and file.startswith("pytest_gpuperf/"):  # the package's own: no path from here
            return file.removesuffix(".py").replace("/", ".") + separator + name
        return posixpath.normpath(posixpath.join(self.root, file)) + separator + name

"""What was there before a test is not looked through for garbage again at each of its measurements.

A whole collection takes half a second once torch and a few libraries are loaded, and every measurement begins with one.
"""

from __future__ import annotations

import gc


class Garbage:
    """Sets aside what exists when a test begins, until the tests of another file begin."""

    def __init__(self) -> None:
        self._file: object = None

    def test_begins(self, file: object) -> None:
        """Of that file, and before its fixtures make anything."""
        if file != self._file:  # cycles that the last file's fixtures have left are to go now, with what they hold
            gc.unfreeze()
            self._file = file
        gc.collect()
        gc.freeze()

    def session_ends(self) -> None:
        """Everything is as it was."""
        gc.unfreeze()

"""What the cases of one page share: sessions, and texts that many of them repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_gpuperf.reports.html.content import Text
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.results.invocation import Invocation


@dataclass(frozen=True)
class Shared:
    """Each text is kept once: two thousand cases have the same witnesses and kernels."""

    sessions: Mapping[tuple[str, bool], int]  # (id, whether of the baseline) -> its place on the page
    parameters: tuple[str, ...]  # their names, in the order people say them
    baseline: str  # its path
    invocation: Invocation  # of pytest, which commands to copy repeat
    texts: dict[str, Text] = field(default_factory=dict[str, Text])

    def text(self, said: str) -> Text:
        """The place of a text among the page's."""
        return self.texts.setdefault(visible(said), len(self.texts))

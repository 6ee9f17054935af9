"""One answer of a language model's server, as its stream showed it: what every convention's figures are read off."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from pytest_gpuperf.records.fields import Record

Microseconds = Annotated[int, Meta(ge=0, le=2**53)]
Tokens = Annotated[int, Meta(ge=0, le=2**31)]

TEXT = frozenset("tg")
CHOICES = frozenset("rtgf")


class AnswerStream(Record, frozen=True, kw_only=True, gc=False):
    """Microseconds from sending. `kinds` has a letter for each event:

    r  a choice without text: names the role, or comes before anything is generated
    t  text      g  reasoning, which are tokens too      f  the reason why it ends, without text
    u  usage, without a choice      o  none of these
    """

    late: Microseconds = 0  # after it was due, where it was due at a time
    times: tuple[Microseconds, ...]
    kinds: Annotated[str, Meta(pattern="^[rtgfuo]+$")]
    end: Microseconds  # the stream ended
    prompt_tokens: Tokens | None = None
    generated_tokens: Tokens | None = None  # as the server counts; None: it does not, or its count cannot be true
    cached_tokens: Tokens | None = None  # of the prompt: they were not computed again

    def first(self, kinds: frozenset[str]) -> float | None:
        """Seconds until the first event of these kinds."""
        return next((at / 1e6 for at, kind in zip(self.times, self.kinds, strict=True) if kind in kinds), None)

    def last(self, kinds: frozenset[str]) -> float | None:
        """Seconds until the last event of these kinds."""
        found = (at / 1e6 for at, kind in zip(reversed(self.times), reversed(self.kinds), strict=True) if kind in kinds)
        return next(found, None)

    def gaps(self, kinds: frozenset[str]) -> list[float]:
        """Seconds between events of these kinds."""
        moments = [at for at, kind in zip(self.times, self.kinds, strict=True) if kind in kinds]
        return [(after - before) / 1e6 for before, after in pairwise(moments)]

    @property
    def texts(self) -> int:
        """Events with text: each is a token or more."""
        return sum(kind in TEXT for kind in self.kinds)

    @property
    def bundled(self) -> int:
        """Events with text that came in one piece with the event with text before them: no pause is known there."""
        return sum(gap == 0 for gap in self.gaps(TEXT))

"""What a fresh pytest process is told to do, handed over in an environment variable.

The command line of the process stays the user's own, and the order overrides it: record into this file, judge
nothing, run only these tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from pytest_gpuperf.device.processes import family_folder, parent_of
from pytest_gpuperf.errors import UsageError

VARIABLE = "GPUPERF_SESSION"


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """Measure in turns with another process: what the controller of both says comes over a socket."""

    socket: int  # the file descriptor of this end
    tree: str  # the folder of the revision under test
    names: tuple[str, ...]  # what can be imported from it


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Record into `save`; run only the tests `only`, or all that are selected; make every workload slower.

    `profiles`: one more call of each case is profiled, untimed, except in the tests `spared`. `look`: nothing else is
    done with a case.
    """

    save: str | None = None  # None: nothing is recorded; in `turns` the results go over the socket
    only: tuple[str, ...] | None = None
    slowdown: float = 0.0  # 0.03: 3 % of real extra work in the timed region
    turns: Turns | None = None
    profiles: bool = False
    spared: tuple[str, ...] = ()
    look: bool = False

    def environment(self) -> dict[str, str]:
        """The environment of the process that gets this order."""
        family_folder()  # inherited, so that all that are started here know each other on a card
        return {**os.environ, VARIABLE: msgspec.json.encode(_Handed(order=self, by=os.getpid())).decode()}


class _Handed(msgspec.Struct, frozen=True):
    order: Order
    by: int  # the process that gave the order


def take_order() -> Order | None:
    """This process's order, if it has one; processes it starts itself do not inherit it.

    An order switches the gate off. So it counts only if a process that this one descends from gave it. A variable that
    stands in the environment for any other reason is refused.
    """
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    try:
        handed = msgspec.json.decode(text, type=_Handed)
        if handed.by in _line_of_descent():
            return handed.order
    except (msgspec.DecodeError, ValueError):  # ValueError: half a pair of surrogates
        pass
    raise UsageError(
        f"{VARIABLE} is set in the environment, and not by a gpuperf that started this process. It would switch the "
        f"gate off. Remove it: unset {VARIABLE}"
    )


def _line_of_descent() -> Iterator[int]:
    """This process, its parent, and so on."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            pid = parent_of(pid)
        except OSError:  # another's, where /proc shows only one's own
            return

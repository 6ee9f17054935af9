"""``gpuperf calibrate``: measure a suite in several fresh processes, then accept what they recorded."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.baseline import add_target_arguments
from pytest_gpuperf.cli.command import Command, say
from pytest_gpuperf.errors import SessionError, UsageError
from pytest_gpuperf.records.units import many

if TYPE_CHECKING:
    from pytest_gpuperf.comparison.resolution import Resolution
    from pytest_gpuperf.records.model import Run
    from pytest_gpuperf.sessions.calibration import Calibration, CalibrationPlan

MOST = 12  # sessions, where neither --until nor --for asks for more


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments. Without any, 5 to 12 sessions: until every case tells 3 %, or more stop helping."""
    parser.add_argument("--until", metavar="3%", help="go on until every case can tell that, or more stop helping")
    parser.add_argument("--for", dest="seconds", metavar="5m", help="begin no session that would end later")
    parser.add_argument("--sessions", type=int, metavar="N", help="exactly so many fresh pytest processes")
    add_target_arguments(parser)


def run(options: Namespace) -> int:
    """Everything that can be refused is refused before the first session: they may take an hour."""
    from pytest_gpuperf.cli.promotion import promote, resolutions_after, resolutions_of
    from pytest_gpuperf.records.envelope import BASELINE
    from pytest_gpuperf.records.files import check_writable, read_baseline, write_run
    from pytest_gpuperf.records.merge import with_sessions_of
    from pytest_gpuperf.reports.formats import terminal_width
    from pytest_gpuperf.reports.tables import prose
    from pytest_gpuperf.sessions import calibrate

    plan = plan_of(options)
    into, kept_beside = Path(options.into), kept_for(options.into)
    baseline = read_baseline(into) if into.exists() else None
    if baseline is None:
        _refuse_new(options)
    check_writable(into, BASELINE)

    def worst(runs: Sequence[Run]) -> float:
        # After every session, since they take long to record and anything may end this.
        write_run(kept_beside, with_sessions_of(runs[0], runs[1:]))
        by_case = resolutions_after(baseline, runs, options.into)
        return max((r.margin for r in by_case.values() if r.margin is not None), default=inf)

    progress = _Progress(plan)
    try:
        done = calibrate(plan, options.pytest_arguments, worst=worst, progress=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(progress.done, options)) from None
    failure = _failure(done, options)
    changes, kept = promote(done.runs, options.into, few=options.few, prune=options.prune)
    kept_beside.unlink(missing_ok=True)
    width = terminal_width()
    lines = [w for line in summary(plan, done, resolutions_of(kept, done.runs), options) for w in prose(line, width)]
    print("\n".join([changes, *lines]))
    if failure:
        raise failure
    return 0


def plan_of(options: Namespace) -> CalibrationPlan:
    """How many sessions the options ask for."""
    from pytest_gpuperf.comparison.acceptance import SESSIONS_NEEDED
    from pytest_gpuperf.gate.observations import LEAST_MARGIN
    from pytest_gpuperf.records.model import SESSIONS_KEPT
    from pytest_gpuperf.records.units import parse_fraction, parse_seconds
    from pytest_gpuperf.sessions.calibration import CalibrationPlan

    until = LEAST_MARGIN if options.until is None else parse_fraction(options.until, "--until")
    seconds = None if options.seconds is None else parse_seconds(options.seconds, "--for")
    if until < LEAST_MARGIN:
        raise UsageError(
            f"--until: {options.until} is less than the {LEAST_MARGIN:.0%} below which no case is judged, unless its "
            f"test asks for it. Write --until {LEAST_MARGIN:.0%}, and @pytest.mark.gpuperf(margin='{options.until}') "
            f"in that test."
        )
    if options.sessions is None:
        least = 1 if options.few and seconds is not None else SESSIONS_NEEDED
        most = MOST if options.until is None and seconds is None else SESSIONS_KEPT
        return CalibrationPlan(least, most, until, seconds)
    if options.sessions < 1:
        raise UsageError(f"--sessions: {options.sessions} measures nothing. Write a number from 1.")
    for option, given, ends in (
        ("--until", options.until, "as many as are needed"),
        ("--for", options.seconds, "as many as there is time for"),
    ):
        if given is not None:
            raise UsageError(
                f"--sessions records exactly {options.sessions}, {option} {ends}. Leave one of the two out."
            )
    return CalibrationPlan(options.sessions, options.sessions, until)


def kept_for(into: str) -> Path:
    """The file that holds the sessions while they are recorded, and keeps them if something ends that."""
    return Path(f"{into}.sessions.json")


def _refuse_new(options: Namespace) -> None:
    from pytest_gpuperf.comparison.acceptance import SESSIONS_NEEDED

    if options.sessions is not None and options.sessions < SESSIONS_NEEDED and not options.few:
        raise UsageError(
            f"--sessions: a new baseline needs {SESSIONS_NEEDED} sessions, since one process says little about the "
            f"next. Leave it out, or write --few to do with {options.sessions}."
        )


class _Progress:
    """Prints a line after each session."""

    def __init__(self, plan: CalibrationPlan) -> None:
        self.exactly = plan.most if plan.least == plan.most else None
        self.done = 0

    def __call__(self, done: int, seconds: float, worst: float) -> None:
        self.done = done
        of = rest = ""
        if self.exactly is not None:
            of = f" of {self.exactly}"
            rest = f", about {seconds / done * (self.exactly - done):.0f} s left" if done < self.exactly else ""
        tells = "" if worst == inf else f"; the worst case tells {worst:.1%}"
        say(f"session {done}{of} recorded after {seconds:.0f} s{rest}{tells}")


def _interrupted(count: int, options: Namespace) -> str:
    """What becomes of the sessions that were recorded before Ctrl-C."""
    if not count:
        return "no file was changed"
    kept = kept_for(options.into)
    return f"{options.into} was not changed. {_kept(count, kept)}: gpuperf accept {kept} --few --into {options.into}"


def _kept(count: int, kept: Path) -> str:
    are = "The session that was recorded is" if count == 1 else f"The {count} sessions that were recorded are"
    return f"{are} in {kept}, and can be accepted"


def _failure(done: Calibration, options: Namespace) -> SessionError | None:
    """The error of the session that failed, with what becomes of those before it; raised where they are too few."""
    from pytest_gpuperf.comparison.acceptance import SESSIONS_NEEDED

    if not isinstance(done.ended, SessionError):
        return None
    count = len(done.runs)
    if count >= SESSIONS_NEEDED or (count and options.few):
        return SessionError(f"{done.ended}\n{options.into} has the {many(count, 'session')} recorded before it.")
    if not count:
        raise SessionError(f"{done.ended}\n{options.into} was not changed.")
    kept = kept_for(options.into)
    raise SessionError(
        f"{done.ended}\n{options.into} was not changed: a baseline needs {SESSIONS_NEEDED} sessions. "
        f"{_kept(count, kept)} with those that are missing: gpuperf accept {kept} RUN ... --into {options.into}"
    )


def summary(
    plan: CalibrationPlan, done: Calibration, by_case: Mapping[str, Resolution], options: Namespace
) -> Iterator[str]:
    """How many sessions were recorded, why no more, and which cases can tell least."""
    from pytest_gpuperf.reports.show import unsteady_cases

    took = f"{many(len(done.runs), 'session')} in {done.seconds:.0f} s"
    if all(r.margin is None for r in by_case.values()):
        yield f"{took}: too few to know what they can tell."
        return
    worst = list(unsteady_cases(by_case, plan.until))
    if not worst:
        yield f"{took}: every case can tell {plan.until * 100:.3g}%."
        return
    yield f"{took}{_why_no_more(plan, done, options)}."
    yield from worst
    if all(session.revision is None for run in done.runs for session in run.sessions):
        return
    tail = f" -- {shlex.join(options.pytest_arguments)}" if options.pytest_arguments else ""
    yield f"Two revisions in turns can tell less: `gpuperf ab HEAD~1{tail}`"


def _why_no_more(plan: CalibrationPlan, done: Calibration, options: Namespace) -> str:
    if isinstance(done.ended, SessionError):
        return ", before one failed"
    if plan.seconds is not None and done.seconds > plan.seconds and not options.few:
        return f", which is longer than --for {options.seconds}: without --few {plan.least} are recorded"
    if done.ended == "steady":
        return ": more would hardly help, since the last three changed what the worst case tells by less than a tenth"
    if done.ended == "time":
        return f": one more would end after --for {options.seconds}"
    if options.sessions is None:
        more = "" if plan.most > MOST else " without --until or --for"
        return f", which is the most that are recorded{more}"
    return ""


CALIBRATE = Command(
    "calibrate", "measure a suite in fresh processes and accept it", add_arguments, run, takes_pytest_arguments=True
)

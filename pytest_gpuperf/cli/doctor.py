"""``gpuperf doctor``: what this machine can measure, what is missing, and the command that mends it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.cli.command import Command

if TYPE_CHECKING:
    from pytest_gpuperf.cli.checks import DoctorLine
    from pytest_gpuperf.cli.machine import Facts

LACKING = 4  # the device asked for is not there


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf doctor`."""
    parser.add_argument("--device", metavar="NAME", help="fail where pytest --gpuperf-device NAME would fail")


def run(options: Namespace) -> int:
    """Print a line a check; fails only for a device that was asked for."""
    from pytest_gpuperf.cli import machine
    from pytest_gpuperf.reports.formats import terminal_width

    width = terminal_width()
    for check in _checks():
        print("\n".join(_lines(check, width)), flush=True)
    facts = machine.ask(machine.DEVICE.format(request=options.device or "auto"))
    for check in guarded("certificate", lambda: _certificate(facts)):
        print("\n".join(_lines(check, width)))
    print()
    print("\n".join(_conclusion(facts, width)))
    return LACKING if options.device and "error" in facts else 0


def _checks() -> Iterator[DoctorLine]:
    from pytest_gpuperf.cli import checks, machine
    from pytest_gpuperf.device.identity import nvidia_cards

    here = Path.cwd()
    nvml, torch = machine.ask(machine.NVML), machine.ask(machine.TORCH)
    cards = max(nvidia_cards(), len(nvml.get("names", ())))  # the bus of a virtual machine may show none
    yield from guarded("python", checks.python)
    yield from guarded("driver", lambda: checks.driver(nvml, cards, container=machine.in_container()))
    yield from guarded("gpu", lambda: checks.gpus(machine.ask(machine.GPUS)))
    yield from guarded("torch", lambda: [checks.torch(torch, cards, used=machine.names(here, "torch"))])
    onnxruntime, used = machine.ask(machine.ONNXRUNTIME), machine.names(here, "onnx")
    yield from guarded("onnxruntime", lambda: [checks.onnxruntime(onnxruntime, cards, used=used)])
    yield from guarded("cpu clock", lambda: [checks.governor(machine.governors())])
    yield from guarded("cpu energy", lambda: [checks.cpu_energy(machine.ask(machine.POWER))])
    yield from guarded("noise", lambda: [checks.noise(machine.load(), machine.unrest(), torch.get("threads", 1))])


def _certificate(facts: Facts) -> Iterator[DoctorLine]:
    from pytest_gpuperf.cli import checks
    from pytest_gpuperf.sessions.certify import kept

    if "error" not in facts:
        yield checks.certificate(kept(facts["card"]), facts["software"])


def guarded(what: str, check: Callable[[], Iterable[DoctorLine]]) -> list[DoctorLine]:
    """A check's lines. If the check itself fails, one line says so, and the other checks still run."""
    from pytest_gpuperf.cli.checks import DoctorLine

    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - whatever a strange machine does to one check, the others still run
        return [DoctorLine(what, f"could not be checked: {error!r}", good=False)]


def _lines(check: DoctorLine, width: int) -> list[str]:
    from pytest_gpuperf.reports.tables import prose

    start = f"{'ok' if check.good else 'LACK':<5} {check.what:<12} "
    indent = " " * len(start)
    first, *others = prose(check.says, width, indent)
    lines = [start + first.removeprefix(indent), *others]
    return [*lines, f"{indent}mend it: {check.mend}"] if check.mend else lines


def _conclusion(facts: Facts, width: int) -> list[str]:
    from pytest_gpuperf.reports.tables import prose

    if "error" in facts:
        return prose(str(facts["error"]), width, hanging="  ")
    text = f"Measures on: {facts['name']} ({facts['kind']}), timed by the {facts['clock']} clock, with {sys.executable}"
    return prose(text, width, hanging="  ")


DOCTOR = Command("doctor", "say what this machine can measure, and what mends what is missing", add_arguments, run)

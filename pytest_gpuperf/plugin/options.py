"""Every option, declared once: its flag, its ini key, its type, its default and its help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.units import parse_margin, parse_share, parse_tolerance
from pytest_gpuperf.records.units import parse_seconds as seconds


def _text(value: str, _what: str) -> str:
    return value


def _device(value: str, what: str) -> str:
    if value in {"auto", "cpu", "cuda"} or (value.startswith("cuda:") and value[5:].isdecimal()):
        return value
    raise UsageError(f"{what}: unknown device {value!r}. Choose auto, cpu, cuda or cuda:N (cuda:0, cuda:1, ...).")


def _choice(*choices: str) -> Callable[[str, str], str]:
    def convert(value: str, what: str) -> str:
        if value not in choices:
            raise UsageError(f"{what}: {value!r} is not one of: {', '.join(choices)}.")
        return value

    return convert


@dataclass(frozen=True)
class Option:
    """One option: ``--gpuperf-NAME`` on the command line, ``gpuperf_NAME`` in an ini file."""

    name: str
    kind: Literal["value", "flag", "list"]
    help: str
    convert: Callable[[str, str], Any] = _text
    default: str | None = None
    metavar: str | None = None

    @property
    def flag(self) -> str:
        """As typed on the command line."""
        return f"--gpuperf-{self.name}"

    @property
    def key(self) -> str:
        """As written in an ini file, and the attribute it is stored under."""
        return f"gpuperf_{self.name.replace('-', '_')}"


OPTIONS = (
    Option("device", "value", "where workloads run: auto, cuda, cuda:N or cpu", _device, "auto", "NAME"),
    Option("compare", "value", "judge against a baseline; 'auto': baselines/<device>.json", metavar="FILE"),
    Option("reference", "value", "judge against a pinned baseline too: small accepted losses add up", metavar="FILE"),
    Option("ab", "value", "measure the working state and another revision in turns, and compare", metavar="REF"),
    Option("save", "value", "record this run in a file", metavar="FILE"),
    Option("markdown", "value", "write the report as Markdown, for a pull request's comment", metavar="FILE"),
    Option("html", "value", "write the report as a page, DIR/index.html, which needs no network", metavar="DIR"),
    Option("trace", "value", "record a trace of each case by torch's profiler, after its measurement", metavar="DIR"),
    Option("csv", "value", "write the figures and verdicts as CSV, one line a case", metavar="FILE"),
    Option(
        "tolerance",
        "list",
        "how much worse a metric may become: throughput=3%",
        parse_tolerance,
        metavar="METRIC=PERCENT",
    ),
    Option(
        "margin",
        "value",
        "in which a case is unchanged: 5%, or what its sessions can tell, up to a cap (auto:10%)",
        parse_margin,
        "auto",
        "PERCENT",
    ),
    Option("require-gpu", "flag", "make a missing GPU an error instead of a skip"),
    Option("require-proof", "flag", "fail a result unless it is proven that its device did the work"),
    Option("strict", "flag", "fail on an inconclusive verdict"),
    Option("min-decided", "value", "share of compared cases that must get a verdict", parse_share, "80%", "PERCENT"),
    Option("allow-missing", "flag", "let cases of the baseline vanish or go unmeasured"),
    Option("allow-environment", "flag", "let cases be slower by other versions of software, where no code changed"),
    Option("budget", "value", "cap of one measurement", seconds, "10", "SECONDS"),
    Option(
        "confirm",
        "value",
        "how a suspect is measured again: turns (with its baseline's revision), process (fresh ones), in-test, off",
        _choice("turns", "process", "in-test", "off"),
        "turns",
        "HOW",
    ),
    Option("confirm-budget", "value", "time for measuring suspects in turns", seconds, "300", "SECONDS"),
    Option("setup", "value", "builds a revision before it is measured in turns; may make .venv", metavar="CMD"),
    Option(
        "scale",
        "value",
        "size of the suite's models: full, or smoke for a laptop (default: smoke with --gpuperf-device cpu, else full)",
        _choice("full", "smoke"),
        metavar="NAME",
    ),
    Option("require-backend", "flag", "make an absent package of a model or back end an error instead of a skip"),
    Option("parity-first", "flag", "refuse to time a back end that does not compute what its model computes"),
    Option("triton-url", "value", "use the Triton server at this address for triton_server", metavar="HOST:PORT"),
    Option("torch-url", "value", "use the torch server at this address for torch_server", metavar="HOST:PORT"),
    Option("openai-url", "value", "use the server with OpenAI's API at this base URL for text_server", metavar="URL"),
    Option("openai-model", "value", "which model of that server, where it has several", metavar="NAME"),
    Option("disable", "flag", "run each workload once; measure, record and compare nothing"),
)

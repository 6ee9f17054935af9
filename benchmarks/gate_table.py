"""The table of `gate_rates.py`: one row for what one tool said of one branch of one suite in one weather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from pytest_gpuperf.comparison.findings import DECIDED
from pytest_gpuperf.records.certificate import wilson

Line = dict[str, Any]
ALARMS = frozenset({"regressed", "environment"})  # words that fail a run
WORK = {"same": "none", "identical": "none, no code changed", "slow5": "5 %", "slow10": "10 %"}
TITLES = (
    "suite", "weather", "tool", "extra work in one case", "runs", "exit codes", "decided, of cases", "found",
    "slowed called unchanged", "false alarms, of unslowed cases", "runs failed falsely", "confirmed by",
    "time / plain run",
)  # fmt: skip
LEFT = {"weather", "tool", "extra work in one case", "exit codes", "found", "false alarms, of unslowed cases"}


def summarise(lines: Sequence[Line]) -> str:
    """As Markdown. A falsely failed run: exit 1 where nothing was slowed, else an alarm of a case that was not."""
    rows = ["| " + " | ".join(TITLES) + " |", "|" + "|".join("---" if t in LEFT else "---:" for t in TITLES) + "|"]
    rows += ["| " + " | ".join(row) + " |" for row in _rows(lines)]
    return "\n".join([*rows, "", *_costs(lines)])


def _rows(lines: Sequence[Line]) -> Iterator[Sequence[str]]:
    plain = _seconds(x for x in lines if x["tool"] == "plain")
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        if line["branch"] in WORK:
            groups.setdefault((line["suite"], line["weather"], line["tool"], line["branch"]), []).append(line)
    order = list(WORK)
    for key in sorted(groups, key=lambda k: (k[0], k[1] != "calm", k[1], order.index(k[3]), k[2])):
        suite, weather, tool, branch = key
        once = plain.get((suite, weather))
        yield str(suite), weather, tool, WORK[branch], *_counts(groups[key], once)


def _counts(runs: Sequence[Line], once: float | None) -> Iterator[str]:
    said = [(case, word, run["slowed"]) for run in runs for case, word in run["words"].items()]
    slowed = [word for case, word, which in said if case == which]
    calm = [word for case, word, which in said if case != which]
    alarms = sum(word in ALARMS for word in calm)
    basis = Counter(c.get("basis", "") for run in runs for c in run.get("columns", {}).values())
    yield str(len(runs))
    yield ", ".join(f"{code}: {times}" for code, times in sorted(Counter(r["exit_code"] for r in runs).items()))
    yield f"{sum(word in DECIDED for _, word, _ in said) / len(said):.0%}" if said else ""
    yield _share(slowed.count("regressed"), len(slowed))
    yield f"{slowed.count('unchanged')} of {len(slowed)}" if slowed else ""
    yield f"{alarms} of {len(calm)} (at most {wilson(alarms, len(calm))[1]:.1%})" if calm else ""
    yield f"{sum(_failed_falsely(run) for run in runs)} of {len(runs)}"
    yield ", ".join(f"{name}: {times}" for name, times in sorted(basis.items()) if name)
    yield f"{median(run['seconds'] for run in runs) / once:.1f}" if once else ""


def _share(hits: int, count: int) -> str:
    if not count:
        return ""
    low, high = wilson(hits, count)
    return f"{hits} of {count} ({low:.0%} to {high:.0%})"


def _failed_falsely(run: Line) -> bool:
    alarmed = any(word in ALARMS for case, word in run["words"].items() if case != run["slowed"])
    return alarmed or (not run["slowed"] and run["exit_code"] == 1)


def _costs(lines: Sequence[Line]) -> Iterator[str]:
    """What the ratios are of, and what the baselines took."""
    for tool in ("plain", "gpuperf calibrate", "pytest-benchmark save"):
        for (suite, weather), seconds in sorted(_seconds(x for x in lines if x["tool"] == tool).items()):
            yield f"- {tool}, suite of {suite}, {weather}: {seconds:.1f} s"


def _seconds(lines: Iterator[Line]) -> dict[tuple[int, str], float]:
    found: dict[tuple[int, str], list[float]] = {}
    for line in lines:
        found.setdefault((line["suite"], line["weather"]), []).append(line["seconds"])
    return {key: median(values) for key, values in found.items()}

"""The settings of a session and of a test: command line > marker > ini > default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.plugin.options import OPTIONS, Option, seconds
from pytest_gpuperf.records.units import METRICS, known_metric, one_each, parse_fraction, parse_margin, parse_tolerance

_INI_TYPES: Mapping[str, Literal["string", "bool", "linelist"]] = {
    "value": "string",
    "flag": "bool",
    "list": "linelist",
}
CACHES = ("warm", "flush", "rotate")


@dataclass(frozen=True)
class Settings:
    """What the command line and the ini file say, resolved."""

    device: str
    compare: str | None
    reference: str | None
    ab: str | None
    save: Path | None
    markdown: Path | None
    html: Path | None
    csv: Path | None
    trace: Path | None
    tolerance: Mapping[str, float]
    command_line_tolerance: Mapping[str, float]  # without the ini file's; it goes above markers
    margin: Mapping[str, float]  # fields of a rule
    command_line_margin: Mapping[str, float]  # likewise
    require_gpu: bool
    require_proof: bool
    strict: bool
    min_decided: float
    allow_missing: bool
    allow_environment: bool
    budget: float
    command_line_has_budget: bool  # then it goes above markers
    confirm: Literal["turns", "process", "in-test", "off"]
    confirm_budget: float
    setup: str | None
    scale: Literal["full", "smoke"]
    require_backend: bool
    parity_first: bool
    triton_url: str | None
    torch_url: str | None
    openai_url: str | None
    openai_model: str | None
    disable: bool


SETTINGS = pytest.StashKey[Settings]()


def settings_of(config: pytest.Config) -> Settings:
    """``settings_of(config)`` gives the options of a session, for a suite whose cases depend on them.

    Of the fields of these `Settings`, `device`, `scale` and `require_backend` are promised to stay.
    """
    return config.stash[SETTINGS]


@dataclass(frozen=True)
class TestSettings:
    """What holds for one test."""

    __test__ = False

    tolerance: Mapping[str, float]
    margin: float | None
    margin_cap: float | None
    budget: float
    cache: Literal["warm", "flush", "rotate"]
    energy: bool


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini key."""
    group = parser.getgroup("gpuperf", "GPU performance")
    for option in OPTIONS:
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        escaped = text.replace("%", "%%")  # argparse formats its help
        if option.kind == "flag":
            group.addoption(option.flag, dest=option.key, action="store_true", default=None, help=escaped)
        else:
            action = "append" if option.kind == "list" else "store"
            group.addoption(
                option.flag, dest=option.key, action=action, default=None, metavar=option.metavar, help=escaped
            )
        parser.addini(option.key, text, type=_INI_TYPES[option.kind], default=None)


def resolve(config: pytest.Config) -> Settings:
    """Every option's value, converted; an error names the option that is wrong."""
    value = {option.name: _value(config, option) for option in OPTIONS}
    command_line = _converted(config.getoption("gpuperf_tolerance"), "--gpuperf-tolerance")
    ini_file = _converted(config.getini("gpuperf_tolerance"), "gpuperf_tolerance")
    if value["reference"] and not value["compare"]:
        raise UsageError(
            "--gpuperf-reference goes with --gpuperf-compare: the reference shows what accepted losses add up to, "
            "beside the baseline that they were accepted into. Give both."
        )
    return Settings(
        device=value["device"],
        compare=value["compare"],
        reference=value["reference"],
        ab=value["ab"],
        save=_path(config, value["save"]),
        markdown=_path(config, value["markdown"]),
        html=_path(config, value["html"]),
        csv=_path(config, value["csv"]),
        trace=_path(config, value["trace"]),
        tolerance=over(command_line, ini_file),
        command_line_tolerance=command_line,
        margin=value["margin"],
        command_line_margin=value["margin"] if config.getoption("gpuperf_margin") is not None else {},
        require_gpu=value["require-gpu"],
        require_proof=value["require-proof"],
        strict=value["strict"],
        min_decided=value["min-decided"],
        allow_missing=value["allow-missing"],
        allow_environment=value["allow-environment"],
        budget=value["budget"],
        command_line_has_budget=config.getoption("gpuperf_budget") is not None,
        confirm=value["confirm"],
        confirm_budget=value["confirm-budget"],
        setup=value["setup"],
        scale=value["scale"] or ("smoke" if value["device"] == "cpu" else "full"),
        require_backend=value["require-backend"],
        parity_first=value["parity-first"],
        triton_url=value["triton-url"],
        torch_url=value["torch-url"],
        openai_url=value["openai-url"],
        openai_model=value["openai-model"],
        disable=value["disable"],
    )


def _path(config: pytest.Config, given: str | None) -> Path | None:
    return config.invocation_params.dir / given if given else None


def _value(config: pytest.Config, option: Option) -> Any:
    if option.kind == "list":
        return None
    typed = config.getoption(option.key)
    if option.kind == "flag":
        return bool(typed if typed is not None else config.getini(option.key))
    text, what = (typed, option.flag) if typed is not None else (config.getini(option.key), option.key)
    text = text or option.default
    return None if text is None else option.convert(text, what)


def _converted(texts: list[str] | None, what: str) -> dict[str, float]:
    return one_each([parse_tolerance(text, what) for text in texts or ()], what)


def over(upper: Mapping[str, float], lower: Mapping[str, float]) -> dict[str, float]:
    """Tolerances of an upper layer replace a lower layer's of the same evidence."""
    taken = {METRICS[m].kind for m in upper}
    return {m: t for m, t in lower.items() if METRICS[m].kind not in taken} | dict(upper)


MARKER_KEYS = ("tolerance", "margin", "budget", "cache", "energy")


def of_test(item: pytest.Item, settings: Settings) -> TestSettings:
    """The session's settings under the test's ``gpuperf`` markers (the closest wins, key by key)."""
    marked: dict[str, Any] = {}
    for marker in item.iter_markers("gpuperf"):
        unknown = set(marker.kwargs) - set(MARKER_KEYS)
        if marker.args or unknown:
            wrong = ", ".join(sorted(unknown)) or repr(marker.args[0])
            raise UsageError(f"{item.nodeid}: @gpuperf does not take {wrong}. It takes: {', '.join(MARKER_KEYS)}.")
        marked = dict(marker.kwargs) | marked
    what = f"{item.nodeid}: @gpuperf"
    own = one_each(_marked_tolerances(marked.get("tolerance", {}), what), what)
    cache = marked.get("cache", "warm")
    if cache not in CACHES:
        raise UsageError(f"{what}: cache {cache!r} is not one of: {', '.join(CACHES)}.")
    energy = marked.get("energy", False)
    if not isinstance(energy, bool):
        raise UsageError(f"{what}: energy is True or False, not {energy!r}.")
    margin = dict(settings.margin)
    if "margin" in marked:
        margin |= parse_margin(str(marked["margin"]), f"{what} margin")
    margin |= settings.command_line_margin
    budget = settings.budget
    if "budget" in marked:
        wanted = seconds(str(marked["budget"]), f"{what} budget")
        budget = settings.budget if settings.command_line_has_budget else wanted
    return TestSettings(
        tolerance=over(settings.command_line_tolerance, over(own, settings.tolerance)),
        margin=margin.get("margin"),
        margin_cap=margin.get("margin_cap"),
        budget=budget,
        cache=cache,
        energy=energy,
    )


def _marked_tolerances(tolerances: Any, what: str) -> list[tuple[str, float]]:
    if not isinstance(tolerances, dict):
        raise UsageError(f'{what}: tolerance is a dictionary, like {{"throughput": "3%"}}.')
    pairs = cast("dict[object, object]", tolerances).items()
    return [(known_metric(str(metric), what), parse_fraction(str(t), f"{what} {metric}")) for metric, t in pairs]

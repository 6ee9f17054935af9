"""What was collected: which tests measure, which must be skipped here, and what the arguments cover."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from packaging.version import InvalidVersion, Version

from pytest_gpuperf.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.records.model import Scope


LONGEST = 200  # a text beyond it is data, not the name of a level
SIMPLE = (str, int, float, bool, type(None))
DESELECTED = pytest.StashKey[list[str]]()
IGNORED = pytest.StashKey[list[Path]]()
SKIPPED = pytest.StashKey[dict[str, str]]()
MEASURING = ("gpuperf", "gpuperf_load", "gpuperf_pipeline", "gpuperf_text", "gpuperf_text_load")
FIXTURES = (*MEASURING, "cuda_timer", "gpu", "gpu_power")  # that need a device to be chosen
ALL_FIXTURES = (*FIXTURES, "parity", "triton_server", "torch_server", "text_server")
_GPU_KEYS = ("min_memory", "min_capability", "count", "cuda_only")


def parameters_of(item: pytest.Item) -> dict[str, str]:
    """Name -> text: ``{"batch": "32", "precision": "fp16"}``. What no file can hold is left out."""
    callspec: Any = getattr(item, "callspec", None)  # only parametrized tests have one
    values: Mapping[str, object] = {} if callspec is None else callspec.params
    texts = {name: _text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text is not None and _is_writable(text)}


def _is_writable(text: str) -> bool:
    return len(text) <= LONGEST and not any("\ud800" <= c <= "\udfff" for c in text)  # no UTF-8 has half a pair


def _text(value: object) -> str | None:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, SIMPLE):
        return str(value)
    if isinstance(value, (tuple, list)):  # a shape; what an element's text would cost (a tensor's!) is not known
        parts = cast("Sequence[object]", value)
        return str(parts) if all(isinstance(part, SIMPLE) for part in parts) else None
    name = getattr(value, "__name__", None)  # a class or a function
    return name if isinstance(name, str) else None


def note_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember what -k, -m and --deselect left out: it has not vanished."""
    for item in items:
        item.config.stash.setdefault(DESELECTED, []).append(item.nodeid)


def note_ignored(path: Path, config: pytest.Config) -> None:
    """Remember what --ignore, --ignore-glob and collect_ignore left out, so far as tests could be there."""
    usual = any(fnmatch(path.name, pattern) for pattern in config.getini("norecursedirs"))
    if not (usual and path.is_dir()):
        config.stash.setdefault(IGNORED, []).append(path)


def note_collected(report: pytest.CollectReport, config: pytest.Config) -> None:
    """Remember a file that gave no test: it skipped itself, or failed."""
    if not report.passed and "::" not in report.nodeid:
        why = f"skipped: {skip_reason(report)}" if report.skipped else "failed when it was collected"
        config.stash.setdefault(SKIPPED, {})[report.nodeid] = why


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What a skipped test or file says."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    return str(reason).removeprefix("Skipped: ")


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    """The fixtures a test asks for; a doctest or another plugin's item may have none."""
    return getattr(item, "fixturenames", ())


def measures(item: pytest.Item) -> bool:
    """Whether a test can measure."""
    return not set(MEASURING).isdisjoint(fixtures_of(item))


def _asks_for_ours(item: pytest.Item, names: Iterable[str]) -> bool:
    """Whether a test asks for one of these, and not for one of its project's that has the same name."""
    asked = fixtures_of(item)
    # Where a fixture comes from, no public function tells.
    definitions: Any = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(
        name in asked and name in definitions and definitions[name][-1].func.__module__ == "pytest_gpuperf.plugin"
        for name in names
    )


def involved(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests for which a device has to be chosen."""
    return [item for item in items if _asks_for_ours(item, FIXTURES) or _marked_for_us(item)]


def _marked_for_us(item: pytest.Item) -> bool:
    """Whether the marker `gpu` is ours here. Many projects have one of that name, and mean something else by it."""
    return item.get_closest_marker("gpu") is not None and _asks_for_ours(item, ALL_FIXTURES)


def skip_what_cannot_run(items: Iterable[pytest.Item], chosen: Chosen, asked: str) -> None:
    """Skip the tests of the accelerator suite that this device cannot serve, with the reason."""
    for item in items:
        marker = item.get_closest_marker("gpu")
        reason = None if marker is None else _lacks(item, marker, chosen, asked)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def _lacks(item: pytest.Item, marker: pytest.Mark, chosen: Chosen, asked: str) -> str | None:
    wants: dict[str, Any] = dict(marker.kwargs)
    unknown = set(wants) - set(_GPU_KEYS)
    if unknown or marker.args:
        wrong = ", ".join(sorted(unknown)) or repr(marker.args[0])
        raise UsageError(f"{item.nodeid}: @gpu does not take {wrong}. It takes: {', '.join(_GPU_KEYS)}.")
    device, capability = chosen.device, _capability(item, str(wants.get("min_capability", "0.0")))
    if device.kind == "cpu":
        if asked == "auto":
            return f"needs a GPU: {_why_none()} To run it on the CPU: --gpuperf-device cpu"
        needs = [key for key in _GPU_KEYS if wants.get(key)]
        return f"needs a GPU ({', '.join(needs)})" if needs else None
    if (device.memory or 0) < wants.get("min_memory", 0):
        return f"needs {wants['min_memory']} bytes of GPU memory; {device.name} has {device.memory}"
    if Version(device.capability or "0.0") < capability:
        return f"needs compute capability {capability}; {device.name} has {device.capability}"
    visible, count = _visible(), wants.get("count", 1)
    if visible < count:
        return f"needs {count} GPUs; {visible} visible"
    return None


def _capability(item: pytest.Item, text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        what = f"{item.nodeid}: @gpu min_capability: {text!r} is no compute capability"
        raise UsageError(f"{what}. Write it like '8.0'.") from None


def _why_none() -> str:
    from pytest_gpuperf.device.cuda import why_missing

    return why_missing() or "--gpuperf-device says cpu."


def _visible() -> int:  # pragma: no cover - needs a GPU
    from pytest_gpuperf.device.cuda import visible_count

    return visible_count()


def require_gpu(chosen: Chosen) -> None:
    """--gpuperf-require-gpu: a suite that was meant for a GPU must not pass without one."""
    if chosen.device.kind != "cuda":
        raise DeviceError(
            f"A GPU is required (--gpuperf-require-gpu), and none is used: {_why_none()} "
            f"See what is missing: gpuperf doctor"
        )


def scope(config: pytest.Config) -> Scope:
    """What this invocation covered; what it did not measure is added by who knows."""
    from pytest_gpuperf.plugin.fresh_sessions import options_again
    from pytest_gpuperf.records.model import Scope

    whole = [argument for argument in config.args if "::" not in argument and _exists(config, argument)]
    if config.getoption("lf", default=False):
        whole = []  # it leaves out whole files without a word
    return Scope(
        paths=tuple(dict.fromkeys(_relative(config, argument) for argument in whole)),
        ignored=tuple(dict.fromkeys(_relative(config, str(path)) for path in config.stash.get(IGNORED, ()))),
        skipped=config.stash.get(SKIPPED, dict[str, str]()),
        deselected=tuple(config.stash.get(DESELECTED, ())),
        options=tuple(options_again(config)),
        root=Path(os.path.relpath(config.rootpath, config.invocation_params.dir)).as_posix(),
    )


def _exists(config: pytest.Config, argument: str) -> bool:
    return (config.invocation_params.dir / argument).exists()


def _relative(config: pytest.Config, argument: str) -> str:
    """As node ids are written; "." for the root directory or anything above it."""
    path = Path(os.path.normpath(config.invocation_params.dir / argument))
    if config.rootpath.is_relative_to(path):
        return "."
    return Path(os.path.relpath(path, config.rootpath)).as_posix()

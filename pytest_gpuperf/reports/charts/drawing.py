# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# matplotlib's own hints leave its keyword arguments open.
"""Panels as PNG and SVG, in a light and a dark version each."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.reports.charts.panels import Panel, Point, Reading, is_number
from pytest_gpuperf.reports.palette import THEMES, Theme, palette
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.results.units import format_rate, format_seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

Colours = Mapping[str, str]
FORMATS = ("png", "svg")
LOOK: Mapping[RcKeyType, object] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,  # a name with dollars is a name
    "svg.fonttype": "none",  # text stays text: to be found, and to be read aloud
    "svg.hashsalt": "gpuperf",  # the same figures give the same file
}
MARKERS = ("o", "s", "^", "D")
COLOURS = 8
LONGEST = 60  # characters of a file name
TITLE, LABEL, LEVEL = 90, 32, 12  # characters of a text in the picture; its middle is left out where it is longer
LOGARITHMIC = 8.0  # the largest figure over the smallest, beyond which an axis from zero shows the smallest no more
PIXELS_AN_INCH = 160
WIDTH = 9  # inches
CAPTION = 150  # characters in a line of it
AIR = (0.012, 0.02, 0.976, 0.95)  # left, bottom, width and height of what is drawn on


@dataclass(frozen=True)
class Kind:
    """One of the two charts of a panel."""

    title: str
    say: Callable[[float], str]
    now: Callable[[Point], Reading]
    before: Callable[[Point], Reading | None]


KINDS = (
    Kind("Latency: time a call by the {clock} clock", format_seconds, lambda p: p.latency, lambda p: p.latency_before),
    Kind("Throughput: items a second", format_rate, lambda p: p.throughput, lambda p: p.throughput_before),
)


def require_matplotlib() -> None:
    """Said before anything is read."""
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise UsageError(f"Charts need {error.name}. Install it with: pip install 'pytest-gpuperf[report]'") from None


def write_charts(
    found: Sequence[Panel], folder: Path, formats: Sequence[str], caption: str
) -> Iterator[tuple[Panel, list[Path]]]:
    """Each panel with its files: light, then dark, of each format. The caption says where the figures come from."""
    taken: set[str] = set()
    for panel in found:
        name = _name(panel.title, taken)
        yield (
            panel,
            [_write(panel, folder / f"{name}{_SUFFIX[t]}.{f}", t, f, caption) for f in formats for t in THEMES],
        )


_SUFFIX = {"light": "", "dark": "-dark"}


def _name(title: str, taken: set[str]) -> str:
    """``resnet50``; a second panel of that name is ``resnet50-2``."""
    words = "".join(c if c.isascii() and (c.isalnum() or c in "._") else " " for c in title.lower()).split()
    name = "-".join(words)[:LONGEST].strip("-.") or "chart"
    number = 1
    while (unique := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    taken.add(unique)
    return unique


def _write(panel: Panel, path: Path, theme: Theme, form: str, caption: str) -> Path:
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(dict(LOOK)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the viewer's font may well have it
            figure = _drawn(panel, theme, caption)
            metadata = {"Date": None} if form == "svg" else {"Software": None}
            figure.savefig(path, format=form, dpi=PIXELS_AN_INCH, metadata=metadata, facecolor=palette(theme)["page"])
    except OSError as error:
        what = f"{path}: the chart cannot be written: {error.strerror}"
        raise FileError(f"{what}. Check the folder, or give another path.") from None
    return path


def _drawn(panel: Panel, theme: Theme, caption: str) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    colours = palette(theme)
    bars = len(panel.levels) == 1
    said = textwrap.wrap(visible(caption), CAPTION) or [""]
    columns = _columns([shortened(line) for line in panel.lines])
    legend = 0.0 if bars else 0.26 * ceil((len(panel.lines) + 1) / columns)  # with the baseline's line
    height = (0.6 + 0.3 * len(panel.lines) if bars else 3.4) + legend
    figure = Figure(figsize=(WIDTH, height + 1.1 + 0.15 * len(said)), layout=ConstrainedLayoutEngine(rect=AIR))
    only = f", {visible(panel.axis)} {shortened(panel.levels[0])}" if bars else ""
    title = shortened(panel.title, TITLE) + only
    # No height is given, of the title or of the caption: only so does the layout keep room for them.
    figure.suptitle(title, x=0.015, ha="left", fontsize=11, fontweight="bold", color=colours["text"])
    figure.supxlabel("\n".join(said), x=0.985, ha="right", fontsize=7.5, color=colours["muted"])
    clocks = ", ".join(sorted({p.clock for p in panel.points}))
    rows = figure.add_gridspec(2, 2, height_ratios=(height - legend, max(legend, 0.01)))
    for axes, kind in zip((figure.add_subplot(rows[0, column]) for column in (0, 1)), KINDS, strict=True):
        axes.set_facecolor(colours["page"])
        axes.set_axisbelow(True)
        axes.tick_params(colors=colours["muted"], which="both", length=0)
        for edge in axes.spines.values():
            edge.set_visible(False)
        (_bars if bars else _lines)(axes, panel, kind, colours)
        axes.set_title(kind.title.format(clock=visible(clocks)), loc="left", fontsize=9, color=colours["muted"])
    if not bars:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        below = figure.add_subplot(rows[1, :])
        below.set_axis_off()
        below.legend(
            handles, labels, loc="upper left", ncols=columns, frameon=False, labelcolor=colours["text"], fontsize=8
        )
    return figure


def _columns(labels: Sequence[str]) -> int:
    """How many labels of the legend stand beside each other: an inch holds some 14 of their characters."""
    return max(1, int(WIDTH / (0.7 + max(map(len, labels)) / 14)))


def _bars(axes: Axes, panel: Panel, kind: Kind, colours: Colours) -> None:
    """One level of the axis: a bar a line, from zero, with its figure; the baseline is a tick on it."""
    for i, line in enumerate(panel.lines):
        (point,) = (p for p in panel.points if p.line == line)
        reading, before = kind.now(point), kind.before(point)
        below, above = _reach(reading)
        axes.barh([i], [reading.value], height=0.62, color=colours[f"s{i % COLOURS}"])
        if below or above:
            axes.errorbar([reading.value], [i], xerr=[[below], [above]], color=colours["text"], capsize=2.5)
        if before is not None:
            axes.plot([before.value] * 2, [i - 0.42, i + 0.42], color=colours["text"], linestyle="--", linewidth=1.4)
        most = max(reading.value + above, before.value if before else 0.0)
        axes.text(most, i, f"  {kind.say(reading.value)}", va="center", color=colours["text"], fontsize=8)
    axes.set_yticks(range(len(panel.lines)), [shortened(line) for line in panel.lines])
    axes.invert_yaxis()
    axes.set_xlim(0, axes.get_xlim()[1] * 1.18)
    axes.set_xticks([])


def _lines(axes: Axes, panel: Panel, kind: Kind, colours: Colours) -> None:
    places = _places(panel.levels)
    for i, line in enumerate(panel.lines):
        own = sorted((p for p in panel.points if p.line == line), key=lambda p: places[p.level])
        colour, marker = colours[f"s{i % COLOURS}"], MARKERS[i % len(MARKERS)]
        known = [(places[p.level], r) for p in own if (r := kind.before(p)) is not None]
        for at, label, style, fill in (
            (known, "_nolegend_", "--", colours["page"]),
            ([(places[p.level], kind.now(p)) for p in own], shortened(line), "-", colour),
        ):
            if at:
                axes.errorbar(
                    [x for x, _ in at],
                    [reading.value for _, reading in at],
                    yerr=list(zip(*(_reach(reading) for _, reading in at), strict=True)),
                    label=label,
                    color=colour,
                    marker=marker,
                    markerfacecolor=fill,
                    linestyle=style,
                    capsize=2.5,
                    linewidth=1.6,
                    markersize=5,
                    elinewidth=1,
                )
    if any(kind.before(p) for p in panel.points):
        axes.errorbar([], [], color=colours["muted"], linestyle="--", label="the baseline")
    _scale(axes, panel, kind)
    axes.set_xticks(list(places.values()), [shortened(level, LEVEL) for level in places])
    axes.set_xlabel(visible(panel.axis), color=colours["muted"])
    axes.grid(axis="y", color=colours["line"], linewidth=0.8)


def _places(levels: Sequence[str]) -> dict[str, float]:
    """Numbers that double at equal distances; anything else in order."""
    from math import log2  # noqa: PLC0415

    positive = all(is_number(level) and float(level) > 0 for level in levels)
    return {level: log2(float(level)) if positive else float(i) for i, level in enumerate(levels)}


def _reach(reading: Reading) -> tuple[float, float]:
    """How far its interval goes below and above it."""
    below = 0.0 if reading.low is None else max(reading.value - reading.low, 0.0)
    above = 0.0 if reading.high is None else max(reading.high - reading.value, 0.0)
    return below, above


def _scale(axes: Axes, panel: Panel, kind: Kind) -> None:
    """From zero, so that no difference is exaggerated; logarithmic where that would hide the small figures."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 - an extra

    values = [kind.now(p).value for p in panel.points]
    if max(values) > LOGARITHMIC * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(_tick(kind.say)))


def shortened(text: str, most: int = LABEL) -> str:
    """The beginning and the end of a long name: what tells two apart stands there."""
    shown = visible(text)
    half = (most - 1) // 2
    return shown if len(shown) <= most else f"{shown[:half]}\u2026{shown[-half:]}"


def _tick(say: Callable[[float], str]) -> Callable[[float, object], str]:
    return lambda value, _: plain(say(value)) if value > 0 else "0"


def plain(text: str) -> str:
    """``20.0 ms`` -> ``20 ms``: a tick is a round number."""
    number, space, unit = text.partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + space + unit

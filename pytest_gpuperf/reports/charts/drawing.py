# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# matplotlib's own hints leave its keyword arguments open.
"""Panels as PNG and SVG, in a light and a dark version each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.records.units import format_rate, format_seconds
from pytest_gpuperf.reports.charts.panels import Panel, Point, Reading, is_number
from pytest_gpuperf.reports.charts.texts import fitted, inches, labels, shortened, wrapped
from pytest_gpuperf.reports.palette import THEMES, Theme, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text
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
TITLE, CAPTION, LEVEL = 90, 600, 12  # characters of a text in the picture; its middle is left out where it is longer
LOGARITHMIC = 8.0  # the largest figure over the smallest, beyond which an axis from zero shows the smallest no more
PIXELS_AN_INCH = 160
WIDTH, EDGE, GAP = 9.0, 0.14, 0.12  # inches: of a picture, around it, and between what stands below each other
ROOM = WIDTH - 2 * EDGE
BAR = 0.3  # inches of height
LARGE, USUAL, SMALL, TINY = 11.0, 9.0, 8.0, 7.5  # sizes of texts


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
    """Refuse before anything is read, where matplotlib is missing."""
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
            figure = _draw(panel, theme, caption)
            metadata = {"Date": None} if form == "svg" else {"Software": None}
            figure.savefig(path, format=form, dpi=PIXELS_AN_INCH, metadata=metadata, facecolor=palette(theme)["page"])
    except OSError as error:
        what = f"{path}: the chart cannot be written: {error.strerror}"
        raise FileError(f"{what}. Check the folder, or give another path.") from None
    return path


def _draw(panel: Panel, theme: Theme, caption: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    colours = palette(theme)
    bars = len(panel.levels) == 1
    figure = Figure(figsize=(WIDTH, WIDTH), dpi=PIXELS_AN_INCH)  # as tall as its parts, when they are known
    FigureCanvasAgg(figure)  # texts are measured on it
    only = f", {shortened(panel.axis)} {shortened(panel.levels[0])}" if bars else ""
    title = fitted(figure, shortened(panel.title, TITLE) + only, ROOM, LARGE, 2 * TITLE, "bold")
    footer = wrapped(figure, caption, ROOM, TINY, CAPTION)
    head = figure.text(0, 0, title, va="top", fontsize=LARGE, fontweight="bold", color=colours["text"])
    foot = figure.text(0, 0, footer, ha="right", va="bottom", fontsize=TINY, color=colours["muted"])
    names = labels(figure, panel.lines, USUAL if bars else SMALL)
    beside = max(inches(figure, name, USUAL) for name in names) / 2 if bars else 0.7  # of each chart, what names it
    room = ROOM / 2 - beside - 0.2
    clocks = ", ".join(sorted({p.clock for p in panel.points}))
    charts = figure.subplots(1, 2)
    for axes, kind in zip(charts, KINDS, strict=True):
        bare(axes, colours)
        (_bars if bars else _lines)(axes, panel, kind, colours, names, room)
        what = wrapped(figure, kind.title.format(clock=clocks), room, USUAL, TITLE)
        axes.set_title(what, loc="left", fontsize=USUAL, color=colours["muted"])
    _stack(figure, head, 0.5 + BAR * len(names) if bars else 3.4 + 0.05 * len(names), _legend(figure, colours), foot)
    if not bars:
        figure.draw_without_rendering()  # now it is known where the labels stand
        for axes in charts:
            _thin(axes)
    return figure


def _legend(figure: Figure, colours: Colours) -> Legend | None:
    """As many columns as there is room for; None where nothing needs a key."""
    handles, keys = figure.axes[0].get_legend_handles_labels()
    if not handles:
        return None
    columns = max(1, int(ROOM / (0.75 + max(inches(figure, key, SMALL) for key in keys))))
    return figure.legend(
        *(handles, keys),
        loc="upper left",
        ncols=columns,
        frameon=False,
        borderaxespad=0,
        borderpad=0,
        labelcolor=colours["text"],
        fontsize=SMALL,
    )


def _stack(figure: Figure, head: Text, tall: float, legend: Legend | None, foot: Text) -> None:
    """From top to bottom, each with the room it takes: the figure is as tall as they are together."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415 - an extra

    def height(part: Text | Legend | None) -> float:
        return part.get_window_extent().height / figure.dpi + GAP if part else 0.0

    whole = 2 * EDGE + height(head) + tall + GAP + height(legend) + height(foot) - GAP
    top = whole - EDGE - height(head)  # of the charts
    figure.set_size_inches(WIDTH, whole)
    head.set_position((EDGE / WIDTH, 1 - EDGE / whole))
    foot.set_position((1 - EDGE / WIDTH, EDGE / whole))
    if legend:
        legend.set_bbox_to_anchor((EDGE / WIDTH, (top - tall - GAP) / whole))
    charts = (EDGE / WIDTH, (top - tall) / whole, ROOM / WIDTH, tall / whole)
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=charts, h_pad=0, w_pad=0, wspace=0.03))


def _thin(axes: Axes) -> None:
    """Where labels of levels would lie over each other, the larger level keeps its own."""
    shown = [label.get_text() for label in axes.get_xticklabels()]
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    left = float("inf")
    for i in sorted(range(len(boxes)), key=lambda i: -boxes[i].x1):
        if boxes[i].x1 + 0.04 * PIXELS_AN_INCH > left:
            shown[i] = ""
        else:
            left = boxes[i].x0
    axes.set_xticks(axes.get_xticks(), shown)


def _bars(axes: Axes, panel: Panel, kind: Kind, colours: Colours, names: Sequence[str], room: float) -> None:
    """One level of the axis: a bar a line, from zero, with its figure; the baseline is a tick on it."""
    figure = cast("Figure", axes.figure)
    furthest, widest = 0.0, 0.0
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
        label = f"  {kind.say(reading.value)}"
        axes.text(most, i, label, va="center", color=colours["text"], fontsize=SMALL)
        furthest, widest = max(furthest, most), max(widest, inches(figure, label, SMALL))
    if any(kind.before(p) for p in panel.points):
        axes.plot([], [], color=colours["text"], linestyle="--", linewidth=1.4, label="the baseline")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(labelleft=kind is KINDS[0])  # both charts have the same rows
    axes.set_xlim(0, furthest / (1 - min(widest / room, 0.6)))
    axes.set_xticks([])


def _lines(axes: Axes, panel: Panel, kind: Kind, colours: Colours, names: Sequence[str], room: float) -> None:
    places = _places(panel.levels)
    for i, (line, name) in enumerate(zip(panel.lines, names, strict=True)):
        own = sorted((p for p in panel.points if p.line == line), key=lambda p: places[p.level])
        colour = colours[f"s{i % COLOURS}"]
        marker = MARKERS[(i + i // COLOURS) % len(MARKERS)]  # another one when the colours begin again
        known = [(places[p.level], r) for p in own if (r := kind.before(p)) is not None]
        for at, label, style, fill in (
            (known, "_nolegend_", "--", colours["page"]),
            ([(places[p.level], kind.now(p)) for p in own], name, "-", colour),
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
    scale(axes, [kind.now(p).value for p in panel.points], kind.say)
    levels = [shortened(level, LEVEL) for level in places]
    widest = max(inches(cast("Figure", axes.figure), level, USUAL) for level in levels)
    upright = not all(map(is_number, places)) and widest * len(levels) > room
    axes.set_xticks(list(places.values()), levels, rotation=90 if upright else 0)
    how = " \u00b7 vertical axis is logarithmic" if axes.get_yscale() == "log" else ""
    axes.set_xlabel(shortened(panel.axis) + how, color=colours["muted"])
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


def bare(axes: Axes, colours: Colours) -> None:
    """Nothing but the page: no frame, no ticks."""
    axes.set_facecolor(colours["page"])
    axes.set_axisbelow(True)
    axes.tick_params(colors=colours["muted"], which="both", length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)


def scale(axes: Axes, values: Sequence[float], say: Callable[[float], str], *, linear: bool = False) -> None:
    """From zero, so that no difference is exaggerated; logarithmic where that would hide the small figures."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 - an extra

    if not linear and max(values) > LOGARITHMIC * min(values) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(_tick(say)))


def _tick(say: Callable[[float], str]) -> Callable[[float, object], str]:
    return lambda value, _: plain(say(value)) if value > 0 else "0"


def plain(text: str) -> str:
    """``20.0 ms`` -> ``20 ms``: a tick is a round number."""
    number, space, unit = text.partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + space + unit

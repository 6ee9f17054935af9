# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# matplotlib's own hints leave its keyword arguments open.
"""Charts of a study of language models' servers: a line a server, a point for each load, its rounds as a whisker."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import util
from math import log2
from statistics import median
from typing import TYPE_CHECKING

from pytest_gpuperf.comparison.text_winners import GOODPUT, REQUESTS, TOKENS, TPOT, TTFT, Measure, measured_by
from pytest_gpuperf.records.text_study import TextStudy
from pytest_gpuperf.records.units import format_rate, format_seconds, significant
from pytest_gpuperf.reports.charts.drawing import (
    COLOURS,
    FORMATS,
    LOOK,
    MARKERS,
    PIXELS_AN_INCH,
    bare,
    plain,
    scale,
)
from pytest_gpuperf.reports.charts.texts import shortened
from pytest_gpuperf.reports.document import Picture
from pytest_gpuperf.reports.palette import THEMES, Theme, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (5.6, 3.4)  # inches
_SMALL, _USUAL = 8.0, 9.0


@dataclass(frozen=True)
class Chart:
    """One chart: what it shows, and its files by their path below the study's folder."""

    picture: Picture
    files: dict[str, bytes]


@dataclass(frozen=True)
class _Drawn:
    """What one chart shows."""

    name: str
    title: str
    measure: Measure
    say: Callable[[float], str]
    limit: float | None = None
    beside: Measure | None = None  # drawn thin and dashed: what the measure is a part of


def draw_charts(studies: Sequence[TextStudy], folder: str) -> list[Chart]:
    """Light and dark, as PNG and SVG; none where matplotlib is missing."""
    if util.find_spec("matplotlib") is None:
        return []
    return [_chart(studies, drawn, folder) for drawn in _wanted(studies)]


def _wanted(studies: Sequence[TextStudy]) -> Iterator[_Drawn]:
    asked, measure = studies[0].asked, measured_by(studies)
    due = ", from when a request was due" if asked.sweep == "rate" else ""
    yield _Drawn("ttft", f"TTFT, mean{due}", TTFT, format_seconds, asked.slo.get("ttft"))
    if any(TPOT.middle(study, at) for study in studies for at in asked.points):
        yield _Drawn("tpot", "TPOT, mean: time per token after the first", TPOT, format_seconds, asked.slo.get("tpot"))
    title = "Generated tokens a second" if measure is TOKENS else "Answers a second"
    yield _Drawn("throughput", title, measure, significant if measure is TOKENS else format_rate)
    if asked.slo:
        title = "Goodput: requests a second within all limits (dashed: all that were answered)"
        yield _Drawn("goodput", title, GOODPUT, format_rate, beside=REQUESTS)


def _chart(studies: Sequence[TextStudy], drawn: _Drawn, folder: str) -> Chart:
    suffix = {"light": "", "dark": "-dark"}
    files = {
        f"{folder}/{drawn.name}{suffix[theme]}.{form}": _draw(studies, drawn, theme, form)
        for theme in THEMES
        for form in FORMATS
    }
    light, dark = (f"{folder}/{drawn.name}{suffix[theme]}.svg" for theme in THEMES)
    by = studies[0].asked.sweep
    return Chart(Picture(f"{drawn.title}, by {by}", light, files[light], files[dark]), files)


def _draw(studies: Sequence[TextStudy], drawn: _Drawn, theme: Theme, form: str) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(dict(LOOK)):
        figure = Figure(figsize=_SIZE, dpi=PIXELS_AN_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        _axes(figure, studies, drawn, theme)
        out = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=PIXELS_AN_INCH, metadata=metadata, facecolor=palette(theme)["page"])
    return out.getvalue()


def _axes(figure: Figure, studies: Sequence[TextStudy], drawn: _Drawn, theme: Theme) -> None:
    colours, asked = palette(theme), studies[0].asked
    axes: Axes = figure.add_subplot()
    bare(axes, colours)
    for i, study in enumerate(studies):
        colour, marker = colours[f"s{i % COLOURS}"], MARKERS[(i + i // COLOURS) % len(MARKERS)]
        if drawn.beside is not None:
            points = list(_readings(study, drawn.beside))
            places, middles = [log2(at) for at, _ in points], [median(values) for _, values in points]
            axes.plot(places, middles, color=colour, linestyle="--", linewidth=1)
        points = list(_readings(study, drawn.measure))
        middles = [median(values) for _, values in points]
        axes.errorbar(
            [log2(at) for at, _ in points],
            middles,
            yerr=[
                [middle - min(values) for middle, (_, values) in zip(middles, points, strict=True)],
                [max(values) - middle for middle, (_, values) in zip(middles, points, strict=True)],
            ],
            label=shortened(study.contender),
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.6,
            elinewidth=1,
            capsize=2.5,
        )
    if drawn.limit is not None:
        axes.axhline(drawn.limit, color=colours["muted"], linestyle=":", linewidth=1.2)
        axes.annotate(
            f"limit {format_seconds(drawn.limit)}",
            xy=(1.0, drawn.limit),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=_SMALL,
            color=colours["muted"],
        )
    every = [value for study in studies for _, values in _readings(study, drawn.measure) for value in values]
    limit = [] if drawn.limit is None else [drawn.limit]
    scale(axes, every + limit, drawn.say, linear=drawn.measure.unit != "s")
    say = format_rate if asked.sweep == "rate" else significant
    axes.set_xticks([log2(at) for at in asked.points], [plain(say(at)) for at in asked.points])
    named = "requests a second due" if asked.sweep == "rate" else "prompts in flight"
    how = " \u00b7 vertical axis is logarithmic" if axes.get_yscale() == "log" else ""
    axes.set_xlabel(named + how, color=colours["muted"])
    axes.set_title(drawn.title, loc="left", fontsize=_USUAL, color=colours["text"])
    axes.grid(axis="y", color=colours["line"], linewidth=0.8)
    if len(studies) > 1:
        figure.legend(loc="outside lower left", ncols=4, frameon=False, labelcolor=colours["text"], fontsize=_SMALL)


def _readings(study: TextStudy, measure: Measure) -> Iterator[tuple[float, list[float]]]:
    """Each point with what its rounds had; one that has nothing is no point of a line."""
    for at in study.asked.points:
        known = [value for value in measure.values(study, at) if value is not None]
        if known:
            yield at, known

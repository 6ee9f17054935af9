# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# matplotlib's own hints leave its keyword arguments open.
"""Charts of a study of vision transformers: efficiency by hidden width, throughput and memory by resolution."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from math import log2
from statistics import median

from pytest_gpuperf.comparison.vit_findings import COUNTED
from pytest_gpuperf.records.units import format_bytes, format_percent, format_rate
from pytest_gpuperf.records.vit_space import EAGER, SPACES
from pytest_gpuperf.records.vit_study import CaseFigures, SessionFigures, VitStudy
from pytest_gpuperf.reports.charts.drawing import COLOURS, FORMATS, LOOK, MARKERS, PIXELS_AN_INCH, bare, plain, scale
from pytest_gpuperf.reports.charts.study_charts import Chart
from pytest_gpuperf.reports.document import Picture
from pytest_gpuperf.reports.palette import THEMES, Theme, palette

_SIZE = (5.6, 3.8)  # inches
_SMALL, _USUAL = 8.0, 9.0
_MOST_LINES = 8  # more could not be told apart
_SUFFIX = {"light": "", "dark": "-dark"}


@dataclass(frozen=True)
class _Drawn:
    """What one chart shows: a line an architecture, a point a level, its sessions as a whisker."""

    name: str
    title: str
    along: str  # the size on the horizontal axis
    lines: Mapping[str, Sequence[CaseFigures]]
    read: Callable[[CaseFigures, SessionFigures], float]
    say: Callable[[float], str]


def draw_vit_charts(study: VitStudy, folder: str) -> list[Chart]:
    """Light and dark, as PNG and SVG; none where matplotlib is missing, or a line would be a point."""
    if util.find_spec("matplotlib") is None:
        return []
    return [_chart(drawn, folder) for drawn in _wanted(study) if drawn.lines]


def _wanted(study: VitStudy) -> Iterator[_Drawn]:
    eager = [case for case in study.cases if case.way == EAGER]
    centre = SPACES[study.scale].centre.resolution
    product = study.product
    if product is not None:
        by_width = _lines([c for c in eager if c.resolution == centre], "hidden", ("patch", "depth"))
        title = f"Efficiency by hidden width, resolution {centre}"

        def share(case: CaseFigures, session: SessionFigures) -> float:
            return case.flops / session.seconds / product

        yield _Drawn("efficiency", title, "hidden", by_width, share, format_percent)
    by_resolution = _lines(eager, "resolution", ("patch", "depth", "hidden"))
    yield _Drawn(
        *("throughput", "Images a second by resolution", "resolution", by_resolution),
        lambda _, session: session.throughput,
        format_rate,
    )
    counted = [c for c in eager if all(s.peak_memory and s.memory_source == COUNTED for s in c.sessions)]
    yield _Drawn(
        *("memory", "Peak memory by resolution", "resolution"),
        _lines(counted, "resolution", ("patch", "depth", "hidden")),
        lambda _, session: float(session.peak_memory or 0),
        format_bytes,
    )


def _lines(cases: Sequence[CaseFigures], along: str, others: Sequence[str]) -> dict[str, list[CaseFigures]]:
    """Those of at least two points, the longest first, as many as can be told apart."""
    found: dict[str, list[CaseFigures]] = {}
    for case in sorted(cases, key=lambda c: getattr(c, along)):
        found.setdefault(", ".join(f"{name} {getattr(case, name)}" for name in others), []).append(case)
    longest = sorted((item for item in found.items() if len(item[1]) > 1), key=lambda item: -len(item[1]))
    return dict(longest[:_MOST_LINES])


def _chart(drawn: _Drawn, folder: str) -> Chart:
    files = {
        f"{folder}/{drawn.name}{_SUFFIX[theme]}.{form}": _draw(drawn, theme, form)
        for theme in THEMES
        for form in FORMATS
    }
    light, dark = (f"{folder}/{drawn.name}{_SUFFIX[theme]}.svg" for theme in THEMES)
    return Chart(Picture(drawn.title, light, files[light], files[dark]), files)


def _draw(drawn: _Drawn, theme: Theme, form: str) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    colours = palette(theme)
    with mpl.rc_context(dict(LOOK)):
        figure = Figure(figsize=_SIZE, dpi=PIXELS_AN_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        bare(axes, colours)
        levels: set[int] = set()
        every: list[float] = []
        for i, (label, cases) in enumerate(drawn.lines.items()):
            values = [[drawn.read(case, session) for session in case.sessions] for case in cases]
            middles = [median(some) for some in values]
            places: list[int] = [getattr(case, drawn.along) for case in cases]
            axes.errorbar(
                [log2(place) for place in places],
                middles,
                yerr=[
                    [middle - min(some) for middle, some in zip(middles, values, strict=True)],
                    [max(some) - middle for middle, some in zip(middles, values, strict=True)],
                ],
                label=label,
                color=colours[f"s{i % COLOURS}"],
                marker=MARKERS[i % len(MARKERS)],
                markersize=5,
                linewidth=1.6,
                elinewidth=1,
                capsize=2.5,
            )
            levels.update(places)
            every += [value for some in values for value in some]
        scale(axes, every, drawn.say)
        axes.set_xticks([log2(level) for level in sorted(levels)], [plain(str(level)) for level in sorted(levels)])
        how = " \u00b7 vertical axis is logarithmic" if axes.get_yscale() == "log" else ""
        axes.set_xlabel(drawn.along + how, color=colours["muted"])
        axes.set_title(drawn.title, loc="left", fontsize=_USUAL, color=colours["text"])
        axes.grid(axis="y", color=colours["line"], linewidth=0.8)
        figure.legend(loc="outside lower left", ncols=2, frameon=False, labelcolor=colours["text"], fontsize=_SMALL)
        out = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=PIXELS_AN_INCH, metadata=metadata, facecolor=colours["page"])
    return out.getvalue()

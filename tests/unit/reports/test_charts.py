"""Charts for a README: what is drawn, beside what, and that the same figures give the same picture."""

from __future__ import annotations

import re
import sys
import warnings
import xml.etree.ElementTree as ET

import matplotlib as mpl
import msgspec
import pytest
from examples import a_baseline, a_measurement, a_run
from matplotlib.figure import Figure
from matplotlib.text import Text
from page_suite import a_suite

from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.reports.charts import drawing
from pytest_gpuperf.reports.charts.drawing import plain, require_matplotlib, write_charts
from pytest_gpuperf.reports.charts.panels import Reading, panels
from pytest_gpuperf.reports.charts.texts import labels, shortened
from pytest_gpuperf.reports.palette import palette

PNG = b"\x89PNG\r\n\x1a\n"


def with_parameters(measured, *parameters):
    """A run or baseline whose cases have these parameters."""
    cases = zip(measured.cases, parameters, strict=True)
    return msgspec.structs.replace(measured, cases=tuple(msgspec.structs.replace(c, parameters=p) for c, p in cases))


def drawn(found, folder, formats=("svg",), caption="Tesla T4; torch 2.15.0"):
    return [paths for _, paths in write_charts(found, folder, formats, caption)]


def test_a_panel_a_model_a_line_a_precision_a_point_a_batch():
    found = panels(*a_suite(112))
    assert [p.title for p in found][:2] == ["resnet50", "vit_b_16"]
    first = found[0]
    assert first.lines == ["autocast_fp16 eager", "fp16 cudagraph", "fp32 eager", "fp32 torchscript"]
    assert first.levels == ["1", "8", "16", "32"]
    point = first.points[0]
    assert point.latency.low < point.latency.value < point.latency.high
    assert point.latency_before.low < point.latency_before.value < point.latency_before.high
    assert point.throughput_before is None  # the run's throughput is by the host's clock, the baseline's is not


def test_one_clock_has_the_baseline_s_throughput_too():
    run = with_parameters(a_run(0, cases=("a",)), {"batch": "8"})
    (panel,) = panels(run, a_baseline(0, 1, cases=("a",)))
    assert panel.title == "test"
    assert panel.points[0].line == "measured"
    assert panel.points[0].throughput_before.value == pytest.approx(8 / 0.010005)


def test_figures_of_another_count_of_items_are_drawn_beside_nothing():
    run = with_parameters(a_run(0, cases=("a",), items=4), {"batch": "8"})
    assert panels(run, a_baseline(0, cases=("a",)))[0].points[0].latency_before is None


def test_a_baseline_by_itself_reaches_as_far_as_its_sessions():
    parameters = ({"batch": "8"}, {"batch": "16"})
    several = panels(with_parameters(a_baseline(0, 1), *parameters))[0].points[0]
    assert several.latency == Reading(0.010005, 0.010005, 0.010005)
    one = panels(with_parameters(a_baseline(0), *parameters))[0].points[0]
    assert (one.latency.low, one.throughput.high) == (None, None)


def test_what_all_cases_share_is_not_in_the_title():
    run = with_parameters(
        a_run(0, cases=("a", "b", "c")),
        {"batch": "8", "scale": "full", "size": "large"},
        {"batch": "8", "scale": "full", "size": "small"},
        {},
    )
    other = msgspec.structs.replace(run.cases[1], id="x.py::test_other[b]", test="x.py::test_other[b]")
    found = panels(msgspec.structs.replace(run, cases=(run.cases[0], other, run.cases[2])))
    assert [p.title for p in found] == ["scale full, size large (test)", "scale full, size small (test_other)"]


def test_without_a_batch_the_axis_is_the_number_with_most_levels():
    levels = [{"size": "64", "steps": "1"}, {"size": "128", "steps": "2"}, {"size": "256", "steps": "2"}]
    (axis,) = {p.axis for p in panels(with_parameters(a_run(0, cases=("a", "b", "c")), *levels))}
    assert axis == "size"
    for parameters in ({}, {"model": "resnet"}, {"size": "nan"}):
        with pytest.raises(UsageError, match="nothing to draw over"):
            panels(with_parameters(a_run(0, cases=("a",)), parameters))
    with pytest.raises(UsageError, match="nothing to draw over"):
        panels(a_run(0, cases=()))


def test_numbers_by_size_before_words():
    levels = ("32", "auto", "4", "dynamic")
    run = with_parameters(a_run(0, cases=("a", "b", "c", "d")), *({"batch": level} for level in levels))
    assert panels(run)[0].levels == ["4", "32", "auto", "dynamic"]


def test_two_themes_of_each_format(tmp_path):
    run, baseline = a_suite(16)
    ((light_png, dark_png, light, dark),) = drawn(panels(run, baseline), tmp_path / "new", ("png", "svg"))
    assert [p.name for p in (light_png, dark_png, light, dark)] == [
        "resnet50.png",
        "resnet50-dark.png",
        "resnet50.svg",
        "resnet50-dark.svg",
    ]
    assert light_png.read_bytes().startswith(PNG)
    for theme, path in (("light", light), ("dark", dark)):
        text = path.read_text()
        assert palette(theme)["page"] in text
        words = set(ET.fromstring(text).itertext())
        assert {"resnet50", "fp16 cudagraph", "the baseline", "10 ms", "Tesla T4; torch 2.15.0"} <= words
        assert "batch \u00b7 vertical axis is logarithmic" in words
        assert "Latency: time a call by the cuda-event clock" in words


def test_the_same_figures_give_the_same_picture(tmp_path):
    run, baseline = a_suite(16)
    pictures = [drawn(panels(run, baseline), tmp_path / n, ("png", "svg"))[0] for n in "ab"]
    assert [p.read_bytes() for p in pictures[0]] == [p.read_bytes() for p in pictures[1]]


def test_one_batch_is_drawn_as_bars(tmp_path):
    run, baseline = a_suite(112)
    one = msgspec.structs.replace(run, cases=tuple(c for c in run.cases if c.parameters["batch"] == "8")[:4])
    ((light, _),) = drawn(panels(one, baseline), tmp_path)
    words = set(ET.fromstring(light.read_text()).itertext())
    assert "resnet50, batch 8" in words
    assert any(re.fullmatch(r" *4\.\d+ ms", word) for word in words)
    published = msgspec.structs.replace(a_baseline(0, cases=("a",)), provenance="published")
    assert drawn(panels(with_parameters(published, {"batch": "8"})), tmp_path)


def test_small_and_large_figures_are_told_apart_and_axes_else_start_at_zero(tmp_path):
    run = with_parameters(a_run(0, cases=("a", "b")), {"batch": "1"}, {"batch": "2"})
    ((light, _),) = drawn(panels(run), tmp_path)
    assert {"0"} <= set(ET.fromstring(light.read_text()).itertext())
    large = msgspec.structs.replace(run.cases[1], measurements=(a_measurement(0, 1.0),))
    ((light, _),) = drawn(panels(msgspec.structs.replace(run, cases=(run.cases[0], large))), tmp_path)
    assert {"10 ms", "100 ms", "1 s"} <= set(ET.fromstring(light.read_text()).itertext())


def test_names_are_text_and_make_safe_file_names(tmp_path):
    names = ["$\\frac{1}{0}$", "<script>&amp;</script>", "../../etc/passwd", "日本語😀", "x" * 300, "RESNET", "resnet"]
    cases = tuple(f"{i}" for i in range(len(names)))
    run = with_parameters(a_run(0, cases=cases), *({"batch": "1", "model": name, "backend": name} for name in names))
    paths = drawn(panels(run), tmp_path)
    assert [light.name for light, _ in paths] == [
        "frac-1-0.svg",
        "script-amp-script.svg",
        "etc-passwd.svg",
        "chart.svg",
        "x" * 60 + ".svg",
        "resnet.svg",
        "resnet-2.svg",
    ]
    for name, (light, _) in zip(names, paths, strict=True):
        assert any(shortened(name) in word for word in ET.fromstring(light.read_text()).itertext())
    assert shortened("x" * 20 + "y" * 20) == "x" * 15 + "\u2026" + "y" * 15


def test_trouble_with_the_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="the chart cannot be written: Not a directory"):
        drawn(panels(*a_suite(4)), tmp_path / "file" / "folder")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=re.escape("Charts need matplotlib. Install it with: pip install 'pytest-")):
        require_matplotlib()


@pytest.mark.parametrize(
    ("text", "tick"), [("20.0 ms", "20 ms"), ("1.50 s", "1.5 s"), ("100 ms", "100 ms"), ("0", "0")]
)
def test_ticks_are_round(text, tick):
    assert plain(text) == tick


def overlapping(boxes):
    """The pairs of names whose boxes have more than a point in common."""
    return [
        (a, b)
        for i, (a, one) in enumerate(boxes)
        for b, other in boxes[i + 1 :]
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    ]


def figure_of(panel, caption="Tesla T4; torch 2.15.0"):
    with mpl.rc_context(dict(drawing.LOOK)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = drawing._draw(panel, "light", caption)
        figure.draw_without_rendering()
    return figure


def texts_of(figure):
    """Every text that is drawn: the labels of ticks beyond an axis are not."""
    beyond = {
        label
        for axes in figure.axes
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim())))
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not (low <= tick.get_loc() <= high and label.get_visible())
    }
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and t not in beyond]


def boxes_of(figure):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    return boxes + [("plot", axes.get_window_extent()) for axes in figure.axes]


def assert_clean(figure):
    boxes = boxes_of(figure)
    within = [t.get_text() for axes in figure.axes for t in axes.texts]  # beside their bars, on the plot
    assert [pair for pair in overlapping(boxes) if not (pair[1] == "plot" and pair[0] in within)] == []
    for name, box in boxes:
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= figure.bbox.width, name
        assert box.y1 <= figure.bbox.height, name


VERSIONS = ", ".join(f"package{n} 1.{n}.0" for n in range(15))


def a_panel(*parameters):
    """One chart, beside a baseline."""
    cases = tuple(map(str, range(len(parameters))))
    run = with_parameters(a_run(0, 1, cases=cases), *parameters)
    (panel,) = panels(run, with_parameters(a_baseline(0, 1, cases=cases), *parameters))
    return panel


@pytest.mark.parametrize("count", [1, 8, 40])
@pytest.mark.parametrize("levels", [1, 4])
@pytest.mark.parametrize("backend", ["eager", "a back end of a long name", "\u65e5" * 60, "<script>\u202e" * 9])
def test_nothing_in_a_picture_lies_over_anything_else(count, levels, backend):
    panel = a_panel(
        *(
            {
                "batch": str(2 ** (n % levels)),
                "model": backend * 3,
                "precision": "fp16",
                "backend": f"{backend} {n // levels}",
            }
            for n in range(count)
        )
    )
    figure = figure_of(panel, f"Tesla T4; {VERSIONS}; {'x' * 400}; 2 sessions")
    assert_clean(figure)
    assert {"the baseline"} <= {t.get_text() for t in texts_of(figure)}


@pytest.mark.parametrize("levels", [[*range(1, 17), 20, 24, 28, 32], [f"dynamic_shape_{n}_of_ten" for n in range(10)]])
def test_many_levels_of_the_axis_are_told_apart(levels):
    figure = figure_of(a_panel(*({"batch": str(level)} for level in levels)))
    assert_clean(figure)
    for axes in figure.axes:
        told = [label.get_text() for label in axes.get_xticklabels() if label.get_text()]
        assert len(told) >= 10
        assert told[-1] == shortened(str(levels[-1]), 12)


def test_a_picture_grows_with_what_it_shows():
    def tall(count, levels):
        cases = ({"batch": str(n % levels), "backend": f"engine{n // levels}"} for n in range(count))
        return figure_of(a_panel(*cases)).get_figheight()

    assert 1 < tall(1, 1) < 2
    assert tall(40, 1) - tall(8, 1) == pytest.approx(32 * drawing.BAR)
    assert tall(8, 4) < tall(40, 4) < tall(160, 4)


def test_both_charts_of_bars_have_the_same_rows():
    run, baseline = a_suite(112)
    one = msgspec.structs.replace(run, cases=tuple(c for c in run.cases if c.parameters["batch"] == "8")[:4])
    left, right = figure_of(panels(one, baseline)[0]).axes  # the right one has no baseline
    assert left.get_ylim() == right.get_ylim()
    assert [bar.get_window_extent().y0 for bar in left.patches] == [bar.get_window_extent().y0 for bar in right.patches]


def test_no_two_lines_look_the_same():
    drawn_as = set()
    figure = figure_of(a_panel(*({"batch": str(n % 2), "backend": f"engine{n // 2}"} for n in range(64))))
    for line in (container.lines[0] for container in figure.axes[0].containers if container.get_label()[0] == "e"):
        drawn_as.add((line.get_color(), line.get_marker()))
    assert len(drawn_as) == 32


def test_long_names_that_differ_in_their_middle_are_shortened_less():
    figure = Figure()
    names = [f"{'engine ' * 3}{middle}{' with options' * 2}" for middle in ("one", "two")]
    assert labels(figure, names, 8) == names
    assert len(set(labels(figure, [f"{'x' * 90}{middle}{'x' * 90}" for middle in "ab"], 8))) == 1


def test_a_logarithmic_axis_says_so():
    run = with_parameters(a_run(0, cases=("a", "b")), {"batch": "1"}, {"batch": "2"})
    large = msgspec.structs.replace(run.cases[1], measurements=(a_measurement(0, 1.0),))
    both = msgspec.structs.replace(run, cases=(run.cases[0], large))
    assert figure_of(panels(run)[0]).axes[0].get_xlabel() == "batch"
    assert figure_of(panels(both)[0]).axes[0].get_xlabel() == "batch \u00b7 vertical axis is logarithmic"

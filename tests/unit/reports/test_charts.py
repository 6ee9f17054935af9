"""Charts for a README: what is drawn, beside what, and that the same figures give the same picture."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import msgspec
import pytest
from examples import a_baseline, a_measurement, a_run
from page_suite import a_suite

from pytest_gpuperf.errors import FileError, UsageError
from pytest_gpuperf.reports.charts import drawing
from pytest_gpuperf.reports.charts.drawing import plain, require_matplotlib, shortened, write_charts
from pytest_gpuperf.reports.charts.panels import Reading, panels
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
        assert {"resnet50", "fp16 cudagraph", "the baseline", "batch", "10 ms", "Tesla T4; torch 2.15.0"} <= words
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


@pytest.mark.parametrize("count", [1, 8, 40])
@pytest.mark.parametrize("backend", ["eager", "a back end of a name as long as any"])
def test_nothing_in_a_picture_lies_over_anything_else(count, backend):
    versions = ", ".join(f"package{n} 1.{n}.0" for n in range(15))
    parameters = [
        {"batch": str(2 ** (n % 4 if count > 1 else 0)), "precision": "fp16", "backend": f"{backend} {n // 4}"}
        for n in range(count)
    ]
    run = with_parameters(a_run(0, 1, cases=tuple(map(str, range(count)))), *parameters)
    (panel,) = panels(run, a_baseline(0, 1, cases=tuple(map(str, range(count)))))
    with mpl.rc_context(dict(drawing.LOOK)):
        figure = drawing._drawn(panel, "light", f"Tesla T4; {versions}; 2 sessions")
        figure.draw_without_rendering()
    texts = [figure._suptitle, figure._supxlabel]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for axes in figure.axes:
        title = axes.get_title(loc="left")
        if title:
            boxes += [(title, axes._left_title.get_window_extent()), (f"{title}: plot", axes.get_window_extent())]
        legend = axes.get_legend()
        if legend is not None:
            boxes.append(("legend", legend.get_window_extent()))
    assert len(boxes) == 6 + (count > 1)
    assert overlapping(boxes) == []
    for name, box in boxes:
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= figure.bbox.width, name
        assert box.y1 <= figure.bbox.height, name

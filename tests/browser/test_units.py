"""The page says figures as the terminal does: the same value, the same text."""

from __future__ import annotations

import random

from pytest_gpuperf.records.units import (
    cost_in_words,
    format_bytes,
    format_change,
    format_percent,
    format_rate,
    format_seconds,
    significant,
)
from pytest_gpuperf.reports.html.rendering import asset

EDGES = (0.9994, 0.9995, 0.99949, 0.99951, 0.9996, 1, 1.0004, 1.005, 1.5, 9.995, 9.994, 10, 99.95, 999.4, 999.5, 1023.9)


def test_figures_are_the_terminal_s(chromium):
    drawn = random.Random(1)
    values = [e * 10.0**p for e in EDGES for p in range(-6, 10, 3)] + [10 ** drawn.uniform(-6, 10) for _ in range(2000)]
    ratios = [
        0.5,
        0.9995,
        0.99949,
        1.0,
        1.00049,
        1.0312,
        1.9994,
        1.9999,
        2.0,
        12.345,
        *(drawn.uniform(0.2, 3) for _ in range(500)),
    ]
    page = chromium.new_page()
    page.evaluate(
        asset("units.js")
        + "; const compared = (value) => seconds(value, COMPARED)"
        + "; Object.assign(window, { seconds, rate, bytes, change, significant, percent, compared, inWords })"
    )
    for name, python, given in (
        ("seconds", format_seconds, values),
        ("rate", format_rate, values),
        ("bytes", format_bytes, values),
        ("change", format_change, ratios),
        ("significant", significant, values),
        ("compared", lambda value: format_seconds(value, 4), values),
        ("percent", format_percent, [0.03, 0.048, 0.1, 1.25, *(drawn.uniform(0, 2) for _ in range(500))]),
    ):
        said = page.evaluate(f"(values) => values.map((v) => {name}(v))", given)
        differing = [(v, a, python(v)) for v, a in zip(given, said, strict=True) if a != python(v)]
        assert differing == [], name
    for evidence in ("time", "peak_memory", "energy"):
        said = page.evaluate(f"(values) => values.map((v) => inWords('{evidence}', v, [v / 1.1, v * 1.1]))", ratios)
        assert said == [cost_in_words(evidence, r, (r / 1.1, r * 1.1)) for r in ratios]
        assert page.evaluate(f"inWords('{evidence}', 1.054)") == cost_in_words(evidence, 1.054)
    page.close()

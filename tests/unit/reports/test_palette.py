"""Colours that can be told from what they stand on, computed as WCAG 2 says."""

from __future__ import annotations

import pytest

from pytest_gpuperf.reports.palette import THEMES, contrast, palette

WORDS = ("text", "muted", "link", "regressed", "improved", "inconclusive", "unchanged", "waived", "new", "reference")
LINES = tuple(f"s{i}" for i in range(8))
GROUNDS = ("page", "raised")


def test_the_ends_of_the_scale():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", WORDS)
def test_words_are_read_on_every_ground(theme, name):
    colours = palette(theme)
    assert all(contrast(colours[name], colours[ground]) >= 4.5 for ground in GROUNDS)


@pytest.mark.parametrize("theme", THEMES)
def test_marks_are_seen(theme):
    colours = palette(theme)
    for name in (*LINES, "dim"):
        assert contrast(colours[name], colours["page"]) >= 3
    assert all(contrast(colours["regressed"], colours[band]) >= 3 for band in ("tolerance", "margin"))

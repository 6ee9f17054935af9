"""The table: aligned whatever the names are, never wider than the terminal where that is possible, losing nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts import HOSTILE

from pytest_gpuperf.reports.tables import broken, by_file, display_width, prose, table, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [a-1]", "plain [a-1]"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eabc", "\\u202eabc"),
        ("\udcff", "\\udcff"),
        ("日本😀", "日本😀"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("😀", 2), ("é", 1)])
def test_width_is_counted_in_columns(text, width):
    assert display_width(text) == width


@given(st.text(), st.integers(2, 40))
def test_a_broken_name_loses_nothing_and_fits(name, width):
    name = visible(name)
    pieces = broken(name, width)
    assert "".join(pieces) == name
    assert all(display_width(piece) <= width for piece in pieces)


def test_a_name_breaks_after_a_separator():
    assert broken("test_resnet[float16-batch32]", 20) == ["test_resnet[float16-", "batch32]"]
    assert broken("a" * 25, 20) == ["a" * 20, "a" * 5]


def test_a_piece_is_never_empty():
    assert broken("日本", 1) == ["日", "本"]


@given(
    st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), min_size=1), st.integers(20, 99)
)
def test_prose_keeps_every_word_and_fits(words, width):
    lines = prose(" ".join(words), width, "- ", "    ")
    assert " ".join(line[2 if i == 0 else 4 :] for i, line in enumerate(lines)) == " ".join(words)
    assert all(display_width(line) <= width or " " not in line.strip(" -") for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_columns_align_under_hostile_names(width):
    groups = by_file((name, (f"{i} /s", "1.2 ms", "word")) for i, name in enumerate([*HOSTILE, "f.py::short"]))
    lines = table(("case", "throughput", "p50", "verdict"), "lrrl", groups, width)
    rows = [line for line in lines if line.endswith("word")]
    assert len(rows) == 6
    assert len({display_width(line) for line in rows}) == 1
    assert all(display_width(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    text = "".join(line.strip() for line in lines)
    assert "parameter0-" in text
    assert text.count("parameter19]") == 1  # the parametrization is never lost


def test_a_name_too_long_stands_above_its_figures():
    lines = table(("case", "x"), "lr", {"f.py": [("a_very_long_name_of_a_test[1]", "7"), ("b", "8")]}, 24)
    assert lines == [
        "case  x",
        "f.py",
        "  a_very_long_name_of_a_",
        "    test[1]",
        "      7",
        "  b   8",
    ]


def test_a_narrow_terminal_still_gets_names():
    lines = table(("case", "figure"), "lr", {"": [("name", "1" * 30)]}, 10)
    assert lines[1].startswith("name ")


def test_a_command_in_a_sentence_stays_whole():
    command = "`gpuperf calibrate --sessions 4 --into base.json`"
    assert prose(f"Record more ({command}), or wait for a while.", 30, hanging="  ") == [
        "Record more",
        f"  ({command}),",
        "  or wait for a while.",
    ]
    assert prose("one ` alone breaks as it did", 12) == ["one ` alone", "breaks as it", "did"]

"""How figures are read and shown."""

from __future__ import annotations

import math

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.units import (
    by_number,
    cost_in_words,
    format_bytes,
    format_change,
    format_duration,
    format_percent,
    format_rate,
    format_seconds,
    in_words,
    log_tolerance,
    parse_fraction,
    significant,
)


def test_a_percentage() -> None:
    assert parse_fraction("3%", "x") == 0.03
    assert parse_fraction(" 0% ", "x") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("banana", "tolerance: 'banana' is not a percentage. Write it like 3%."),
        ("", "is not a percentage"),
        ("3", "tolerance: '3' has no unit. Write 3%, with the percent sign."),
        ("-1%", "out of range"),
        ("100%", "out of range"),
        ("nan%", "out of range"),
        ("inf%", "out of range"),
    ],
)
def test_what_is_no_percentage(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fraction(text, "tolerance")
    assert said in str(caught.value)


def test_less_throughput_is_more_time() -> None:
    assert log_tolerance("throughput", 0.5) == pytest.approx(math.log(2))
    assert log_tolerance("latency", 0.5) == pytest.approx(math.log(1.5))


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.34, "12.3 s"), (1.0, "1.00 s"), (0.9996, "1.00 s"), (0.999, "999 ms"), (0.01234, "12.3 ms"), (1e-6, "1.00 us"),
     (5e-9, "5.00 ns"), (2e-10, "0.200 ns"), (1234.0, "1234 s")],
)  # fmt: skip
def test_seconds(value: float, text: str) -> None:
    assert format_seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (2**34, "16.0 GiB")])
def test_bytes(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500 /s"), (999.6, "1000 /s"), (9994.0, "9994 /s"), (9996.0, "10.0 k/s"), (12345.0, "12.3 k/s"),
     (999_600.0, "1.00 M/s"), (1234567.0, "1.23 M/s"), (2.5e9, "2.50 G/s")],
)  # fmt: skip
def test_rates(value: float, text: str) -> None:
    assert format_rate(value) == text


def test_changes() -> None:
    assert [format_change(r) for r in (1.0312, 0.9, 1.0, 2.0, 12.34)] == ["+3.1%", "-10.0%", "+0.0%", "x2.00", "x12.3"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.9996, "1.00"), (9.996, "10.0"), (99.96, "100"), (123456, "123456"), (0.00012345, "0.000123"),
     (-1.5, "-1.50"),
     (1.5e-12, "1.5e-12"), (math.inf, "inf"), (math.nan, "nan")],
)  # fmt: skip
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_a_percentage_says_no_more_digits_than_it_has() -> None:
    assert [format_percent(f) for f in (0.03, 0.048, 0.1, 0.0004, 1.25)] == ["3%", "4.8%", "10%", "0%", "125%"]


@pytest.mark.parametrize(
    ("evidence", "ratio", "interval", "words"),
    [
        ("time", 1.054, None, "5.4% slower"),
        ("time", 0.979, None, "2.1% faster"),
        ("time", 1.051, (1.042, 1.06), "5.1% [4.2%, 6.0%] slower"),
        ("time", 0.979, (0.97, 1.01), "2.1% [-1.0%, 3.0%] faster"),
        ("time", 1.0, (1.0, 1.0), "0.0% [0.0%, 0.0%] slower"),
        ("time", 2.1, None, "2.10 times as slow"),
        ("time", 2.1, (1.9, 2.3), "2.10 times [1.90, 2.30] as slow"),
        ("peak_memory", 1.12, None, "12.0% more memory"),
        ("peak_memory", 0.5, None, "50.0% less memory"),
        ("energy", 1.03, None, "3.0% more energy"),
        ("energy", 3.0, None, "3.00 times the energy"),
    ],
)
def test_a_change_of_a_cost_in_words(
    evidence: str, ratio: float, interval: tuple[float, float] | None, words: str
) -> None:
    assert cost_in_words(evidence, ratio, interval) == words
    if evidence == "time" and interval is None:
        assert in_words(ratio) == words


def test_figures_that_are_compared_have_a_digit_more() -> None:
    assert format_seconds(0.0123456, 4) == "12.35 ms"
    assert format_bytes(1.1e9, 4) == "1.024 GiB"
    assert (format_rate(12345.0, 4), format_rate(1.5, 4)) == ("12.35 k/s", "1.500 /s")


@pytest.mark.parametrize(
    ("evidence", "ratio", "text"),
    [
        ("time", 1.054, "5.4% slower than the baseline"),
        ("time", 0.979, "2.1% faster than the baseline"),
        ("time", 2.3, "2.30 times as slow as the baseline"),
        ("peak_memory", 1.12, "12.0% more memory than the baseline"),
        ("energy", 2.5, "2.50 times the energy of the baseline"),
    ],
)
def test_what_a_cost_is_compared_with(evidence: str, ratio: float, text: str) -> None:
    assert cost_in_words(evidence, ratio, beside="the baseline") == text


def test_names_are_sorted_as_people_count() -> None:
    names = ["b[1]", "a[16-fp16]", "a[4-fp32]", "a[4-fp16]", "a", "a[1]", "a[64]", "", "7"]
    assert sorted(names, key=by_number) == [
        "", "7", "a", "a[1]", "a[4-fp16]", "a[4-fp32]", "a[16-fp16]", "a[64]", "b[1]",
    ]  # fmt: skip


def test_durations_are_short() -> None:
    assert [format_duration(s) for s in (0.2, 59.4, 59.6, 3599.6)] == ["0s", "59s", "1m 0s", "1h 0m"]

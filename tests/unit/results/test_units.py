"""How figures are read and shown."""

from __future__ import annotations

import math

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.results.units import (
    format_bytes,
    format_change,
    format_rate,
    format_seconds,
    in_words,
    log_tolerance,
    many,
    parse_fraction,
    percent,
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


def test_more_digits_where_two_figures_must_give_their_change() -> None:
    assert [format_seconds(s, 4) for s in (0.012345, 0.99994, 0.99996)] == ["12.35 ms", "999.9 ms", "1.000 s"]
    assert [format_rate(r, 4) for r in (687.26, 9999.4, 9999.6, 12346.0)] == [
        "687.3 /s",
        "9999 /s",
        "10.00 k/s",
        "12.35 k/s",
    ]
    assert [format_bytes(b, 4) for b in (999, 663_748_608)] == ["999 B", "633.0 MiB"]


@pytest.mark.parametrize(("fraction", "text"), [(0.03, "3%"), (0.048, "4.8%"), (0.1, "10%"), (0.05124, "5.1%")])
def test_a_margin(fraction: float, text: str) -> None:
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("ratio", "time", "memory", "energy"),
    [
        (1.0537, "5.4% slower", "5.4% more memory", "5.4% more energy"),
        (0.979, "2.1% faster", "2.1% less memory", "2.1% less energy"),
        (1.0, "0.0% slower", "0.0% more memory", "0.0% more energy"),
        (1.995, "99.5% slower", "99.5% more memory", "99.5% more energy"),
        (2.3, "2.30 times as slow", "2.30 times as much memory", "2.30 times as much energy"),
        (0.4, "2.50 times as fast", "60.0% less memory", "60.0% less energy"),
    ],
)
def test_a_change_in_words(ratio: float, time: str, memory: str, energy: str) -> None:
    assert in_words(ratio) == time
    assert in_words(ratio, "peak_memory") == memory
    assert in_words(ratio, "energy") == energy


@pytest.mark.parametrize(
    ("ratio", "interval", "text"),
    [
        (1.051, (1.042, 1.06), "5.1% [4.2%, 6.0%] slower than main"),
        (1.001, (0.98, 1.02), "0.1% [-2.0%, 2.0%] slower than main"),
        (0.95, (0.93, 1.01), "5.0% [-1.0%, 7.0%] faster than main"),
        (2.3, (1.9, 2.7), "2.30 [1.90, 2.70] times as slow as main"),
        (0.4, (0.25, 0.5), "2.50 [2.00, 4.00] times as fast as main"),
    ],
)
def test_a_change_in_words_with_its_interval(ratio: float, interval: tuple[float, float], text: str) -> None:
    assert in_words(ratio, interval=interval, beside="main") == text


@pytest.mark.parametrize(("count", "what", "text"), [(1, "launch", "1 launch"), (2, "launch", "2 launches")])
def test_counted_things(count: int, what: str, text: str) -> None:
    assert many(count, what) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.9996, "1.00"), (9.996, "10.0"), (99.96, "100"), (123456, "123456"), (0.00012345, "0.000123"),
     (-1.5, "-1.50"),
     (1.5e-12, "1.5e-12"), (math.inf, "inf"), (math.nan, "nan")],
)  # fmt: skip
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text

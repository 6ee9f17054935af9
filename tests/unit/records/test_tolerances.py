"""Times as people write them."""

from __future__ import annotations

import pytest

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.units import parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("300", 300), ("300s", 300), ("5m", 300), ("1h", 3600), ("0.5m", 30), ("24h", 86400)]
)
def test_seconds_minutes_and_hours(text: str, seconds: float) -> None:
    assert parse_seconds(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "m", "soon", "5 minutes", "500ms", "5M", "1d"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(UsageError, match=r"--for: .* is not a time\. Write it like 10, 10s, 5m or 1h\."):
        parse_seconds(text, "--for")


@pytest.mark.parametrize("text", ["0", "-5m", "25h", "nan", "inf"])
def test_times_out_of_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"is out of range\. Write a time above 0 and at most 24h, a day\."):
        parse_seconds(text, "--for")

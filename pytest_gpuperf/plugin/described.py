"""Figures and verdicts beside a test, as pytest's `record_property` puts them there: JUnit and others write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pytest

    from pytest_gpuperf.analysis.findings import Finding
    from pytest_gpuperf.results.records import Case


class _Described(Protocol):
    user_properties: list[tuple[str, object]]


def describe(item: pytest.Item, case: Case, device: str) -> None:
    """Say what was measured, before the test's reports are made."""
    from pytest_gpuperf.reports.junit import measured_properties

    _tell(item, measured_properties(case, device))


def describe_again(
    reports: Iterable[pytest.TestReport], cases: Sequence[Case], findings: Sequence[Finding], device: str
) -> None:
    """Say what was measured in the end, suspects once more, and what that was judged to be."""
    from pytest_gpuperf.reports.junit import judged_properties, measured_properties

    properties = [p for case in cases for p in measured_properties(case, device)]
    for report in reports:  # JUnit reads those of the teardown
        _tell(report, [*properties, *judged_properties(findings)])


def _tell(described: _Described, properties: Sequence[tuple[str, str]]) -> None:
    told = {name for name, _ in properties}
    described.user_properties = [*(p for p in described.user_properties if p[0] not in told), *properties]

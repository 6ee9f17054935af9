"""Why a case changed, and what one call of it ran."""

from __future__ import annotations

from pytest_gpuperf.analysis.causes import Explanation
from pytest_gpuperf.reports.causes import KERNEL_HEADER, context, kernel_rows, sentences
from pytest_gpuperf.reports.html.content import Ran
from pytest_gpuperf.reports.html.shared import Shared
from pytest_gpuperf.reports.tables import visible
from pytest_gpuperf.results.records import Profile
from pytest_gpuperf.results.units import format_seconds

SHOWN = 12  # kernels of a case that did not change
HEADER = ("kernel", "count", "time")


def causes(explanation: Explanation | None) -> list[str]:
    """Each cause, or why none can be told."""
    if explanation is None:
        return []
    return [*sentences(explanation), *([explanation.missing] if explanation.missing else ())]


def changed_kernels(explanation: Explanation | None, page: Shared) -> Ran | None:
    """Kernel by kernel, beside the baseline."""
    if explanation is None or not explanation.kernels:
        return None
    return Ran(
        unit=explanation.unit,
        context=tuple(map(visible, (*context(explanation), *explanation.settings, *explanation.software))),
        header=(explanation.unit, *KERNEL_HEADER[1:]),
        kernels=tuple((page.text(name), *map(visible, cells)) for name, *cells in kernel_rows(explanation.kernels)),
    )


def profiled(profile: Profile | None, page: Shared) -> Ran | None:
    """What a call ran, where there is nothing to hold it against."""
    if profile is None:
        return None
    return Ran(
        unit=profile.unit,
        context=(f"launches {profile.launches}", f"idle between them {format_seconds(max(profile.idle, 1e-9))}"),
        header=(profile.unit, *HEADER[1:]),
        kernels=tuple(
            (
                page.text(f"{k.name} ({k.within})" if k.within else k.name),
                str(k.count),
                format_seconds(max(k.seconds, 1e-9)),
            )
            for k in profile.kernels[:SHOWN]
        ),
    )

"""A result whose device is not proven. It fails where the evidence contradicts it; where that is unknown it is marked.

With --gpuperf-require-proof it fails in both cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gpuperf.errors import ContradictedError

if TYPE_CHECKING:
    from pytest_gpuperf.device.choice import Chosen
    from pytest_gpuperf.records.model import Measurement


def refuse_unproven(measurement: Measurement, chosen: Chosen, *, require: bool) -> None:
    """Raise where another device did the work; where it is unknown which did, only with --gpuperf-require-proof."""
    from pytest_gpuperf.measure.stages import evidence_lines

    evidence = measurement.evidence
    if evidence is None or evidence.verdict == "proven" or (evidence.verdict == "unknown" and not require):
        return
    shown = evidence_lines(evidence)
    if evidence.verdict == "contradicted":
        raise ContradictedError(
            f"This is no figure of {chosen.device.name} ({chosen.device.kind}): another device did the work."
            f"\n{shown}\nMove the model and its inputs to it, or measure on the processor on purpose: "
            f"--gpuperf-device cpu"
        )
    raise ContradictedError(
        f"It is not proven that {chosen.device.name} ({chosen.device.kind}) did the work (--gpuperf-require-proof):"
        f"\n{shown}\nSee what is missing: gpuperf doctor"
    )

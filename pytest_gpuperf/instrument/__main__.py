"""Some steps in a process of their own: ``python -m pytest_gpuperf.instrument DEVICE [STEP ...]``

Each line of what it writes is one message, so that what was found is kept whatever becomes of the process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.errors import GpuPerfError
from pytest_gpuperf.instrument.messages import DeviceFound, Message, Refused, StepBegins, encode
from pytest_gpuperf.instrument.steps import steps_of
from pytest_gpuperf.records.certificate import judged


def main(request: str, wanted: Sequence[str]) -> int:
    """Say which device it is, then what each step finds."""
    channel = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no message

    def tell(message: Message) -> None:
        os.write(channel, encode(message))

    try:
        chosen = choose_device(request)
    except GpuPerfError as error:
        tell(Refused(str(error), error.exit_code))
        return error.exit_code
    tell(DeviceFound(chosen.environment(), chosen.card))
    for step in steps_of(chosen.device.kind):
        if step.name not in wanted:
            continue
        tell(StepBegins(step.name))
        try:
            for row in step.rows(chosen):
                tell(row)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
            tell(judged(step.part, step.name, f"{type(error).__name__}: {error}", "ends well", holds=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

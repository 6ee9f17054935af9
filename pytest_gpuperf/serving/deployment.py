"""How a workload is to be served: the same words for every server, so that two of them can be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import torch

from pytest_gpuperf.backends.precisions import Precision, precision_of
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.serving.server import Plain

Runtime = Literal["onnx", "torch"]
QUEUE_DELAY = 0.010  # seconds a request waits for others to form a batch with
_SMALLEST_PREFERRED = 4


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a server is told."""

    runtime: Runtime = "onnx"
    precision: str = "fp32"
    devices: tuple[str, ...] = ("cpu",)
    instances: int = 1  # on each device
    max_batch: int = 32
    batching: bool = True  # requests that wait together run together
    preferred_batches: tuple[int, ...] = ()  # none given: powers of two from 4 to the largest batch
    queue_delay: float = QUEUE_DELAY
    threads: int = 1  # of one instance, on a processor
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        precision_of(self.precision)
        for what, value in (("instances", self.instances), ("max_batch", self.max_batch), ("threads", self.threads)):
            if value < 1:
                raise UsageError(f"A deployment has at least 1 of {what}, not {value}.")
        if self.runtime not in get_args(Runtime):
            raise UsageError(f"There is no runtime {self.runtime!r}. Choose one of: {', '.join(get_args(Runtime))}.")
        if not 0 <= self.queue_delay <= 1:
            raise UsageError(f"queue_delay is in seconds, from 0 to 1, not {self.queue_delay}. Usual is {QUEUE_DELAY}.")
        if not self.devices or any(not re.fullmatch(r"cpu|cuda:\d+", device) for device in self.devices):
            raise UsageError(f"devices are cpu or cuda:N, not {', '.join(self.devices) or 'none'}.")
        if len({device.partition(":")[0] for device in self.devices}) > 1:
            raise UsageError("A model is served by the processor or by GPUs, not by both. Leave cpu out of devices.")
        if any(not 1 <= batch <= self.max_batch for batch in self.preferred_batches):
            raise UsageError(f"preferred_batches lie between 1 and max_batch ({self.max_batch}).")

    @property
    def on_gpu(self) -> bool:
        """Whether GPUs serve it."""
        return self.devices[0] != "cpu"

    @property
    def preferred(self) -> tuple[int, ...]:
        """The batches a server tries to form."""
        if self.preferred_batches:
            return self.preferred_batches
        powers = [2**n for n in range(self.max_batch.bit_length()) if 2**n >= _SMALLEST_PREFERRED]
        return tuple(power for power in powers if power <= self.max_batch) or (self.max_batch,)

    @property
    def how(self) -> Precision:
        """The precision, with what it means."""
        return precision_of(self.precision)

    @property
    def wire(self) -> torch.dtype:
        """The type floating-point tensors travel in: numpy and KServe's clients have no bfloat16."""
        return torch.float16 if self.how.weights == torch.float16 else torch.float32

    def plain(self) -> Mapping[str, Plain]:
        """For a result file."""
        preferred = list(self.preferred) if self.batching else []
        return asdict(self) | {"devices": list(self.devices), "preferred_batches": preferred}


def served_name(workload: str) -> str:
    """A workload's name as a folder and as a part of a URL."""
    name = re.sub(r"[^\w.-]", "_", workload)
    if not name or name.startswith("."):  # "..": the folder above
        raise UsageError(
            f"A model cannot be served under the name {workload!r}: it becomes a folder's. Register it under a name "
            f"that begins with a letter."
        )
    return name

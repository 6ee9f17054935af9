"""Measure GPU inference honestly, and fail the pull request that made it slower."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gpuperf.deferred import deferred
from pytest_gpuperf.errors import (
    ContradictedError,
    DeviceError,
    DeviceLostError,
    FileError,
    GpuPerfError,
    MeasurementError,
    MissingError,
    OutOfMemoryError,
    ServerError,
    SessionError,
    UnavailableError,
    UsageError,
    WorkloadError,
)
from pytest_gpuperf.records.units import GiB, KiB, MiB

if TYPE_CHECKING:
    from pytest_gpuperf.device.power import GpuPower
    from pytest_gpuperf.measure.gpu import Gpu
    from pytest_gpuperf.measure.timer import CudaTimer
    from pytest_gpuperf.parity.agreement import Parity
    from pytest_gpuperf.plugin.fixtures import GpuPerf, ParityCheck
    from pytest_gpuperf.plugin.load import GpuPerfLoad
    from pytest_gpuperf.plugin.servers import ServerFactory
    from pytest_gpuperf.records.model import Measurement
    from pytest_gpuperf.records.served_load import Load
    from pytest_gpuperf.serving.server import Server

__all__ = [
    "ContradictedError",
    "CudaTimer",
    "DeviceError",
    "DeviceLostError",
    "FileError",
    "GiB",
    "Gpu",
    "GpuPerf",
    "GpuPerfError",
    "GpuPerfLoad",
    "GpuPower",
    "KiB",
    "Load",
    "Measurement",
    "MeasurementError",
    "MiB",
    "MissingError",
    "OutOfMemoryError",
    "Parity",
    "ParityCheck",
    "Server",
    "ServerError",
    "ServerFactory",
    "SessionError",
    "UnavailableError",
    "UsageError",
    "WorkloadError",
]

# pytest loads this package in every session, and most of them need none of these.
__getattr__ = deferred(
    __name__,
    {
        "CudaTimer": "pytest_gpuperf.measure.timer",
        "Gpu": "pytest_gpuperf.measure.gpu",
        "GpuPerf": "pytest_gpuperf.plugin.fixtures",
        "GpuPerfLoad": "pytest_gpuperf.plugin.load",
        "GpuPower": "pytest_gpuperf.device.power",
        "Load": "pytest_gpuperf.records.served_load",
        "Measurement": "pytest_gpuperf.records.model",
        "Parity": "pytest_gpuperf.parity.agreement",
        "ParityCheck": "pytest_gpuperf.plugin.fixtures",
        "Server": "pytest_gpuperf.serving.server",
        "ServerFactory": "pytest_gpuperf.plugin.servers",
    },
)

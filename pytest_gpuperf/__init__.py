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
from pytest_gpuperf.results.units import GiB, KiB, MiB

if TYPE_CHECKING:
    from pytest_gpuperf.device.power import GpuPower
    from pytest_gpuperf.measurement.gpu import Gpu
    from pytest_gpuperf.measurement.timer import CudaTimer
    from pytest_gpuperf.parity.record import Parity
    from pytest_gpuperf.plugin.agreement import ParityCheck
    from pytest_gpuperf.plugin.fixture import GpuPerf
    from pytest_gpuperf.plugin.load import GpuPerfLoad
    from pytest_gpuperf.plugin.servers import ServerFactory
    from pytest_gpuperf.results.load import Load
    from pytest_gpuperf.results.records import Measurement
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
        "CudaTimer": "pytest_gpuperf.measurement.timer",
        "Gpu": "pytest_gpuperf.measurement.gpu",
        "GpuPerf": "pytest_gpuperf.plugin.fixture",
        "GpuPerfLoad": "pytest_gpuperf.plugin.load",
        "GpuPower": "pytest_gpuperf.device.power",
        "Load": "pytest_gpuperf.results.load",
        "Measurement": "pytest_gpuperf.results.records",
        "Parity": "pytest_gpuperf.parity.record",
        "ParityCheck": "pytest_gpuperf.plugin.agreement",
        "Server": "pytest_gpuperf.serving.server",
        "ServerFactory": "pytest_gpuperf.plugin.servers",
    },
)

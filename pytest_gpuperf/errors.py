"""Every error a user can meet.

GpuPerfError
├── FileError                exit 4   a file of ours cannot be read or written
├── DeviceError              exit 4   the device asked for is absent, or is not the baseline's
├── UsageError               exit 4   an option, marker or argument that makes no sense
├── MeasurementError         exit 1   the workload could not be measured; fails its own test
│   ├── WorkloadError                 the workload raised
│   ├── OutOfMemoryError              the workload needs more memory than the device has
│   ├── ContradictedError             the evidence says that another device did the work
│   ├── DeviceLostError               the GPU is gone, or lost to this process, in the middle of a session
│   ├── UnavailableError              a figure that was asked for cannot be measured here
│   └── ServerError                   a model server did not start, died, hung or answered wrongly
├── MissingError             exit 4   a model or back end needs what is not here; a suite skips with this reason
└── SessionError             exit 3   a fresh pytest process did not do what it was started for

A message says what happened, why it matters and what to type next.
"""

from __future__ import annotations


class GpuPerfError(Exception):
    """The base of every error this package raises on purpose."""

    exit_code = 1


class FileError(GpuPerfError):
    """A run, a baseline, a journal or a report cannot be read or written."""

    exit_code = 4


class DeviceError(GpuPerfError):
    """The device asked for is absent, or is another one than the baseline's."""

    exit_code = 4


class UsageError(GpuPerfError):
    """An option, marker or argument that makes no sense."""

    exit_code = 4


class MeasurementError(GpuPerfError):
    """The workload could not be measured."""


class WorkloadError(MeasurementError):
    """The workload raised; the cause is chained."""


class OutOfMemoryError(MeasurementError):
    """The workload needs more memory than the device has; the cause is chained."""


class ContradictedError(MeasurementError):
    """The evidence says that another device did the work."""


class DeviceLostError(MeasurementError):
    """The GPU is gone, or lost to this process, in the middle of a session."""


class UnavailableError(MeasurementError):
    """A figure that was asked for cannot be measured here."""


class ServerError(MeasurementError):
    """A model server did not start, died, hung or answered wrongly; the message ends with its last lines."""


class MissingError(GpuPerfError):
    """A model or a back end needs what this machine, or this combination, does not have; a suite skips with it."""

    exit_code = 4


class SessionError(GpuPerfError):
    """A fresh pytest process did not do what it was started for."""

    exit_code = 3

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
    from pytest_gpuperf.device.power import GpuPower, PowerWindow
    from pytest_gpuperf.measure.gpu import Gpu
    from pytest_gpuperf.measure.stages import Held, Stage, Stages
    from pytest_gpuperf.measure.timer import CudaTimer, Span
    from pytest_gpuperf.parity.agreement import Parity
    from pytest_gpuperf.pipeline import PipelineStage, image_pipeline, run_pipeline
    from pytest_gpuperf.pipeline.images import ImagePipeline
    from pytest_gpuperf.plugin.fixtures import GpuPerf, ParityCheck
    from pytest_gpuperf.plugin.load import GpuPerfLoad
    from pytest_gpuperf.plugin.pipeline import GpuPerfPipeline
    from pytest_gpuperf.plugin.servers import ServerFactory
    from pytest_gpuperf.plugin.settings import Settings, settings_of
    from pytest_gpuperf.plugin.text import GpuPerfText
    from pytest_gpuperf.plugin.text_load import GpuPerfTextLoad
    from pytest_gpuperf.plugin.text_servers import TextServerFactory
    from pytest_gpuperf.records.answer_stream import AnswerStream
    from pytest_gpuperf.records.compile_cost import CompileCost
    from pytest_gpuperf.records.generation import Generation, PromptFigures
    from pytest_gpuperf.records.latency import Latency
    from pytest_gpuperf.records.model import Device, Evidence, Measurement, Summary, Witness
    from pytest_gpuperf.records.pipeline import PipelineFigures, QueueFigures, StageFigures
    from pytest_gpuperf.records.served_load import Load
    from pytest_gpuperf.records.text_figures import TextFigures
    from pytest_gpuperf.records.text_load import Late, TextLoad
    from pytest_gpuperf.serving.server import Server

__all__ = [
    "AnswerStream",
    "CompileCost",
    "ContradictedError",
    "CudaTimer",
    "Device",
    "DeviceError",
    "DeviceLostError",
    "Evidence",
    "FileError",
    "Generation",
    "GiB",
    "Gpu",
    "GpuPerf",
    "GpuPerfError",
    "GpuPerfLoad",
    "GpuPerfPipeline",
    "GpuPerfText",
    "GpuPerfTextLoad",
    "GpuPower",
    "Held",
    "ImagePipeline",
    "KiB",
    "Late",
    "Latency",
    "Load",
    "Measurement",
    "MeasurementError",
    "MiB",
    "MissingError",
    "OutOfMemoryError",
    "Parity",
    "ParityCheck",
    "PipelineFigures",
    "PipelineStage",
    "PowerWindow",
    "PromptFigures",
    "QueueFigures",
    "Server",
    "ServerError",
    "ServerFactory",
    "SessionError",
    "Settings",
    "Span",
    "Stage",
    "StageFigures",
    "Stages",
    "Summary",
    "TextFigures",
    "TextLoad",
    "TextServerFactory",
    "UnavailableError",
    "UsageError",
    "Witness",
    "WorkloadError",
    "image_pipeline",
    "run_pipeline",
    "settings_of",
]

# pytest loads this package in every session, and most of them need none of these.
__getattr__ = deferred(
    __name__,
    {
        "AnswerStream": "pytest_gpuperf.records.answer_stream",
        "CudaTimer": "pytest_gpuperf.measure.timer",
        "Device": "pytest_gpuperf.records.model",
        "Evidence": "pytest_gpuperf.records.model",
        "CompileCost": "pytest_gpuperf.records.compile_cost",
        "Generation": "pytest_gpuperf.records.generation",
        "Gpu": "pytest_gpuperf.measure.gpu",
        "GpuPerf": "pytest_gpuperf.plugin.fixtures",
        "GpuPerfLoad": "pytest_gpuperf.plugin.load",
        "GpuPerfPipeline": "pytest_gpuperf.plugin.pipeline",
        "GpuPerfText": "pytest_gpuperf.plugin.text",
        "GpuPerfTextLoad": "pytest_gpuperf.plugin.text_load",
        "GpuPower": "pytest_gpuperf.device.power",
        "Held": "pytest_gpuperf.measure.stages",
        "ImagePipeline": "pytest_gpuperf.pipeline.images",
        "Late": "pytest_gpuperf.records.text_load",
        "Latency": "pytest_gpuperf.records.latency",
        "Load": "pytest_gpuperf.records.served_load",
        "Measurement": "pytest_gpuperf.records.model",
        "Parity": "pytest_gpuperf.parity.agreement",
        "ParityCheck": "pytest_gpuperf.plugin.fixtures",
        "PipelineFigures": "pytest_gpuperf.records.pipeline",
        "PipelineStage": "pytest_gpuperf.pipeline.stage",
        "PowerWindow": "pytest_gpuperf.device.power",
        "PromptFigures": "pytest_gpuperf.records.generation",
        "QueueFigures": "pytest_gpuperf.records.pipeline",
        "Server": "pytest_gpuperf.serving.server",
        "ServerFactory": "pytest_gpuperf.plugin.servers",
        "Settings": "pytest_gpuperf.plugin.settings",
        "Span": "pytest_gpuperf.measure.timer",
        "Stage": "pytest_gpuperf.measure.stages",
        "StageFigures": "pytest_gpuperf.records.pipeline",
        "Stages": "pytest_gpuperf.measure.stages",
        "Summary": "pytest_gpuperf.records.model",
        "TextFigures": "pytest_gpuperf.records.text_figures",
        "TextLoad": "pytest_gpuperf.records.text_load",
        "TextServerFactory": "pytest_gpuperf.plugin.text_servers",
        "Witness": "pytest_gpuperf.records.model",
        "image_pipeline": "pytest_gpuperf.pipeline.images",
        "run_pipeline": "pytest_gpuperf.pipeline.run",
        "settings_of": "pytest_gpuperf.plugin.settings",
    },
)

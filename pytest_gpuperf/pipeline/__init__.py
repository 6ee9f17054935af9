"""Pipelines: how fast they are, where their stages spend their time, and which of them limits the rest.

Without pytest::

    from pytest_gpuperf.pipeline import PipelineStage, run_pipeline

    figures = run_pipeline(
        [PipelineStage("decode", decode, workers=2), PipelineStage("inference", model)],
        images,  # a list, a DataLoader: begun anew when it ends; or an iterator
        queue=2,
        batch=8,  # images in an item
        budget=10.0,  # seconds
    )
    figures.throughput, figures.efficiency, figures.bottleneck, figures.reason, figures.stage("decode").busy

`overlap=False` runs the stages one after the other. A stage in threads, in processes or on a CUDA stream:
``where="thread"``, ``"process"``, ``"stream"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gpuperf.deferred import deferred

if TYPE_CHECKING:
    from pytest_gpuperf.pipeline.images import ImagePipeline, image_pipeline
    from pytest_gpuperf.pipeline.run import Measured, measure_pipeline, run_once, run_pipeline
    from pytest_gpuperf.pipeline.stage import PipelineStage

__all__ = [
    "ImagePipeline",
    "Measured",
    "PipelineStage",
    "image_pipeline",
    "measure_pipeline",
    "run_once",
    "run_pipeline",
]

# A stage's worker process imports this package, and needs none of these.
__getattr__ = deferred(
    __name__,
    {
        "ImagePipeline": "pytest_gpuperf.pipeline.images",
        "Measured": "pytest_gpuperf.pipeline.run",
        "PipelineStage": "pytest_gpuperf.pipeline.stage",
        "image_pipeline": "pytest_gpuperf.pipeline.images",
        "measure_pipeline": "pytest_gpuperf.pipeline.run",
        "run_once": "pytest_gpuperf.pipeline.run",
        "run_pipeline": "pytest_gpuperf.pipeline.run",
    },
)

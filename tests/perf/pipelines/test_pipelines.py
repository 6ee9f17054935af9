"""Pipelines around one model, each a case: which design is fastest here, and what limits each of them.

pytest tests/perf/pipelines --gpuperf-device cpu                       what a processor can do, small, on a laptop
pytest tests/perf/pipelines -k "q2 and not processes"                  a part of it, full size, on a GPU
"""

from __future__ import annotations

import pytest

pytest.importorskip("torchvision", reason="it decodes and scales the images: pip install 'pytest-gpuperf[suite]'")

pytestmark = pytest.mark.gpu


def test_pipeline(gpuperf_pipeline, made, how):
    figures = gpuperf_pipeline(
        made.stages, made.source, batch=made.batch, queue=how.queue, overlap=how.mode != "one-by-one"
    )

    assert figures.items > 0

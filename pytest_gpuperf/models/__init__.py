"""What is run: models with fixed weights, their inputs, and what a call of them counts.

Write a workload of your own::

    from pytest_gpuperf.models import Built, images, model

    @model("my-net")
    def my_net(scale, pretrained):
        side = 224 if scale == "full" else 64
        return Built(MyNet(), images(side))
"""

from __future__ import annotations

from pytest_gpuperf.models.registry import known, load, model, names, why_not
from pytest_gpuperf.models.workload import Built, Inputs, Scale, Workload, images

__all__ = ["Built", "Inputs", "Scale", "Workload", "images", "known", "load", "model", "names", "why_not"]

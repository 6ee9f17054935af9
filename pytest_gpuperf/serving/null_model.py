"""The model.py of an empty model: a request to it takes only the way there and back, and Triton's own work."""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """What Triton's Python back end looks for."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Give each request its input back, which is one number."""
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack("y", pb_utils.get_input_tensor_by_name(r, "x"))])
            for r in requests
        ]

"""The text suite: tokens a second, the first token, the others and the energy of each, gated like any other case.

pytest tests/perf/text --gpuperf-device cpu      a narrow model, on a laptop
pytest tests/perf/text -k "fp16 and eager"       phi-2 at its full size, on a GPU
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gpu


def test_generation(gpuperf_text, precision, backend, shape, batch, scale):
    prompt_tokens, new_tokens = shape

    found = gpuperf_text(
        "text:phi-2",
        prompts=batch * 2,
        prompt_tokens=prompt_tokens,
        max_new_tokens=new_tokens,
        batch=batch,
        backend=backend,
        precision=precision,
        energy=True,
    )

    assert found.generated_tokens == found.calls * batch * new_tokens

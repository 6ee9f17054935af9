"""A language model's server under load: tokens a second, the first token, and each after it, gated like any other case.

pytest tests/perf/text -k served --gpuperf-device cpu                    llama.cpp and a tiny model, on a laptop
pytest tests/perf/text -k served --gpuperf-openai-url http://HOST:8000   the server that runs there
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gpu


def test_served(text_server, gpuperf_text_load, concurrency, scale):
    server = text_server() if scale == "smoke" else text_server("text:phi-2")

    found = gpuperf_text_load(server, concurrency=concurrency, prompt_tokens=64, max_new_tokens=32)

    assert found.requests_per_second > 0
    assert not found.errors

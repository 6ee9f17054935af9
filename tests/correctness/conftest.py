"""Every test here runs small networks."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_networks(one_core: None) -> None:
    """On one core."""

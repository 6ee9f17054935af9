"""Near a GPU and far from it: on a tree like the kernel's, and on this machine, which may have one node."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from sysfs import write_nodes

from pytest_gpuperf.device import numa, visible
from pytest_gpuperf.device.numa import Placement
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.studies.places import place_of, why_elsewhere

GPU = "00000000:C1:00.0"


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two nodes that both have this process's processors, and a GPU on the second."""
    here = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(visible, "visible_devices", lambda: [SimpleNamespace(board=SimpleNamespace(pci=GPU))])
    return write_nodes(tmp_path, {0: str(here[0]), 1: str(here[-1])}, gpus={"0000:c1:00.0": 1})


def test_a_case_that_is_named_after_no_place_has_none(two):
    assert place_of("eager", "cuda:0", two) is None
    assert why_elsewhere(None, "eager") is None


def test_a_place_is_beside_the_gpu_or_across(two):
    local, remote = place_of("local", "cuda:0", two), place_of("remote", "cuda", two)
    assert (local.memory, remote.memory) == (frozenset({1}), frozenset({0}))


def test_without_the_gpu_there_is_a_reason(two, monkeypatch):
    assert "may use no GPU cuda:5" in place_of("local", "cuda:5", two).reason
    monkeypatch.setattr(visible, "visible_devices", lambda: Missing("unsupported", "no NVML here"))
    assert place_of("local", "auto", two).reason == "no NVML here"
    assert why_elsewhere(place_of("local", "auto", two), "local") == "no NVML here"


def test_a_process_knows_whether_it_was_started_there(monkeypatch):
    here = frozenset(os.sched_getaffinity(0))
    monkeypatch.setattr(numa, "policy", lambda: "first touch")
    assert why_elsewhere(Placement("local", here, frozenset({0}), has_policy=False), "local") is None
    away = Placement("remote", here | {4096}, frozenset({1}), has_policy=False)
    assert why_elsewhere(away, "remote") == (
        "this process was not started remote. Start it with: gpuperf numa remote -- pytest ..."
    )
    spread = Placement("interleaved", here, frozenset({0, 1}), has_policy=True)
    assert "not started interleaved" in why_elsewhere(spread, "interleaved")
    monkeypatch.setattr(numa, "policy", lambda: "interleaved over nodes 0-1")
    assert why_elsewhere(spread, "interleaved") is None
    monkeypatch.setattr(numa, "policy", lambda: Missing("permission", "no"))
    assert "not started interleaved" in why_elsewhere(spread, "interleaved")

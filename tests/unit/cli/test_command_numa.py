"""Story: where the memory near a GPU is, and a program that is started there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import gpuperf
from nvml.standin import Gpu, Machine
from sysfs import write_nodes

from pytest_gpuperf.cli.numa import become, overview
from pytest_gpuperf.device.numa import Placement, allowed, policy, read_nodes
from pytest_gpuperf.device.readings import Missing
from pytest_gpuperf.errors import MissingError

HALF = Placement("local", frozenset({max(os.sched_getaffinity(0))}), frozenset({0}), has_policy=False)


def test_nodes_and_places_of_a_machine_with_two_sockets(tmp_path):
    mine = ",".join(map(str, os.sched_getaffinity(0)))
    root = write_nodes(tmp_path, {0: mine, 1: "900-903", 2: ""}, ((10, 21, 17), (21, 10, 28), (17, 28, 10)))
    gpu = root / "sys/bus/pci/devices/0000:c1:00.0"
    gpu.mkdir(parents=True)
    (gpu / "numa_node").write_text("0\n")
    lines = list(overview("cuda:1", "00000000:C1:00.0", root))
    assert lines[1] == "node 1: CPUs 900-903, 64.0 GiB; distance 21 to node 0, 10 to node 1, 28 to node 2"
    assert lines[2].startswith("node 2: no CPUs, 64.0 GiB")
    assert lines[3] == "cuda:1: on node 0"
    assert lines[4] == f"this process: memory {policy()}"
    assert lines[5].startswith("local: CPUs ")
    assert lines[6] == (
        "remote: not available: this process may use no node beside 0, where the GPU hangs; see: taskset -pc $$"
    )
    (nothing,) = overview("cuda:0", "0:0:0", tmp_path / "none")
    assert nothing.startswith("not available: this system does not show")


def test_on_this_machine(tmp_path):
    nodes = read_nodes()
    if isinstance(nodes, Missing):
        pytest.skip(nodes.reason)
    done = gpuperf("numa", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("node 0: CPUs ")
    if len(nodes) == 1:
        assert "remote: not available: this machine has one NUMA node" in done.stdout
        started = gpuperf("numa", "remote", "--", sys.executable, "-c", "print('started')", cwd=tmp_path)
        assert started.returncode == 4
        assert "was not started remote: this machine has one NUMA node" in started.stderr
        assert not started.stdout


def test_the_gpu_is_one_that_this_process_may_use(machine: Machine, nvml_library: Path, tmp_path):
    machine.gpus.append(Gpu(uuid="GPU-2", pci="00000000:42:00.0"))
    machine.write()
    environment = {**machine.environment(nvml_library), "CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    first = gpuperf("numa", cwd=tmp_path, **environment)
    assert "cuda:0: not available: the NUMA node of the GPU at 00000000:42:00.0 cannot be read" in first.stdout
    second = gpuperf("numa", "--device", "cuda:1", cwd=tmp_path, **environment)
    assert "this process may use no GPU cuda:1; see which there are: gpuperf doctor" in second.stdout


@pytest.mark.parametrize("words", [("near", "--", "pytest"), ("local",), ("--", "pytest"), ("local", "--")])
def test_half_a_command_is_refused_with_a_whole_one(tmp_path, words):
    done = gpuperf("numa", *words, cwd=tmp_path)
    assert done.returncode == 4
    assert "Say where (local, remote, interleaved)" in done.stderr
    assert "gpuperf numa local -- pytest" in done.stderr


def test_a_processor_is_no_gpu(tmp_path):
    done = gpuperf("numa", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 4
    assert "--device 'cpu' is no GPU" in done.stderr


def test_the_program_takes_this_processs_place():
    code = f"""
import sys
from pytest_gpuperf.cli.numa import become
from pytest_gpuperf.device.numa import Placement
become("local", {HALF!r}, [sys.executable, "-c", "import os; print(os.getpid(), *os.sched_getaffinity(0))"])
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate()
    assert output.split() == [str(process.pid), *map(str, HALF.cpus)]


def test_a_program_that_is_not_there():
    everything = Placement("local", allowed().cpus, frozenset({0}), has_policy=False)  # changes nothing here
    with pytest.raises(MissingError, match=r"no-such-program cannot be started local: CPUs .*No such file"):
        become("local", everything, ["no-such-program"])

"""NUMA nodes, read off a tree like the kernel's; placements on it; and programs that are really started at a place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sysfs import GIB, write_nodes

from pytest_gpuperf.device import memory_policy, numa
from pytest_gpuperf.device.memory_policy import listed, numbers_in, read_policy
from pytest_gpuperf.device.numa import WHERE, Allowed, Node, Placement, Where, place
from pytest_gpuperf.device.preflight import near
from pytest_gpuperf.device.readings import Missing, Reading

GPU = "00000000:C1:00.0"  # as NVML and torch write it
EVERYTHING = Allowed(frozenset(range(64)), frozenset(range(8)))
REFUSED = Missing("permission", "memory policies cannot be used here: Operation not permitted")
FOUR = ((10, 12, 32, 33), (12, 10, 33, 32), (32, 33, 10, 12), (33, 32, 12, 10))  # two sockets of two nodes each


@pytest.fixture
def two(tmp_path) -> Path:
    return write_nodes(tmp_path, {0: "0-3,8-11", 1: "4-7,12-15"}, gpus={"0000:c1:00.0": 1})


def nodes_in(root: Path) -> tuple[Node, ...]:
    nodes = numa.read_nodes(root)
    assert not isinstance(nodes, Missing)
    return nodes


def placed(where: Where, nodes: tuple[Node, ...], gpu: Reading[int], *, may_use: Allowed = EVERYTHING) -> Placement:
    found = place(where, nodes, gpu, may_use, "first touch")
    assert isinstance(found, Placement), found
    return found


def reason(where: Where, nodes: tuple[Node, ...], gpu: Reading[int], may_use: Allowed = EVERYTHING) -> str:
    found = place(where, nodes, gpu, may_use, "first touch")
    assert isinstance(found, Missing)
    return found.reason


@pytest.mark.parametrize(
    ("text", "numbers"), [("", ()), ("0", (0,)), ("0-3,8", (0, 1, 2, 3, 8)), ("1,3,5-6", (1, 3, 5, 6))]
)
def test_the_kernels_lists(text, numbers):
    assert numbers_in(f"{text}\n") == numbers
    assert listed(numbers) == text


def test_nodes_with_their_processors_memory_and_distances(two):
    first, second = nodes_in(two)
    assert first == Node(0, frozenset({0, 1, 2, 3, 8, 9, 10, 11}), 64 * GIB, {0: 10, 1: 21})
    assert second.number == 1
    assert numa.nodes_of({2, 3}, (first, second)) == (0,)
    assert numa.nodes_of({2, 12}, (first, second)) == (0, 1)


def test_a_system_that_shows_no_nodes(tmp_path):
    found = numa.read_nodes(tmp_path)
    assert isinstance(found, Missing)
    assert "does not show its NUMA nodes" in found.reason
    assert numa.placement("local", GPU, tmp_path) == found
    write_nodes(tmp_path, {0: "0"}, ((10,),))
    (tmp_path / "sys/devices/system/node/node0/meminfo").write_text("")
    found = numa.read_nodes(tmp_path)
    assert isinstance(found, Missing)
    assert "no MemTotal" in found.reason


def test_the_node_of_a_gpu_by_its_address(two):
    assert numa.gpu_node(GPU, two) == 1
    assert numa.gpu_node(REFUSED, two) is REFUSED
    absent = numa.gpu_node("00000000:01:00.0", two)
    assert isinstance(absent, Missing)
    assert "00000000:01:00.0 cannot be read" in absent.reason


def test_a_kernel_that_does_not_know_is_no_node_minus_one(tmp_path):
    root = write_nodes(tmp_path, {0: "0-3", 1: "4-7"}, gpus={"0000:c1:00.0": -1})
    unknown = numa.gpu_node(GPU, root)
    assert isinstance(unknown, Missing)
    assert "does not know" in unknown.reason
    assert numa.placement("local", GPU, root) == unknown


def test_local_remote_and_interleaved(two):
    nodes = nodes_in(two)
    first, second = frozenset(numbers_in("0-3,8-11")), frozenset(numbers_in("4-7,12-15"))
    assert placed("local", nodes, 1) == Placement("local", second, frozenset({1}), has_policy=True)
    assert placed("remote", nodes, 1) == Placement("remote", first, frozenset({0}), has_policy=True)
    assert placed("interleaved", nodes, 1) == Placement("interleaved", second, frozenset({0, 1}), has_policy=True)
    assert str(placed("remote", nodes, 1)) == "remote: CPUs 0-3,8-11, memory of node 0"
    assert str(placed("interleaved", nodes, 1)) == "interleaved: CPUs 4-7,12-15, memory of nodes 0-1"


def test_remote_is_the_farthest_node_and_not_the_nearest_other_one(tmp_path):
    nodes = nodes_in(write_nodes(tmp_path, {0: "0", 1: "1", 2: "2", 3: "3"}, FOUR))
    assert [placed("remote", nodes, gpu).memory for gpu in range(4)] == [{3}, {2}, {1}, {0}]
    no_three = Allowed(frozenset({0, 1, 2, 3}), frozenset({0, 1, 2}))
    assert placed("remote", nodes, 0, may_use=no_three).memory == {2}


@pytest.mark.parametrize("where", WHERE)
def test_one_node_has_no_near_and_far(tmp_path, where):
    nodes = nodes_in(write_nodes(tmp_path, {0: "0-7"}, ((10,),)))
    assert reason(where, nodes, 0).startswith("this machine has one NUMA node")


@pytest.mark.parametrize("where", WHERE)
def test_memory_without_processors_is_no_place_to_run(tmp_path, where):
    """A GPU's own memory (Grace Hopper), or memory behind CXL."""
    nodes = nodes_in(write_nodes(tmp_path, {0: "0-7", 1: ""}))
    assert reason(where, nodes, 0).startswith("this machine has one NUMA node")
    distances = ((10, 20, 80), (20, 10, 80), (80, 80, 10))
    three = nodes_in(write_nodes(tmp_path / "three", {0: "0", 1: "1", 2: ""}, distances))
    assert 2 not in placed(where, three, 0).memory
    assert reason(where, three, 2) == "node 2, where the GPU hangs, has no processors or no memory of its own"


def test_only_what_the_process_may_use(two):
    nodes = nodes_in(two)
    half = Allowed(frozenset({0, 4, 5}), frozenset({0, 1}))
    assert placed("local", nodes, 1, may_use=half).cpus == {4, 5}
    only_far = Allowed(frozenset({0, 1}), frozenset({0, 1}))
    assert reason("local", nodes, 1, only_far).startswith("this process may not use node 1")
    assert reason("interleaved", nodes, 1, only_far).startswith("this process may not use node 1")
    assert placed("remote", nodes, 1, may_use=only_far).cpus == {0, 1}
    only_near = Allowed(frozenset({4, 5}), frozenset({0, 1}))
    assert reason("remote", nodes, 1, only_near).startswith("this process may use no node beside 1")
    assert reason("interleaved", nodes, 1, only_near).startswith("this process may use no node beside 1")
    no_memory = Allowed(frozenset(range(16)), frozenset({1}))
    assert reason("remote", nodes, 1, no_memory).startswith("this process may use no node beside 1")


def test_where_no_policy_can_be_set_memory_follows_the_processors_and_nothing_is_interleaved(two):
    nodes = nodes_in(two)
    remote = place("remote", nodes, 1, EVERYTHING, REFUSED)
    assert isinstance(remote, Placement)
    assert (remote.mode, remote.memory) == ("default", {0})
    assert "no rule keeps it there" in str(remote)
    assert place("interleaved", nodes, 1, EVERYTHING, REFUSED) is REFUSED


def test_what_the_process_may_use_is_its_affinity_and_its_cpuset(tmp_path):
    root = write_nodes(tmp_path, {0: "0", 1: "1"}, mems_allowed="0-1,4")
    assert numa.allowed(root) == Allowed(frozenset(os.sched_getaffinity(0)), frozenset({0, 1, 4}))
    assert len(numa.allowed(tmp_path / "nothing").memory) == 1024  # nobody says: nothing is ruled out


def test_a_record_says_where_a_session_ran(tmp_path):
    cpu = min(os.sched_getaffinity(0))
    own, other = listed(os.sched_getaffinity(0)), "900-903"
    assert cpu < 900
    root = write_nodes(tmp_path, {0: own, 1: other})
    found = numa.where_it_runs(1, root)
    assert found is not None
    assert found.startswith("CPUs of node 0, ")
    assert found.endswith("GPU on node 1")
    unknown = numa.where_it_runs(REFUSED, root)
    assert unknown is not None
    assert unknown.endswith("GPU on an unknown node")
    assert "GPU" not in (numa.where_it_runs(None, root) or "")
    one = write_nodes(tmp_path / "one", {0: own}, ((10,),))
    assert numa.where_it_runs(0, one) is None


def test_the_doctor_names_a_gpu_that_hangs_on_another_node(two):
    nodes = nodes_in(two)
    far = near(1, nodes, {0, 1})
    assert (far.good, far.remedy) == (False, "gpuperf numa local -- pytest")
    assert far.found.startswith("the GPU hangs on node 1, and this process runs on node 0: every copy crosses")
    assert "(distance 21, where 10 is none)" in far.found
    assert near(1, nodes, {4, 5}).found == "the GPU hangs on node 1, and this process runs there"
    both = near(1, nodes, {0, 4})
    assert (both.good, both.remedy) == (True, None)
    assert "may run on nodes 0-1; to keep it near: gpuperf numa local -- pytest" in both.found
    assert near(REFUSED, nodes, {0}).good is None
    assert near(0, REFUSED, {0}).good is None
    assert near(REFUSED, nodes[:1], {0}) == near(0, nodes[:1], {0})
    assert near(0, nodes[:1], {0}).found == "one node: all memory is equally near"


ASK = """
import os
from pytest_gpuperf.device.memory_policy import read_policy
print(sorted(os.sched_getaffinity(0)), *read_policy())
"""


@pytest.fixture
def policies() -> None:
    try:
        read_policy()
    except OSError as error:
        pytest.skip(f"memory policies cannot be used here: {error}")


def here(where: Where, *, has_policy: bool = True) -> Placement:
    """One processor, and the memory that this process may use: what a machine of one node can be tried with."""
    cpu = max(os.sched_getaffinity(0))
    return Placement(where, frozenset({cpu}), numa.allowed().memory, has_policy=has_policy)


def ran(place: Placement, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(place.command(command), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("where", "has_policy", "policy"),
    [("local", True, "bind"), ("interleaved", True, "interleave"), ("remote", False, "default")],
)
def test_a_program_is_started_with_its_processors_and_its_memory_chosen(policies, where, has_policy, policy):
    place = here(where, has_policy=has_policy)
    done = ran(place, sys.executable, "-c", ASK)
    assert done.returncode == 0, done.stderr
    memory = tuple(sorted(place.memory)) if has_policy else ()
    assert done.stdout.strip() == f"{sorted(place.cpus)} {policy} {memory}"


def test_numactl_sees_the_same_policy(policies):
    if shutil.which("numactl") is None:
        pytest.skip("numactl is not installed")
    place = here("interleaved")
    shown = ran(place, "numactl", "--show").stdout
    assert "policy: interleave" in shown
    assert f"physcpubind: {listed(place.cpus)} " in shown


def test_numactl_sees_the_same_nodes():
    if shutil.which("numactl") is None:
        pytest.skip("numactl is not installed")
    shown = subprocess.run(["numactl", "--hardware"], capture_output=True, text=True, check=True).stdout
    lines = dict(line.split(":", 1) for line in shown.splitlines() if line.startswith("node ") and "cpus:" in line)
    nodes = nodes_in(Path("/"))
    assert {f"node {node.number} cpus": set(node.cpus) for node in nodes} == {
        name: set(map(int, cpus.split())) for name, cpus in lines.items()
    }


def test_what_cannot_be_had_is_an_error_and_no_program_that_runs_elsewhere(policies):
    absent = Placement("remote", frozenset(os.sched_getaffinity(0)), frozenset({1000}), has_policy=True)
    done = ran(absent, sys.executable, "-c", "print('started')")
    assert done.returncode == 1
    assert "started" not in done.stdout
    assert "cannot be started on CPUs" in done.stderr
    nowhere = ran(here("local", has_policy=False), "no-such-program")
    assert nowhere.returncode == 1
    assert "no-such-program cannot be started" in nowhere.stderr


def test_a_machine_whose_calls_have_unknown_numbers(monkeypatch):
    monkeypatch.setattr(memory_policy.platform, "machine", lambda: "s390x")
    unknown = numa.policy()
    assert isinstance(unknown, Missing)
    assert unknown.why == "unsupported"
    assert "s390x" in unknown.reason


def test_the_policy_in_words(policies):
    program = "from pytest_gpuperf.device import numa; print(numa.policy())"
    memory = numa.named(numa.allowed().memory)
    assert ran(here("local"), sys.executable, "-c", program).stdout.strip() == f"bound to {memory}"
    assert ran(here("interleaved"), sys.executable, "-c", program).stdout.strip() == f"interleaved over {memory}"
    assert ran(here("local", has_policy=False), sys.executable, "-c", program).stdout.strip() == "first touch"


def test_the_one_node_that_this_process_runs_on(tmp_path):
    own = sorted(os.sched_getaffinity(0))
    assert numa.own_node(write_nodes(tmp_path / "near", {0: "900-903", 1: listed(own)})) == 1
    assert numa.own_node(tmp_path / "nothing") is None
    if len(own) > 1:
        assert numa.own_node(write_nodes(tmp_path / "both", {0: listed(own[:1]), 1: listed(own[1:])})) is None

"""Which processors and which memory are near a GPU, and starting a process near it or far from it.

    place = placement("remote", card.pci)              # Placement, or Missing: the reason to skip
    run_session([...], place=place)                    # a fresh pytest process there (`sessions/process.py`)
    subprocess.run(place.command([sys.executable, "-c", "..."]))

A machine's memory comes in NUMA nodes, each beside some of its processors. What a GPU copies from another node than its
own crosses the link between them. Everything here is read from /sys and /proc below `root`; nothing raises.

local         processors and memory of the GPU's node
remote        processors and memory of the node farthest from it
interleaved   processors of the GPU's node, memory spread over all nodes page by page
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pytest_gpuperf.device import memory_policy
from pytest_gpuperf.device.memory_policy import listed, numbers_in
from pytest_gpuperf.device.readings import Missing, Reading, known

Where = Literal["local", "remote", "interleaved"]
WHERE: tuple[Where, ...] = get_args(Where)
_ROOT = Path("/")
_VERBS = {"bind": "bound to", "interleave": "interleaved over"}


@dataclass(frozen=True, slots=True)
class Node:
    """Processors, and the memory beside them."""

    number: int
    cpus: frozenset[int]
    memory: int  # bytes
    distances: dict[int, int]  # to every node, as the firmware puts it: 10 is its own

    @property
    def is_whole(self) -> bool:
        """Whether it has both: a GPU's own memory may be a node without processors."""
        return bool(self.cpus) and self.memory > 0


@dataclass(frozen=True, slots=True)
class Allowed:
    """What this process may use."""

    cpus: frozenset[int]
    memory: frozenset[int]  # nodes


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a process is to run."""

    where: Where
    cpus: frozenset[int]
    memory: frozenset[int]  # nodes
    has_policy: bool  # False: memory goes where the first processor that touches it is; no rule keeps it there

    @property
    def mode(self) -> str:
        """The kernel's word for how memory is placed."""
        if not self.has_policy:
            return "default"
        return "interleave" if self.where == "interleaved" else "bind"

    def command(self, command: Sequence[str]) -> list[str]:
        """The command, started there."""
        helper = [sys.executable, "-I", memory_policy.__file__]
        return [*helper, listed(self.cpus), self.mode, listed(self.memory), *command]

    def __str__(self) -> str:
        kept = "" if self.has_policy else " (no rule keeps it there: memory policies cannot be set here)"
        return f"{self.where}: CPUs {listed(self.cpus)}, memory of {named(self.memory)}{kept}"


def read_nodes(root: Path = _ROOT) -> Reading[tuple[Node, ...]]:
    """The machine's nodes."""
    folder = root / "sys/devices/system/node"
    try:
        numbers = numbers_in((folder / "online").read_text())
        return tuple(_read_node(folder / f"node{number}", number, numbers) for number in numbers)
    except (OSError, ValueError) as error:
        return Missing("unsupported", f"this system does not show its NUMA nodes ({error})")


def _read_node(folder: Path, number: int, numbers: Sequence[int]) -> Node:
    meminfo = (folder / "meminfo").read_text().splitlines()
    total = next((line for line in meminfo if "MemTotal:" in line), None)
    if total is None:
        raise ValueError(f"no MemTotal in {folder / 'meminfo'}")
    distances = map(int, (folder / "distance").read_text().split())
    return Node(
        number=number,
        cpus=frozenset(numbers_in((folder / "cpulist").read_text())),
        memory=int(total.split()[-2]) * 1024,
        distances=dict(zip(numbers, distances, strict=True)),
    )


def allowed(root: Path = _ROOT) -> Allowed:
    """What the affinity and the cpuset of this process leave it."""
    try:
        lines = (root / "proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    memory = next((line.split()[1] for line in lines if line.startswith("Mems_allowed_list:")), None)
    every = range(1024) if memory is None else numbers_in(memory)
    return Allowed(frozenset(os.sched_getaffinity(0)), frozenset(every))


def gpu_node(pci: Reading[str], root: Path = _ROOT) -> Reading[int]:
    """The node that a GPU hangs on. NVML and CUDA write a PCI address with more digits than /sys."""
    if isinstance(pci, Missing):
        return pci
    domain, _, rest = pci.lower().partition(":")
    address = f"{domain[-4:]:0>4}:{rest}"
    try:
        number = int((root / "sys/bus/pci/devices" / address / "numa_node").read_text())
    except (OSError, ValueError) as error:
        return Missing("failed", f"the NUMA node of the GPU at {pci} cannot be read: {error}")
    if number < 0:
        return Missing("unsupported", f"the kernel does not know on which NUMA node the GPU at {pci} hangs")
    return number


def policy() -> Reading[str]:
    """Where this process's memory goes: "first touch", "bound to node 1", "interleaved over nodes 0-1", ..."""
    try:
        name, nodes = memory_policy.read_policy()
    except OSError as error:
        why = "permission" if isinstance(error, PermissionError) else "unsupported"
        return Missing(why, f"memory policies cannot be used here: {error.strerror or error}")
    if name in {"default", "local"}:
        return "first touch"
    return f"{_VERBS.get(name, name)} {named(nodes)}"


def placement(where: Where, pci: Reading[str], root: Path = _ROOT) -> Reading[Placement]:
    """Where a process is to start that uses the GPU at this PCI address; else the reason why there is no such place."""
    nodes = read_nodes(root)
    if isinstance(nodes, Missing):
        return nodes
    return place(where, nodes, gpu_node(pci, root), allowed(root), policy())


def place(
    where: Where, nodes: Sequence[Node], gpu: Reading[int], may_use: Allowed, in_force: Reading[str]
) -> Reading[Placement]:
    """Choose, among what the process may use. `in_force`: the memory policy, Missing where none can be set."""
    whole = {node.number: node for node in nodes if node.is_whole}
    if len(whole) < 2:
        one = "this machine has one NUMA node: no memory is farther from a GPU than other memory"
        return Missing("unsupported", one)
    if isinstance(gpu, Missing):
        return gpu
    shared = {n: node.cpus & may_use.cpus for n, node in whole.items() if n in may_use.memory}
    usable = {n: cpus for n, cpus in shared.items() if cpus}
    others = sorted(set(usable) - {gpu})
    refused = _refused(where, gpu, whole, usable, others)
    if refused is not None:
        return refused
    if where == "interleaved":
        if isinstance(in_force, Missing):
            return in_force
        return Placement(where, usable[gpu], frozenset(usable), has_policy=True)
    node = gpu if where == "local" else max(others, key=lambda n: distance(nodes, gpu, n))
    return Placement(where, usable[node], frozenset({node}), has_policy=not isinstance(in_force, Missing))


def _refused(
    where: Where, gpu: int, whole: Collection[int], usable: Collection[int], others: Collection[int]
) -> Missing | None:
    hangs = f"{gpu}, where the GPU hangs"
    if gpu not in whole:
        return Missing("unsupported", f"node {hangs}, has no processors or no memory of its own")
    if where != "remote" and gpu not in usable:
        return Missing("permission", f"this process may not use node {hangs}; see: taskset -pc $$")
    if where != "local" and not others:
        return Missing("permission", f"this process may use no node beside {hangs}; see: taskset -pc $$")
    return None


def distance(nodes: Sequence[Node], a: int, b: int) -> int:
    """From node to node."""
    return next(node.distances[b] for node in nodes if node.number == a)


def where_it_runs(gpu: Reading[int] | None, root: Path = _ROOT) -> str | None:
    """Where this process runs, for the record; None on a machine of one node, where there is nothing to tell."""
    nodes = known(read_nodes(root)) or ()
    if len([node for node in nodes if node.is_whole]) < 2:
        return None
    cpus = f"CPUs of {named(nodes_of(allowed(root).cpus, nodes))}"
    memory = known(policy())
    near = None if gpu is None else f"GPU on {'an unknown node' if isinstance(gpu, Missing) else f'node {gpu}'}"
    return ", ".join(filter(None, (cpus, memory and f"memory {memory}", near)))


def own_node(root: Path = _ROOT) -> int | None:
    """The node that all processors of this process belong to; None where there are several, or nobody tells."""
    here = nodes_of(allowed(root).cpus, known(read_nodes(root)) or ())
    return here[0] if len(here) == 1 else None


def nodes_of(cpus: Collection[int], nodes: Sequence[Node]) -> tuple[int, ...]:
    """The nodes that some of these processors belong to."""
    return tuple(node.number for node in nodes if not node.cpus.isdisjoint(cpus))


def named(numbers: Collection[int]) -> str:
    """In a sentence: "node 1", "nodes 0-1"."""
    return f"{'node' if len(numbers) == 1 else 'nodes'} {listed(numbers)}"

"""``gpuperf numa``: which processors and memory are near a GPU, and a program started near it or far from it."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_gpuperf.cli.command import Command

if TYPE_CHECKING:
    from pytest_gpuperf.device.numa import Placement
    from pytest_gpuperf.device.readings import Reading


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf numa`."""
    parser.usage = "%(prog)s [--device cuda:N] [WHERE -- PROGRAM ARGUMENTS...]"
    parser.add_argument("where", nargs="?", metavar="WHERE", help="start the program there: local, remote, interleaved")
    parser.add_argument("--device", default="cuda:0", metavar="cuda:N", help="near which GPU (default: cuda:0)")


def run(options: Namespace) -> int:
    """Say what there is, or become the program."""
    from pytest_gpuperf.device.numa import WHERE, placement
    from pytest_gpuperf.device.visible import pci_address
    from pytest_gpuperf.errors import UsageError

    program: list[str] = options.pytest_arguments
    if not re.fullmatch(r"cuda(:\d{1,4})?", options.device):
        raise UsageError(f"--device {options.device!r} is no GPU. Write cuda, or cuda:N (N from 0).")
    pci = pci_address(options.device)
    if options.where is None and not program:
        print("\n".join(overview(options.device, pci)))
        return 0
    if options.where not in WHERE or not program:
        raise UsageError(f"Say where ({', '.join(WHERE)}) and what is to run there: gpuperf numa local -- pytest")
    return become(options.where, placement(options.where, pci), program)


def become(where: str, place: Reading[Placement], program: list[str]) -> NoReturn:
    """Run the program in this process's stead, at the place."""
    from pytest_gpuperf.device.memory_policy import start
    from pytest_gpuperf.device.readings import Missing
    from pytest_gpuperf.errors import MissingError

    if isinstance(place, Missing):
        raise MissingError(f"{program[0]} was not started {where}: {place.reason}.")
    try:
        start(place.cpus, place.mode, place.memory, program)
    except OSError as error:
        raise MissingError(f"{program[0]} cannot be started {place}: {error.strerror or error}.") from error


def overview(device: str, pci: Reading[str], root: Path = Path("/")) -> Iterator[str]:
    """The nodes, the GPU's, and every place near it or far from it."""
    from pytest_gpuperf.device.memory_policy import listed
    from pytest_gpuperf.device.numa import WHERE, gpu_node, placement, policy, read_nodes
    from pytest_gpuperf.device.readings import Missing
    from pytest_gpuperf.records.units import format_bytes

    nodes = read_nodes(root)
    if isinstance(nodes, Missing):
        yield str(nodes)
        return
    for node in nodes:
        cpus = f"CPUs {listed(node.cpus)}" if node.cpus else "no CPUs"
        distances = ", ".join(f"{far} to node {to}" for to, far in node.distances.items())
        yield f"node {node.number}: {cpus}, {format_bytes(node.memory)}; distance {distances}"
    near = gpu_node(pci, root)
    yield f"{device}: {near if isinstance(near, Missing) else f'on node {near}'}"
    yield f"this process: memory {policy()}"
    places = [(where, placement(where, pci, root)) for where in WHERE]
    yield from (f"{where}: {place}" if isinstance(place, Missing) else str(place) for where, place in places)


NUMA = Command(
    "numa",
    "say which processors and memory are near a GPU; start a program near it, or far from it",
    add_arguments,
    run,
    takes_pytest_arguments=True,
)

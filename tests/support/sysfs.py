"""A machine's NUMA nodes as Linux shows them below /sys and /proc, written into a folder."""

from __future__ import annotations

from pathlib import Path

from pytest_gpuperf.device.memory_policy import listed

GIB = 2**30
SOCKETS = ((10, 21), (21, 10))


def write_nodes(
    root: Path,
    cpus: dict[int, str],
    distances: tuple[tuple[int, ...], ...] = SOCKETS,
    *,
    gpus: dict[str, int] | None = None,
    memory: dict[int, int] | None = None,
    mems_allowed: str | None = None,
) -> Path:
    """`cpus`: node -> its processors, as the kernel lists them. `gpus`: PCI address -> node, -1 for unknown."""
    folder = root / "sys/devices/system/node"
    for (number, processors), row in zip(cpus.items(), distances, strict=True):
        node = folder / f"node{number}"
        node.mkdir(parents=True)
        kib = (memory or {}).get(number, 64 * GIB) // 1024
        (node / "cpulist").write_text(f"{processors}\n")
        (node / "meminfo").write_text(f"Node {number} MemTotal: {kib:>15} kB\nNode {number} MemFree: 1 kB\n")
        (node / "distance").write_text(" ".join(map(str, row)) + "\n")
    (folder / "online").write_text(f"{listed(cpus)}\n")
    for address, number in (gpus or {}).items():
        device = root / "sys/bus/pci/devices" / address
        device.mkdir(parents=True)
        (device / "numa_node").write_text(f"{number}\n")
    if mems_allowed is not None:
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/status").write_text(f"Name:\tpython\nMems_allowed_list:\t{mems_allowed}\n")
    return root

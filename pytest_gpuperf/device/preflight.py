"""What to know of a machine's GPUs before measuring: alike or not, how connected, how set up, who else is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

from pytest_gpuperf.device import numa, nvml, processes
from pytest_gpuperf.device.choice import sensors_of
from pytest_gpuperf.device.counter import probe_period
from pytest_gpuperf.device.health import limits, readings, slowdown
from pytest_gpuperf.device.nvml import NvmlDevice
from pytest_gpuperf.device.readings import Missing, Reading, known
from pytest_gpuperf.device.visible import visible_devices
from pytest_gpuperf.errors import DeviceLostError
from pytest_gpuperf.records.units import format_bytes

_WAYS = {
    10: "one PCIe switch",
    20: "several PCIe switches",
    30: "the host bridge",
    40: "the processor's bridges",
    50: "the link between processors",
}
_POWER_LIMIT_SLACK = 0.01
_STAY_NEAR = "gpuperf numa local -- pytest"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    good: bool | None  # None: it could not be looked at
    found: str
    remedy: str | None = None  # the command that mends it


def preflight() -> tuple[Check, ...]:
    """Everything about the GPUs that this process may use."""
    found = visible_devices()
    if isinstance(found, Missing):
        return (Check("nvml", None, str(found), "nvidia-smi" if found.why == "library" else None),)
    if not found:
        return (Check("gpus", None, "CUDA_VISIBLE_DEVICES leaves none", "unset CUDA_VISIBLE_DEVICES"),)
    driver = nvml.driver_version()
    checks = [
        Check("driver", not isinstance(driver, Missing), str(driver)),
        homogeneous(found),
        *(_link(a, b) for a, b in combinations(found, 2) if not a.is_mig and not b.is_mig),
    ]
    for number, device in enumerate(found):
        checks += [_named(check, number, len(found)) for check in _of_one(device)]
    return tuple(checks)


def _named(check: Check, number: int, count: int) -> Check:
    name = check.name if count == 1 else f"{check.name} of GPU {number}"
    return Check(name, check.good, check.found, check.remedy)


def homogeneous(devices: Sequence[NvmlDevice]) -> Check:
    """Whether all GPUs are of one kind: a figure of one then stands for all."""
    traits: dict[str, Callable[[NvmlDevice], object]] = {
        "name": lambda d: known(d.name),
        "memory": lambda d: None if isinstance(m := d.memory(), Missing) else format_bytes(m.total),
        "compute capability": lambda d: known(d.capability),
        "power limit": lambda d: None if isinstance(w := d.power_limit(), Missing) else f"{w:.0f} W",
    }
    differences = [
        f"{what}: {', '.join(sorted(map(str, values)))}"
        for what, of in traits.items()
        if len(values := {of(d) for d in devices}) > 1
    ]
    first = devices[0]
    shown = f"{len(devices)} x {known(first.name)}" + (f", MIG {first.mig_profile}" if first.is_mig else "")
    if differences:
        return Check("gpus", False, f"{shown}, but they differ in {'; '.join(differences)}", "nvidia-smi -L")
    return Check("gpus", True, shown)


def _link(a: NvmlDevice, b: NvmlDevice) -> Check:
    level = a.distance(b)
    name = f"{known(a.pci)} to {known(b.pci)}"
    if isinstance(level, Missing):
        return Check(name, None, str(level), "nvidia-smi topo -m")
    way = _WAYS.get(level, f"topology level {level}")
    links = min(a.nvlinks(), b.nvlinks())
    # NVLinks may lead to other cards than this one: their number is what is up, not what joins these two.
    return Check(name, True, f"PCIe through {way}" + (f"; {links} NVLinks up on both" if links else "; no NVLink"))


def _of_one(device: NvmlDevice) -> Sequence[Check]:
    board = device.board
    return [
        _health(board),
        _clock(board),
        _power_limit(board),
        _switch("persistence", board.persistence(), "sudo nvidia-smi -pm 1"),
        _ecc(board),
        _pcie(board),
        near(numa.gpu_node(board.pci), numa.read_nodes(), numa.allowed().cpus),
        _others(device),
        _compute_mode(board),
        _energy(device),
    ]


def _health(device: NvmlDevice) -> Check:
    try:
        reading, clock_limits = readings(device), limits(device, 0.0)
    except DeviceLostError as error:
        return Check("health", False, str(error), "sudo nvidia-smi --gpu-reset")
    state = slowdown(clock_limits, clock_limits)
    heat = "temperature unknown" if reading.temperature is None else f"{reading.temperature} C"
    return Check(
        "health",
        state is None,
        f"{state or 'no slow-down'}, {heat}",
        None if state is None else "nvidia-smi -q -d PERFORMANCE",
    )


def _clock(device: NvmlDevice) -> Check:
    now, most = device.sm_clock(), device.max_sm_clock()
    if isinstance(now, Missing) or isinstance(most, Missing):
        return Check("SM clock", None, str(now if isinstance(now, Missing) else most))
    lock = f"locked, figures are steadier: sudo nvidia-smi -lgc {most}"
    return Check("SM clock", True, f"{now} MHz now, at most {most} MHz; {lock}")


def _power_limit(device: NvmlDevice) -> Check:
    limit, default = device.power_limit(), device.default_power_limit()
    if isinstance(limit, Missing):
        return Check("power limit", None, str(limit))
    ordinary = isinstance(default, Missing) or abs(limit / default - 1) <= _POWER_LIMIT_SLACK
    shown = f"{limit:.0f} W" if isinstance(default, Missing) else f"{limit:.0f} W of {default:.0f} W by default"
    return Check("power limit", ordinary, shown, None if ordinary else f"sudo nvidia-smi -pl {known(default):.0f}")


def _switch(name: str, reading: Reading[bool], remedy: str) -> Check:
    if isinstance(reading, Missing):
        return Check(name, None, str(reading))
    return Check(
        name,
        reading,
        "on" if reading else "off: the driver reloads when nobody uses the GPU",
        None if reading else remedy,
    )


def _ecc(device: NvmlDevice) -> Check:
    mode, errors = device.ecc(), device.ecc_errors()
    if isinstance(mode, Missing):
        return Check("ECC", None, str(mode))
    count = known(errors) or 0
    return Check(
        "ECC",
        count == 0,
        f"{'on' if mode else 'off'}, {count} uncorrected errors",
        "nvidia-smi -q -d ECC" if count else None,
    )


def _pcie(device: NvmlDevice) -> Check:
    now, most = device.pcie(), device.max_pcie()
    if isinstance(now, Missing) or isinstance(most, Missing):
        return Check("PCIe", None, str(now if isinstance(now, Missing) else most))
    # The generation falls when the link is idle; a missing lane is a fault.
    return Check("PCIe", now[1] == most[1], f"generation {now[0]} of {most[0]}, x{now[1]} of x{most[1]}")


def near(gpu: Reading[int], nodes: Reading[Sequence[numa.Node]], cpus: Collection[int]) -> Check:
    """Whether this process runs on the node that the GPU hangs on."""
    if isinstance(nodes, Missing):
        return Check("NUMA", None, str(nodes))
    if len([node for node in nodes if node.is_whole]) < 2:
        return Check("NUMA", True, "one node: all memory is equally near")
    if isinstance(gpu, Missing):
        return Check("NUMA", None, str(gpu))
    here = numa.nodes_of(cpus, nodes)
    hangs = f"the GPU hangs on node {gpu}, and this process"
    if here == (gpu,):
        return Check("NUMA", True, f"{hangs} runs there")
    if gpu in here:
        return Check("NUMA", True, f"{hangs} may run on {numa.named(here)}; to keep it near: {_STAY_NEAR}")
    far = max(numa.distance(nodes, gpu, node) for node in here)
    crossing = f"every copy crosses between them (distance {far}, where 10 is none)"
    return Check("NUMA", False, f"{hangs} runs on {numa.named(here)}: {crossing}", _STAY_NEAR)


def _others(device: NvmlDevice) -> Check:
    found = processes.foreign(device)
    if isinstance(found, Missing):
        return Check("other processes", None, str(found))
    return Check("other processes", not found, ", ".join(map(str, found)) or "none", "nvidia-smi" if found else None)


def _compute_mode(device: NvmlDevice) -> Check:
    exclusive = device.exclusive()
    if isinstance(exclusive, Missing):
        return Check("compute mode", None, str(exclusive))
    return Check("compute mode", True, "one process at a time" if exclusive else "shared")


def _energy(device: NvmlDevice) -> Check:
    meter = sensors_of(device).meter
    refused = meter.refused()
    if refused is not None:
        return Check("energy", None, str(refused))
    period, watts = probe_period(meter), meter.power()
    if isinstance(period, Missing):
        sampled = "" if isinstance(watts, Missing) else "; watts can be sampled instead"
        return Check("energy", not isinstance(watts, Missing) or None, f"{period}{sampled}")
    shown = "" if isinstance(watts, Missing) else f", {watts:.1f} W now ({meter.name})"
    return Check("energy", True, f"counter moves every {period * 1e3:.0f} ms{shown}")

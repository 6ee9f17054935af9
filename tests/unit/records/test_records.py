"""The figures that are taken from what was measured, and the names of files."""

from __future__ import annotations

import msgspec
import pytest
from examples import DEVICE, a_measurement, a_run

from pytest_gpuperf.records.latency import latency_of
from pytest_gpuperf.records.model import Device


@pytest.mark.parametrize(
    ("device", "slug"),
    [
        (DEVICE, "tesla-t4"),
        (Device(kind="cuda", name="NVIDIA A100-SXM4-40GB", memory=1, mig="3g.20gb"), "a100-sxm4-40gb-3g.20gb"),
        (
            Device(kind="cpu", name="Intel(R) Xeon(R) CPU @ 2.20GHz", memory=1, cores=2),
            "cpu-intel-r-xeon-r-cpu-2.20ghz-2-cores",
        ),
        (Device(kind="cpu", name="../x", memory=1), "cpu-..-x"),
        (Device(kind="cuda", name="../..", memory=1), "unnamed"),
        (Device(kind="cuda", name="///", memory=1), "unnamed"),
    ],
)
def test_the_name_of_a_device_in_a_path(device: Device, slug: str) -> None:
    assert device.slug == slug


def test_device_time() -> None:
    summary = a_measurement(0, blocks=((1.0, 2.0), (3.0, 10.0))).device_time
    assert (summary.mean, summary.median, summary.low, summary.high, summary.count) == (4.0, 2.5, 1.0, 10.0, 4)


def test_throughput_and_host_gap_are_by_the_hosts_clock_where_it_was_read() -> None:
    measured = a_measurement(0, blocks=((0.01, 0.01),))
    assert (measured.throughput, measured.host_gap) == (800, None)
    measured = a_measurement(0, blocks=((0.01, 0.01),), walls=(0.0125,))
    assert measured.throughput == 640
    assert measured.host_gap == pytest.approx(0.0025)


def test_percentiles_come_only_from_enough_calls() -> None:
    assert a_measurement(0).latency is None
    latency = a_measurement(0, latencies=tuple(float(i) for i in range(100, 0, -1))).latency
    assert latency is not None
    assert (latency.p50, latency.p90, latency.p95, latency.p99, latency.count) == (50, 90, None, None, 100)
    assert latency_of((1.0,) * 10).p50 is None
    assert latency_of(tuple(float(i) for i in range(1, 663))).p99 == 656


def test_records_cannot_be_changed() -> None:
    run = a_run(0)
    with pytest.raises(AttributeError):
        run.cases = ()  # type: ignore[misc]
    assert run.cases[0].file == "tests/test_x.py"
    assert msgspec.structs.replace(run, cases=()) != run

"""Story: charts for a README, from runs or from a baseline."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from command import gpuperf
from page_suite import a_suite

from pytest_gpuperf.records.files import write_baseline, write_run

T4 = Path(__file__).parents[3] / "baselines" / "t4.json"


@pytest.fixture
def folder(tmp_path):
    run, baseline = a_suite(16)
    write_run(tmp_path / "run.json", run)
    write_baseline(tmp_path / "base.json", baseline)
    return tmp_path


def test_a_run_beside_its_baseline(folder):
    done = gpuperf("plot", "run.json", "--baseline", "base.json", "--into", "my charts", cwd=folder, bare=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(p.name for p in (folder / "my charts").iterdir()) == [
        "resnet50-dark.png",
        "resnet50-dark.svg",
        "resnet50.png",
        "resnet50.svg",
    ]
    assert '<source media="(prefers-color-scheme: dark)" srcset="my%20charts/resnet50-dark.svg">' in done.stdout
    assert '<img src="my%20charts/resnet50.svg" alt="Latency and throughput of resnet50">' in done.stdout
    assert "Tesla T4; cuda 13.0, driver 595.71, python 3.11.9, torch 2.15.0; 3 sessions" in (
        folder / "my charts" / "resnet50.svg"
    ).read_text(encoding="utf-8")


def test_several_runs_are_sessions_of_one(folder):
    run, _ = a_suite(16, seed=2)
    others = tuple(msgspec.structs.replace(s, id=f"other{i}") for i, s in enumerate(run.sessions))
    cases = tuple(
        msgspec.structs.replace(
            c,
            measurements=tuple(msgspec.structs.replace(m, session=f"other{i}") for i, m in enumerate(c.measurements)),
            profile=None,
        )
        for c in run.cases
    )
    write_run(folder / "other.json", msgspec.structs.replace(run, sessions=others, cases=cases))
    done = gpuperf("plot", "run.json", "other.json", "--into", "out", "--format", "svg", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "; 6 sessions" in (folder / "out" / "resnet50.svg").read_text()


def test_the_published_baseline_by_itself(folder):
    done = gpuperf("plot", T4, "--into", "out", "--format", "svg", cwd=folder)
    assert done.returncode == 0
    assert re.findall(r'src="(.*?)"', done.stdout) == ["out/resnet50.svg", "out/vit_b_16.svg"]
    assert "Tesla T4; cuda 12.1, torch 2.5.1; published figures" in (folder / "out" / "vit_b_16.svg").read_text()


def test_what_cannot_be_drawn(folder):
    run, _ = a_suite(1)
    device = msgspec.structs.replace(run.environment.device, name="L40S")
    where = msgspec.structs.replace(run.environment, device=device)
    write_run(folder / "l40s.json", msgspec.structs.replace(run, environment=where))
    for arguments, message in (
        (("run.json", "--into", "out", "--format", "gif"), "--format gif: choose png, svg or png,svg."),
        (
            ("run.json", "l40s.json", "--into", "out"),
            "l40s.json is of another device than run.json: name Tesla T4, here",
        ),
        (("l40s.json", "--baseline", "base.json", "--into", "out"), "was measured on another device"),
        (("base.json", "run.json", "--into", "out"), "base.json is a baseline, which is drawn by itself"),
    ):
        done = gpuperf("plot", *arguments, cwd=folder)
        assert (done.returncode, done.stdout) == (4, "")
        assert message in done.stderr

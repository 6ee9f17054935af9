"""Story: what half the precision gained, and what the batch did."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import msgspec
from command import gpuperf
from examples import a_run

from pytest_gpuperf.records.files import write_run

ROOT = Path(__file__).parents[3]
T4 = ROOT / "baselines" / "t4.json"


def test_the_ratios_of_the_published_table(tmp_path):
    done = gpuperf("ratios", T4, "--over", "precision", cwd=tmp_path, bare=True)
    assert done.returncode == 0
    shown = [" ".join(line.split()) for line in done.stdout.split("\n")]
    assert shown[:7] == [
        "precision latency change throughput speed-up memory change",
        "model resnet50, backend eager, batch 32, scale full",
        "fp32 84.0 ms - 381 /s - 741 MiB -",
        "autocast_fp16 39.2 ms -53.3% 817 /s 2.14x 604 MiB -18.5%",
        "model vit_b_16, backend eager, batch 32, scale full",
        "fp32 327 ms - 97.9 /s - 744 MiB -",
        "autocast_fp16 77.1 ms -76.4% 415 /s 4.24x 832 MiB +11.9%",
    ]
    assert "source: a study of FP16 autocast and TorchScript on a T4" in done.stdout


def test_the_documented_table_is_the_real_one():
    page = (ROOT / "docs" / "ratios.md").read_text()
    ((command, table),) = re.findall(r"^    \$ (gpuperf .*)\n((?:    .*\n)+)", page, re.MULTILINE)
    done = gpuperf(*shlex.split(command)[1:], cwd=ROOT, COLUMNS="80")
    assert done.stdout.startswith(textwrap.dedent(table))


def test_as_csv_against_another_level(tmp_path):
    arguments = ("--over", "backend", "--reference", "torchscript", "--format", "csv")
    done = gpuperf("ratios", T4, *arguments, cwd=tmp_path, bare=True)
    assert done.returncode == 0
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert rows[0][1:5] == ["model", "precision", "backend", "batch"]
    speedup = rows[0].index("speedup")
    assert [row[speedup] for row in rows if row[1:6] == ["resnet50", "fp32", "eager", "32", "full"]] == ["0.748541"]


def test_of_a_run(tmp_path):
    run = a_run(0, cases=("a", "b"))
    cases = (
        msgspec.structs.replace(case, id=f"x.py::t[{size}]", test=f"x.py::t[{size}]", parameters={"batch": str(size)})
        for case, size in zip(run.cases, (1, 32), strict=True)
    )
    write_run(tmp_path / "run.json", msgspec.structs.replace(run, cases=tuple(cases)))
    done = gpuperf("ratios", "run.json", "--over", "batch", cwd=tmp_path, bare=True)
    assert done.returncode == 0
    assert "1.00x" in done.stdout


def test_what_cannot_be_answered(tmp_path):
    write_run(tmp_path / "run.json", a_run(0))
    for arguments, message in (
        (("run.json", "--over", "precision"), "no case has a parameter of that name"),
        (("gone.json", "--over", "precision"), "gone.json: there is no such file"),
        (("run.json",), "--over"),
    ):
        done = gpuperf("ratios", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (4, "")
        assert message in done.stderr

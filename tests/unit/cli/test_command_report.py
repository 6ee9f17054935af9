"""Story: a run becomes a page on the machine that only judges."""

from __future__ import annotations

import re

from command import gpuperf
from examples import a_baseline, a_run

from pytest_gpuperf.records.files import write_baseline, write_run


def files(folder):
    write_baseline(folder / "base.json", a_baseline(0, 1, 2, 3, 4, cases=("a",)))
    write_run(folder / "run.json", a_run(8, 9, 10, cases=("a",), level=0.012))


def test_a_judged_page_without_torch_or_pytest(tmp_path):
    files(tmp_path)
    done = gpuperf("report", "run.json", "--baseline", "base.json", "--html", "out", cwd=tmp_path, bare=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Report: out/index.html\n", "")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<title>Failed: The one compared case regressed · gpuperf</title>" in page
    again = gpuperf(
        *("report", "run.json", "--baseline", "base.json", "--html", "out", "--tolerance", "throughput=30%"),
        cwd=tmp_path,
    )
    assert again.returncode == 0
    assert "<title>Passed: The one compared case did not regress" in (tmp_path / "out" / "index.html").read_text()


def test_a_page_of_a_run_that_nobody_judged(tmp_path):
    files(tmp_path)
    assert gpuperf("report", "run.json", "--html", "out", cwd=tmp_path).returncode == 0
    title = re.search("<title>(.*)</title>", (tmp_path / "out" / "index.html").read_text())
    assert title[1] == "Measured: 1 case measured; no baseline, so nothing was judged · gpuperf"


def test_a_pinned_reference_goes_with_a_baseline(tmp_path):
    files(tmp_path)
    both = ("report", "run.json", "--html", "out", "--reference", "base.json")
    done = gpuperf(*both, cwd=tmp_path)
    assert done.returncode == 4
    assert "--reference goes with --baseline" in done.stderr
    assert gpuperf(*both, "--baseline", "base.json", cwd=tmp_path).returncode == 0
    assert "Since the reference base.json: 1 regressed" in (tmp_path / "out" / "index.html").read_text()

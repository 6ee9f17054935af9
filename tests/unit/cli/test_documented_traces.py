"""docs/traces.md: its program records a trace that its commands read, and its table of causes is that of the report."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

from command import gpuperf

from pytest_gpuperf.cli.arguments import parse
from pytest_gpuperf.records.trace_analysis import GapCause
from pytest_gpuperf.reports.trace_answer import MEANINGS

PAGE = (Path(__file__).parents[3] / "docs/traces.md").read_text(encoding="utf-8")


def test_what_the_page_records_is_what_it_reads(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=tmp_path, check=True, capture_output=True)
    done = gpuperf("trace", "step.json.gz", cwd=tmp_path, bare=True)
    assert done.returncode == 0, done.stderr
    assert "Steps\n\n- 12 steps: the median takes " in done.stdout


def test_its_commands_are_ones_that_the_parser_takes():
    commands = re.findall(r"^gpuperf (trace [^#\n]+)", PAGE, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        assert callable(parse(shlex.split(command)).run)


def test_its_causes_mean_what_the_report_says():
    rows = dict(re.findall(r"^\| (\w+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert {cause: rows.get(cause) for cause in get_args(GapCause)} == MEANINGS

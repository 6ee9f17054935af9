"""A file that is nearly right is read, or refused in one clear line; `benchmarks/mutated_files.py` tries thousands."""

from __future__ import annotations

import json
import random

import pytest
from examples import a_baseline, a_run
from mutations import written

from pytest_gpuperf.cli import main
from pytest_gpuperf.records.files import write_baseline, write_run

COMMANDS = {
    "run": (("show", "bad.json"), ("compare", "base.json", "bad.json"), ("why", "bad.json", "--baseline", "base.json")),
    "base": (("show", "bad.json"), ("compare", "bad.json", "run.json"), ("accept", "run.json", "--into", "bad.json")),
}


@pytest.mark.parametrize(("kind", "command"), [(kind, command) for kind, of in COMMANDS.items() for command in of])
def test_it_is_read_or_refused(tmp_path, monkeypatch, capsys, kind, command):
    monkeypatch.chdir(tmp_path)
    write_run("run.json", a_run(20, 21, cases=("a", "b")))
    write_baseline("base.json", a_baseline(*range(6)))
    document = json.loads((tmp_path / f"{kind}.json").read_bytes())
    ends = set()
    for seed in range(60):
        (tmp_path / "bad.json").write_bytes(written(document, random.Random(f"{command} {seed}")))
        code = main(list(command))
        said = capsys.readouterr().err
        assert code in {0, 1, 4, 6, 7}, (seed, said)
        if code == 4:
            assert said.startswith("gpuperf: error: "), seed
            assert ".json" in said.splitlines()[0], seed
        ends.add(code)
    assert ends >= {0, 4}, "some can be read, and some cannot"

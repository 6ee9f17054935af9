"""Steps that look at pipelines, at traces of the card, and at the study of vision transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rows import Row, judged
from sessions import AS_USERS_DO, GPUPERF, PYTEST, told


def pipelines(device: str, into: Path) -> Iterator[Row]:
    """One design of each kind: what each reaches of its slowest stage's bound, and what limits it."""
    which = "one-by-one or (q2 and w1)" if device == "cuda" else "one-by-one or (threads and q2 and w1)"
    from pytest_gpuperf.records.files import read_run

    saved = into / "run-pipelines.json"
    arguments = ["tests/perf/pipelines", "-k", which, f"--gpuperf-device={device}", "--gpuperf-budget=3"]
    code, _, took = told([*PYTEST, *AS_USERS_DO, "-q", "-rs", *arguments, f"--gpuperf-save={saved}"])
    yield judged("exit code", f"{code} after {took:.0f} s", "0", holds=code == 0)
    for case in read_run(saved).cases if saved.exists() else ():
        found = case.measurements[-1]
        design, evidence = found.pipeline, found.evidence
        if design is None:
            continue
        figure = (
            f"{design.throughput:.0f} images/s, {design.efficiency:.0%} of its bound, limited by {design.bottleneck}, "
            f"{'unknown' if evidence is None else evidence.verdict}"
        )
        yield Row(case.id.rpartition("[")[2].rstrip("]"), figure)


def traces(device: str, into: Path) -> Iterator[Row]:
    """A trace of each quick ResNet-50 case, and what `gpuperf trace` reads in it."""
    folder = into / "traces"
    arguments = ["tests/perf/test_models.py", "-k", "resnet50 and eager and -1", f"--gpuperf-device={device}"]
    command = [*PYTEST, *AS_USERS_DO, "-q", *arguments, "--gpuperf-budget=2", f"--gpuperf-trace={folder}"]
    code, _, took = told(command)
    yield judged("recording: exit code", f"{code} after {took:.0f} s", "0", holds=code == 0)
    files = sorted(map(str, folder.glob("*.json.gz")))
    code, text, took = told([*GPUPERF, "trace", *files, "--format", "json"]) if files else (1, "no trace", 0.0)
    yield judged("reading: exit code", f"{code} after {took:.0f} s", "0", holds=code == 0)
    if code != 0:
        return
    begin = min(at for at in (text.find("["), text.find("{")) if at >= 0)
    found = json.loads(text[begin:])
    for one in found if isinstance(found, list) else [found]:
        for use in one["devices"]:
            computed, seconds = use["use"]["compute"], use["use"]["seconds"]
            idle = ", ".join(f"{cause} {time * 1e3:.2f} ms" for cause, time in use.get("idle", {}).items())
            figure = f"{use['device']} computed {computed / seconds:.0%} of {seconds * 1e3:.1f} ms; idle: {idle}"
            holds = len(one["steps"]) == 5 and all(use["device"] in step["uses"] for step in one["steps"])
            yield judged(one["file"][:80], f"{figure}; {len(one['steps'])} steps", "kernels in 5 steps", holds=holds)


def vit(device: str, into: Path) -> Iterator[Row]:
    """Three minutes of the study's first question."""
    scale = "full" if device == "cuda" else "smoke"
    command = ["study", "vit", "--rq", "1", "--budget", "3m", "--into", str(into / "vit"), "--device", device]
    code, text, took = told([*GPUPERF, *command, "--scale", scale])
    yield judged("exit code", f"{code} after {took:.0f} s", "0", holds=code == 0)
    yield from (Row("finding", line[2:]) for line in text.splitlines() if line.startswith("- "))

"""Files that are nearly right, through every command that reads one: success, or the one clear error.

    python benchmarks/mutated_files.py [--count 20000] [--seed 0] [--commands NAME ...]

A run, baselines of both format versions and a file of pytest-benchmark are changed where their structure is (keys
dropped, doubled and renamed; types swapped; numbers too large, too small, negative, no numbers; strings enormous,
empty, no Unicode; lists emptied and repeated; deep nesting), or in their bytes. Each command runs in a child that may
use 2 GiB more than it has at its start, and 30 seconds. What ends otherwise than with a documented exit code, prints a
traceback, or calls itself a fault of gpuperf, is printed with the seed that makes its file again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import msgspec
from examples import a_baseline, a_run
from mutations import written
from profiles import CONVOLUTION, COPY, RELU, a_profile, profiled_baseline, profiled_run

from pytest_gpuperf.cli import FAULT, main
from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.reports.pytest_benchmark import render_pytest_benchmark

KERNELS = a_profile(CONVOLUTION, RELU, COPY)
DOCUMENTED = {0, 1, 4, 6, 7}
MEMORY = 2 << 30  # bytes beyond what a process has when it begins
LONGEST = 30  # seconds
BATCH = 50  # files a child: their memory and their temporary files end with it

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "show": ("show", "{run}"),
    "show BASELINE": ("show", "{base}"),
    "show v1": ("show", "{old}"),
    "compare": ("compare", "good-base.json", "{run}"),
    "compare BASELINE": ("compare", "{base}", "good-run.json", "--format", "markdown", "--csv", "out.csv"),
    "compare --reference": ("compare", "good-base.json", "good-run.json", "--reference", "{base}", "--format", "json"),
    "accept": ("accept", "{run}", "--into", "{copy}", "--few"),
    "accept BASELINE": ("accept", "good-run.json", "--into", "{base}", "--few", "--prune"),
    "ratios": ("ratios", "{run}", "--over", "precision"),
    "ratios BASELINE": ("ratios", "{base}", "--over", "precision", "--format", "csv"),
    "report": ("report", "{run}", "--baseline", "good-base.json", "--html", "page"),
    "report BASELINE": ("report", "good-run.json", "--baseline", "{base}", "--html", "page"),
    "plot": ("plot", "{run}", "--into", "plots", "--format", "svg"),
    "plot BASELINE": ("plot", "good-run.json", "--baseline", "{base}", "--into", "plots", "--format", "svg"),
    "why": ("why", "{run}", "--baseline", "good-base.json"),
    "why BASELINE": ("why", "good-run.json", "--baseline", "{base}", "test"),
    "waive": ("waive", "tests/test_x.py::test[a]", "--into", "{base}", "--until", "2031-01-01", "--reason", "x"),
    "import": ("import", "pytest-benchmark", "{bench}", "--into", "imported.json"),
    "export": ("export", "{run}", "--format", "pytest-benchmark", "--into", "exported.json"),
    "merge": ("merge", "{run}", "--into", "merged.json", "--compare", "good-base.json"),
    "merge --compare": ("merge", "good-run.json", "--into", "merged.json", "--compare", "{base}"),
}
SLOW_ONES = {"plot", "plot BASELINE"}  # a picture takes a second


def templates(folder: Path) -> dict[str, Any]:
    """The documents that are changed; the good ones lie in the folder."""
    run = profiled_run(a_run(20, 21, cases=("a", "b")), KERNELS)
    run = msgspec.structs.replace(
        run,
        cases=tuple(
            msgspec.structs.replace(c, parameters={"precision": p, "batch": "8", "model": "resnet50"})
            for c, p in zip(run.cases, ("fp16", "fp32"), strict=True)
        ),
    )
    write_run(folder / "good-run.json", run)
    base = profiled_baseline(a_baseline(*range(6)), KERNELS)
    parameters = {case.id: case.parameters for case in run.cases}
    base = msgspec.structs.replace(
        base, cases=tuple(msgspec.structs.replace(c, parameters=parameters[c.id]) for c in base.cases)
    )
    write_baseline(folder / "good-base.json", base)
    (folder / "good-bench.json").write_text(render_pytest_benchmark(run))
    read = {name: json.loads((folder / f"good-{name}.json").read_bytes()) for name in ("run", "base", "bench")}
    old = Path(__file__).parents[1] / "baselines/t4.json"
    return {**read, "old": json.loads(old.read_bytes()) | {"version": 1}}


def tried(command: str, documents: Mapping[str, Any], seed: int, folder: Path) -> tuple[int | str, str]:
    """Run one command on one file; its exit code, or what else ended it, and what it said."""
    rng = random.Random(f"{command} {seed}")
    words = list(COMMANDS[command])
    for place, word in enumerate(words):
        kind = word.strip("{}")
        if word.startswith("{") and kind in documents:
            (folder / f"bad-{kind}.json").write_bytes(written(documents[kind], rng))
            words[place] = f"bad-{kind}.json"
        elif kind == "copy":
            shutil.copy(folder / "good-base.json", folder / "copy.json")
            words[place] = "copy.json"
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            signal.alarm(LONGEST)
            code: int | str = main(words)
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        traceback.print_exc(file=err)
        code = type(error).__name__
    finally:
        signal.alarm(0)
    return code, err.getvalue()


def wrong(code: int | str, said: str) -> bool:
    if code not in DOCUMENTED or code == FAULT or "Traceback" in said:
        return True
    errors = [line for line in said.splitlines() if line.startswith("gpuperf: error: ")]
    names_what = errors and (".json" in errors[0] or " --" in errors[0])  # the file, or the option that does not fit it
    return code == 4 and not (len(errors) == 1 and names_what)


def in_child(work: Callable[[], object]) -> bytes:
    """What it gives, as JSON, from a process of its own with limits."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            with os.fdopen(writing, "wb") as answer:
                answer.write(json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def batch(
    command: str, seeds: Sequence[int], documents: Mapping[str, Any], folder: Path
) -> list[tuple[int | str, str]]:
    """Each seed's outcome; a child that died is one that each seed is tried alone for."""
    os.chdir(folder)
    said = in_child(lambda: [tried(command, documents, seed, folder) for seed in seeds])
    if said:
        return [tuple(one) for one in json.loads(said)]
    if len(seeds) == 1:
        return [("died", "no memory, or too long")]
    return [batch(command, [seed], documents, folder)[0] for seed in seeds]


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = templates(folder)
        for command in arguments.commands:  # what is imported lazily is imported once, and not in each child
            tried(command, documents, 0, folder) if not os.chdir(folder) else None
        share = arguments.count // (len(arguments.commands) + 1e-9)
        total = 0
        for command in arguments.commands:
            count = int(share * (0.2 if command in SLOW_ONES else 1.2 if len(arguments.commands) > 2 else 1))
            counted: Counter[str] = Counter()
            failures: defaultdict[str, list[int]] = defaultdict(list)
            seeds = [arguments.seed * 10_000_000 + n for n in range(count)]
            for start in range(0, count, BATCH):
                some = seeds[start : start + BATCH]
                for seed, (code, said) in zip(some, batch(command, some, documents, folder), strict=True):
                    counted[str(code)] += 1
                    if wrong(code, said):
                        failures[f"{code}: {said.strip()[-600:]}"].append(seed)
            total += count
            print(f"{command}: {dict(counted.most_common())}, wrong: {sum(map(len, failures.values()))}", flush=True)
            for what, of in list(failures.items())[:8]:
                print(f"    seeds {of[:5]}, {len(of)} in all:\n        " + what.replace("\n", "\n        "), flush=True)
        print(f"{total} files", flush=True)


if __name__ == "__main__":
    run()

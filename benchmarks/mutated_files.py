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
import copy
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import msgspec
from examples import a_baseline, a_run
from profiles import CONVOLUTION, COPY, RELU, a_profile, profiled_baseline, profiled_run

from pytest_gpuperf.cli import FAULT, main
from pytest_gpuperf.reports.pytest_benchmark import render_pytest_benchmark
from pytest_gpuperf.results.files import write_baseline, write_run

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
NUMBERS = (0, -1, 1, 1e-320, 1e308, -0.0, 2**31, 2**63, 2**70, 10**400, 1e-12, float("nan"), float("inf"), 0.5, 1e18)
TEXTS = ("", "\x00", "\x1b[31m", "\ud800", "\u202e", "x" * 5000, "nan", "tests/../../x::y", "[", "%s{}", "2026-02-30")


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, as the keys that lead there."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def deep(levels: int) -> object:
    found: object = 0
    for _ in range(levels):
        found = [found]
    return found


def other(value: object, rng: random.Random) -> object:
    """Something else in its place."""
    if isinstance(value, bool) or value is None:
        return rng.choice((None, True, False, 0, "true", [], {}))
    if isinstance(value, (int, float)) and rng.random() < 0.8:
        return rng.choice((*NUMBERS, value * 10 ** rng.randint(-20, 20), -value, str(value)))
    if isinstance(value, str) and rng.random() < 0.8:
        return rng.choice((*TEXTS, value + value, value[:-1], value.upper(), 7))
    if isinstance(value, list) and rng.random() < 0.8:
        return rng.choice(([], value * 3, value[:1], value[::-1], [value], [None], value * 300))
    if isinstance(value, dict) and rng.random() < 0.5:
        return rng.choice(({}, [value], {**value, "extra": value}, list(value)))
    return rng.choice((None, [], {}, "", 0, deep(200), deep(5000), "x" * 100_000))


def mutated(document: Any, rng: random.Random) -> Any:
    """The document with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(list(places(document)))
        if not path:
            continue
        *above, key = path
        holder = document
        for step in above:
            holder = holder[step]
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice((*TEXTS, key + "s", key.upper()))] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 3:
                there = rng.choice(list(places(document)))
                found = document
                for step in there:
                    found = found[step]
                holder[key] = copy.deepcopy(found)
            case _:
                holder[key] = other(holder[key], rng)
    return document


def written(document: Any, rng: random.Random) -> bytes:
    """Its bytes; now and then they are damaged themselves."""
    try:
        raw = json.dumps(mutated(document, rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except RecursionError:
        raw = b"[" * 100_000
    if rng.random() < 0.85:
        return raw
    place = rng.randrange(len(raw) + 1)
    before, after = raw[:place], raw[place:]
    return rng.choice(
        (
            before,
            before + rng.randbytes(1) + after[1:],
            b"\xef\xbb\xbf" + raw,
            raw.decode("utf-8", "replace").encode("utf-16"),
            raw + raw,
            before + after[:50] * 3 + after,
            before + bytes(rng.randrange(1, 100)) + after,
            *(b"", b"\n", b"null", b"[]", b"{}", b"7", b'"x"', b"{" * 50_000),
        )
    )


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
    return code == 4 and (not said.startswith("gpuperf: error: ") or ".json" not in said)


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
            print(f"{command}: {dict(counted.most_common())}, wrong: {sum(map(len, failures.values()))}", flush=True)
            for what, of in list(failures.items())[:8]:
                print(f"    seeds {of[:5]}, {len(of)} in all:\n        " + what.replace("\n", "\n        "), flush=True)


if __name__ == "__main__":
    run()

"""How the reader of baselines bears mutations, and what reading large ones costs.

python benchmarks/results_files.py --mutations 100000 [--seed N]
python benchmarks/results_files.py --curve
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pytest_gpuperf.errors import FileError
from pytest_gpuperf.records.files import read_baseline, write_baseline
from pytest_gpuperf.records.model import Accepted, Baseline, Device, Environment, Series, Session, Waiver

TOKENS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-1", "0", "-0.0", "1e-999", "9" * 30, "9" * 5000,
    "0." + "9" * 400,
    "null", "true", "false", '""', '"x"', '"1.5 ms"', "[]", "{}", "[" * 3000, '{"a":' * 3000, "[" * 200000,
    '"\\ud800"', '"\\u003a"', "\\", "\x00", "\ufeff", "//", "'", ",", ":", "}", "]", '"version": 3,', '"id": "s1",',
    '"format": "gpuperf-run",', '"unit": "ms",', '"count": 7,', "1e6", "1000001.0", "2", "1.0", "s0", "2026-02-30",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2, 17, 2**63, 2**64, 2**80, -0.5, 0.0, 1e-320, 1e6, 1e300, "", "x", "s0", "s1", "ms",
    "é", [], {},
    [0.1], {"a": 1}, [[]], [0.1] * 17, "x" * 5000, "2026-02-30T00:00:00Z", "2026-01-01T00:00:00Z",
    "gpuperf-run", "measured",
)  # fmt: skip


def a_baseline(cases: int, sessions: int, seed: int = 1) -> Baseline:
    """Plausible figures."""
    draw = random.Random(seed)
    ids = [f"{day:08x}-{draw.getrandbits(32):08x}" for day in range(sessions)]

    def medians(level: float) -> tuple[float, ...]:
        return tuple(float(f"{level * draw.gauss(1, 0.01):.6g}") for _ in range(16))

    return Baseline(
        provenance="measured",
        environment=Environment(
            device=Device(kind="cuda", name="Tesla T4", memory=16 * 2**30, capability="7.5", power_limit=70.0),
            software={"driver": "595.71", "torch": "2.15.0"},
        ),
        sessions=tuple(
            Session(id=s, time=f"2026-01-{i + 1:02}T02:00:00Z", card="c0ffee", canaries={"copy": (0.001, 0.0011)})
            for i, s in enumerate(ids)
        ),
        cases=tuple(
            Accepted(
                id=f"tests/perf/test_models.py::test_throughput[model{n}-fp16-{2 ** (n % 7)}]",
                test=f"tests/perf/test_models.py::test_throughput[model{n}-fp16-{2 ** (n % 7)}]",
                items=2 ** (n % 7),
                clock="cuda-event",
                series=tuple(
                    Series(session=s, count=96, medians=medians(10 ** draw.uniform(-5, -1)), peak_memory=2**30)
                    for s in ids
                ),
                waiver=Waiver(until="2027-01-01", reason="known") if n == 1 else None,
            )
            for n in range(cases)
        ),
    )


def mutated(raw: bytes, draw: random.Random) -> bytes:
    """One to three random changes, of the text or of the values in it."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        raw = draw.choice((_flip, _cut, _repeat, _insert, _replace_number, _truncate, _replace_value, _repeat_key))(
            raw, draw
        )
    return raw


def _flip(raw: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + bytes([draw.randrange(256)]) + raw[at + 1 :]


def _cut(raw: bytes, draw: random.Random) -> bytes:
    a = draw.randrange(len(raw) + 1)
    return raw[:a] + raw[a + draw.choice((1, 1, 2, 5, 50)) :]


def _repeat(raw: bytes, draw: random.Random) -> bytes:
    lines = raw.split(b"\n")
    at = draw.randrange(len(lines))
    return b"\n".join([*lines[:at], lines[at], *lines[at:]])


def _insert(raw: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[:at] + draw.choice(TOKENS).encode() + raw[at:]


def _replace_number(raw: bytes, draw: random.Random) -> bytes:
    starts = [i for i in range(1, len(raw)) if raw[i : i + 1].isdigit() and raw[i - 1 : i] in b" [,:-"]
    if not starts:
        return raw
    at = end = draw.choice(starts)
    while end < len(raw) and raw[end : end + 1] in b"0123456789.e-+":
        end += 1
    return raw[:at] + draw.choice(TOKENS).encode() + raw[end:]


def _truncate(raw: bytes, draw: random.Random) -> bytes:
    return raw[: draw.randrange(len(raw) + 1)]


def _replace_value(raw: bytes, draw: random.Random) -> bytes:
    """Well-formed, with one value, key or element changed."""
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    node = tree
    while isinstance(node, (dict, list)) and node:
        key = draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], (dict, list)) or not node[key] or draw.random() < 0.15:
            change = draw.randrange(4)
            if change == 0 and isinstance(node, dict):
                node[draw.choice(("extra", "id", "series", "session", ""))] = node.pop(key)
            elif change == 1:
                del node[key]
            else:
                node[key] = draw.choice(VALUES)
            break
        node = node[key]
    return json.dumps(tree, indent=draw.choice((None, 2))).encode()


def _repeat_key(raw: bytes, draw: random.Random) -> bytes:
    """A key and value put a second time into the object they stand in."""
    keys = [b'"id": "x", ', b'"session": "s", ', b'"count": 5, ', b'"items": 1, ', b'"memory": 1, ', b'"torch": "1", ']
    opened = [i + 1 for i in range(len(raw)) if raw[i : i + 1] == b"{"]
    if not opened:
        return raw
    at = draw.choice(opened)
    return raw[:at] + draw.choice(keys) + raw[at:]


def kind_of_message(what: str) -> str:
    """The first sentence without what differs from file to file."""
    sentence = re.split(r"\. (?=[A-Z])| at line | matching regex| found | got ", what, maxsplit=1)[0]
    return re.sub(r"\".*\"|'.*'|field `.*`|\$\S*|\b\d\S*", "...", sentence, flags=re.DOTALL)[:70]


def outcome(path: Path) -> str:
    """What reading ends in: "success", "FileError: ..." or, where it must never end, another error's name."""
    try:
        read_baseline(path)
    except FileError as e:
        what = str(e).removeprefix(f"{path}: ").partition(": ")[2]
        return "FileError: " + kind_of_message(what)
    except Exception as e:  # noqa: BLE001 - that is what is looked for
        return f"ESCAPED {type(e).__name__}"
    return "success"


def mutations(count: int, seed: int) -> Counter[str]:
    """The histogram of outcomes."""
    draw = random.Random(seed)
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.json"
        write_baseline(path, a_baseline(cases=3, sessions=2))
        raw = path.read_bytes()
        for _ in range(count):
            changed = mutated(raw, draw)
            path.write_bytes(changed)
            seen[outcome(path)] += 1
            if path.read_bytes() != changed:
                seen["ESCAPED the file was touched"] += 1
    return seen


_READ = """
import sys, time
from pathlib import Path
from pytest_gpuperf.records.files import read_baseline
start = time.perf_counter()
baseline = read_baseline(sys.argv[1])
seconds = time.perf_counter() - start
# Not ru_maxrss: a child inherits what its parent had reached.
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(seconds, int(peak) / 1024)
"""


def curve() -> None:
    """Time and peak memory of reading, each in a fresh process; the best of three."""
    print(f"{'cases':>7} {'file MB':>8} {'write s':>8} {'read s':>7} {'us/case':>8} {'peak MiB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.json"
        for cases in (1_000, 2_000, 5_000, 10_000, 20_000, 50_000):
            baseline = a_baseline(cases, 10)
            path.unlink(missing_ok=True)
            start = time.perf_counter()
            write_baseline(path, baseline)
            written = time.perf_counter() - start
            del baseline
            runs = [
                subprocess.run([sys.executable, "-c", _READ, str(path)], check=True, capture_output=True, text=True)
                for _ in range(3)
            ]
            figures = [tuple(float(f) for f in r.stdout.split()) for r in runs]
            seconds, peak = min(figures)
            size = path.stat().st_size / 1e6
            print(f"{cases:7} {size:8.1f} {written:8.2f} {seconds:7.3f} {seconds / cases * 1e6:8.1f} {peak:9.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--curve", action="store_true")
    options = parser.parse_args()
    escaped = False
    if options.mutations:
        start = time.perf_counter()
        seen = mutations(options.mutations, options.seed)
        print(f"seed {options.seed}, {options.mutations} mutations, {time.perf_counter() - start:.0f} s")
        for what, count in seen.most_common():
            print(f"{count:7} {what}")
        escaped = any(what.startswith("ESCAPED") for what in seen)
    if options.curve:
        curve()
    return int(escaped)


if __name__ == "__main__":
    raise SystemExit(main())

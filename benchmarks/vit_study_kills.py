"""A study's smoke scale whole, killed again and again: is a session lost, or measured twice?

python benchmarks/vit_study_kills.py --into /tmp/study --after 70,95,120

Each number is the seconds after which a life of the command is killed (SIGKILL); the last life is left alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in (folder / "raw").glob("*.json")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--after", default="70,95,120", metavar="S,...")
    parser.add_argument("--rq", default="1")
    options = parser.parse_args()
    command = [sys.executable, "-m", "pytest_gpuperf", "study", "vit", "--rq", options.rq, "--scale", "smoke"]
    command += ["--device", "cpu", "--budget", "2h", "--into", str(options.into)]
    kept: dict[str, str] = {}
    started = time.monotonic()
    for seconds in map(float, options.after.split(",")):
        life = subprocess.Popen(command)
        time.sleep(seconds)
        life.kill()
        life.wait()
        there = hashes(options.into)
        lost = [name for name, digest in kept.items() if there.get(name) != digest]
        kept = there
        print(f"killed after {seconds:g} s: {len(kept)} sessions are there; lost or changed: {lost or 'none'}")
    subprocess.run(command, check=True)
    there = hashes(options.into)
    attempts = [json.loads(line) for line in (options.into / "attempts.jsonl").read_text().splitlines()]
    times = Counter((attempt["test"], attempt["session"]) for attempt in attempts)
    cases = Counter(name.rsplit(".", 2)[0] for name in there)
    print(
        f"whole after {(time.monotonic() - started) / 60:.1f} min: {len(cases)} cases, {len(there)} sessions, "
        f"{sum(attempt['seconds'] or 0 for attempt in attempts) / 60:.1f} min of them measuring\n"
        f"lost or changed since the last kill: {[n for n, d in kept.items() if there.get(n) != d] or 'none'}\n"
        f"measured more than once: {[key for key, count in times.items() if count > 1] or 'none'}"
    )


if __name__ == "__main__":
    main()

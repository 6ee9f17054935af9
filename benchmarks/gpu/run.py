"""What a GPU shows of this project, in one shot of eight minutes: every step in a process and a limit of its own.

    python3 benchmarks/gpu/run.py --into out                      everything, in order of worth
    python3 benchmarks/gpu/run.py --into out --only certificate            some of it
    python3 benchmarks/gpu/run.py --into out --device cpu         the rehearsal, on a machine without a GPU

It needs Python with torch and pytest, no package index, no network and no git history. Packages that are missing can
be carried as wheels in one folder (--wheels). Results: one JSON file and one log a step, and `page.md`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from rows import Row, impossible, load, save, table  # noqa: E402 - found beside this file

STEPS: dict[str, int] = {  # step -> the seconds it may take; in order of worth, since time may run out
    "identity": 45,
    "certificate": 170,
    "quick": 120,
    "graph": 45,
    "gate": 140,
    "revisions": 110,
    "compiled": 140,
    "server": 70,
    "onnx": 90,
    "full": 60,
    "causes": 40,
    "parity": 100,
}
ASKED_FOR = {  # only with --only
    "baseline": 300,
    "text": 150,
    "pipelines": 120,
    "traces": 60,
    "vit": 230,
    "profiler": 50,
    "readings": 40,
    "waking": 30,
    "spin": 50,
}


def main() -> int:
    """Run the steps, and write the page whatever became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=os.environ.get("OUT"), help="folder of the results ($OUT)")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--only", help="steps, separated by commas")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to use")
    parser.add_argument("--seconds", type=float, default=470, help="begin no step after so many seconds")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.into is None:
        parser.error("--into FOLDER is needed, where OUT is not set")
    options.into.mkdir(parents=True, exist_ok=True)
    if options.step:
        return step(options.step, options.device, options.into)
    begun = time.monotonic()
    environment = prepared(options.wheels, options.into)
    names = options.only.split(",") if options.only else list(STEPS)
    for name in names:
        left = options.seconds - (time.monotonic() - begun)
        limit = min((STEPS | ASKED_FOR)[name], left)
        if limit < 8:
            save(options.into / f"{name}.json", [impossible(name, f"left out: {options.seconds:.0f} s were over")])
            continue
        started = time.monotonic()
        why = run(name, options.device, options.into, environment, limit)
        took = time.monotonic() - started
        path = options.into / f"{name}.json"
        rows = load(path) if path.exists() else []
        if why:
            rows.append(Row(name, why, word="fails"))
        save(path, rows)
        print(f"== {name}: {took:.0f} s", table(rows), sep="\n", flush=True)
    (options.into / "page.md").write_text(page(options.into, names), encoding="utf-8")
    pack(options.into)
    return 0


def prepared(wheels: Path | None, into: Path) -> dict[str, str]:
    """An environment in which this checkout is the plugin, and carried wheels are found."""
    site = Path("/tmp" if os.access("/tmp", os.W_OK) else into) / "gpuperf-site"
    if wheels is not None:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        command += ["--no-cache-dir", "--upgrade", "--target", str(site), *map(str, sorted(wheels.glob("*.whl")))]
        subprocess.run(command, check=True)
    path = [str(ROOT), str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}
    if subprocess.run([sys.executable, "-c", KNOWN], env=environment, check=False).returncode != 0:
        environment["PYTEST_PLUGINS"] = "pytest_gpuperf.plugin"  # a bare checkout has no entry point
    return environment


KNOWN = "from importlib.metadata import version; version('pytest-gpuperf')"


def run(name: str, device: str, into: Path, environment: dict[str, str], limit: float) -> str | None:
    """Run a step; why it did not end well."""
    command = [sys.executable, str(HERE / "run.py"), "--step", name, "--device", device, "--into", str(into)]
    log = into / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"took longer than {limit:.0f} s: {last(log)}"
    return None if code == 0 else f"ended with exit code {code}: {last(log)}"


def last(log: Path) -> str:
    """What a failing step said in the end."""
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])[-400:]


def step(name: str, device: str, into: Path) -> int:
    """One step, in this process. Its rows are kept as they come: a step that is stopped has shown something."""
    import causes
    import clocks
    import instrument
    import sessions
    import studies

    rows: list[Row] = []
    of_step = next(
        getattr(room, name) for room in (causes, clocks, instrument, sessions, studies) if hasattr(room, name)
    )
    for row in of_step(device, into):
        rows.append(row)
        save(into / f"{name}.json", rows)
        print(row, flush=True)
    return 0


def page(into: Path, names: list[str]) -> str:
    """All rows as one page."""
    parts = [f"## {name}\n\n{table(load(into / f'{name}.json'))}\n" for name in names]
    return "\n".join(parts)


def pack(into: Path) -> None:
    """Everything in one file, where only a few files come back from a machine."""
    with tarfile.open(into / "check.tgz", "w:gz") as archive:
        for path in sorted(into.iterdir()):
            if path.suffix in {".json", ".log", ".md", ".xml"}:
                archive.add(path, path.name)


if __name__ == "__main__":
    raise SystemExit(main())

"""Reports of Nsight Systems: `nsys` alone reads them, and exports what gpuperf reads. Several at once, none twice."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from pytest_gpuperf.errors import FileError, GpuPerfError, MissingError

REPORTS = (".nsys-rep", ".qdrep")
AT_ONCE = 4  # exports: each keeps a core busy, and holds much of its report in memory
_LOOK = 0.05  # seconds between two looks at those that run
_LAST_LINES = 3  # of what nsys printed, where it failed


def is_report(path: Path) -> bool:
    """Whether only nsys can read it."""
    return path.suffix in REPORTS


def exported_to(report: Path) -> Path:
    """Beside it, where nsys itself puts it."""
    return report.with_suffix(".sqlite")


@dataclass
class _Export:
    report: Path
    folder: Path  # what is exported appears whole, or not at all
    process: subprocess.Popen[bytes]
    started: float

    @property
    def made(self) -> Path:
        return self.folder / exported_to(self.report).name

    @property
    def log(self) -> Path:
        return self.folder / "log"


def export(reports: Sequence[Path], say: Callable[[str], None]) -> Mapping[Path, Path | GpuPerfError]:
    """Report -> its SQLite file, or why there is none. What was exported since a report was made is used again."""
    found: dict[Path, Path | GpuPerfError] = {}
    waiting: list[Path] = []
    for report in dict.fromkeys(reports):
        if _is_newer(exported_to(report), report):
            found[report] = exported_to(report)
            say(f"{report}: exported before, {exported_to(report).name} is used")
        else:
            waiting.append(report)
    nsys = shutil.which("nsys")
    if waiting and nsys is None:
        return found | {report: _missing(report) for report in waiting}
    total, running = len(waiting), list[_Export]()
    with _ended(running):
        while waiting or running:
            while waiting and len(running) < min(AT_ONCE, os.cpu_count() or 1):
                assert nsys is not None
                report = waiting.pop(0)
                try:
                    running.append(_started(nsys, report))
                except OSError as error:
                    found[report] = _unwritable(report, error)
            done = [one for one in running if one.process.poll() is not None]
            for one in done:
                running.remove(one)
                found[one.report] = result = _result(one)
                word = "failed" if isinstance(result, GpuPerfError) else "exported"
                number = total - len(waiting) - len(running)
                say(f"{one.report}: {word} in {monotonic() - one.started:.1f} s ({number} of {total})")
            if running:
                sleep(_LOOK)
    return found


def _is_newer(made: Path, report: Path) -> bool:
    try:
        return made.stat().st_mtime >= report.stat().st_mtime
    except OSError:
        return False


def _command(nsys: str, report: Path, output: Path) -> list[str]:
    return [nsys, "export", "--type=sqlite", f"--output={output}", str(report)]


def _started(nsys: str, report: Path) -> _Export:
    report.open("rb").close()  # its absence is said in the system's words, not in those of nsys
    folder = Path(tempfile.mkdtemp(prefix=f".{report.stem}-", dir=report.resolve().parent))
    command = _command(nsys, report.resolve(), folder.resolve() / exported_to(report).name)
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Export(report, folder, process, monotonic())


def _result(one: _Export) -> Path | GpuPerfError:
    target = exported_to(one.report)
    try:
        if one.process.returncode == 0 and one.made.is_file():
            return one.made.replace(target)
        words = " ".join(one.log.read_text(errors="replace").split("\n")[-_LAST_LINES - 1 :]).strip()
        command = shlex.join(_command("nsys", one.report, target))
        return FileError(
            f"{one.report}: nsys export ended with exit code {one.process.returncode} and made no file"
            f"{f': {words}' if words else ''}. Try it by hand: {command}"
        )
    except OSError as error:
        return _unwritable(one.report, error)
    finally:
        shutil.rmtree(one.folder, ignore_errors=True)


def _unwritable(report: Path, error: OSError) -> FileError:
    return FileError(
        f"{report}: it cannot be exported: {error.strerror or error}. What nsys makes of it is put beside it: give a "
        f"report that is there, in a folder that is yours, and see that nsys starts"
    )


def _missing(report: Path) -> MissingError:
    by_hand = shlex.join(_command("nsys", report, exported_to(report)))
    return MissingError(
        f"{report}: nsys is not on the PATH, and only it reads its reports. Install Nsight Systems; or, where it is "
        f"installed, type: {by_hand}; and give the .sqlite file"
    )


@contextmanager
def _ended(running: list[_Export]) -> Generator[None]:
    """Whatever happens, no export outlives this."""
    try:
        yield
    finally:
        for one in running:
            one.process.kill()
            one.process.wait()
            shutil.rmtree(one.folder, ignore_errors=True)

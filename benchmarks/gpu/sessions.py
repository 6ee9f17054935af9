"""Steps that run the product as its users do: through pytest and the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp

from rows import Row, impossible, judged

HERE = Path(__file__).resolve().parent
ROOT, PLANTED = HERE.parent.parent, HERE / "planted"
GPUPERF = (sys.executable, "-m", "pytest_gpuperf")
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
AS_USERS_DO = ("-W", "default")  # warnings of what is installed there are shown, and are no errors


def told(command: Sequence[str], *, cwd: Path = ROOT) -> tuple[int, str, float]:
    """Exit code, what it said, seconds. All of it is in the step's log, as it comes: a step may be stopped."""
    start = time.monotonic()
    print(f"$ {' '.join(command)}", flush=True)
    lines: list[str] = []
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    took = time.monotonic() - start
    print(f"-> {process.returncode} after {took:.1f} s\n", flush=True)
    return process.returncode, "".join(lines), took


def identity(device: str, into: Path) -> Iterator[Row]:
    """`gpuperf doctor` beside nvidia-smi."""
    code, said, took = told([*GPUPERF, "doctor", "--device", device])
    lacks = [line.split(None, 1)[1][:160] for line in said.splitlines() if line.startswith("LACK")]
    yield judged(f"gpuperf doctor --device {device}", f"exit code {code}, {took:.0f} s", "0", holds=code == 0)
    yield Row("what it says is lacking", "; ".join(lacks) or "nothing")
    yield Row("its conclusion", " ".join(said.strip().splitlines()[-3:])[-300:])
    if shutil.which("nvidia-smi") is None:
        yield impossible("nvidia-smi", "is not there")
        return
    fields = "name,uuid,pci.bus_id,driver_version,memory.total,compute_cap,power.limit,enforced.power.limit"
    fields += ",persistence_mode,ecc.mode.current,compute_mode,mig.mode.current,clocks.sm,clocks.max.sm,temperature.gpu"
    _, said, _ = told(["nvidia-smi", f"--query-gpu={fields}", "--format=csv"])
    yield Row("nvidia-smi", re.sub(r"GPU-[0-9a-f-]+", "GPU-...", said.strip().splitlines()[-1]))
    told(["nvidia-smi", "-q"])
    script = (
        "from pytest_gpuperf.device.choice import choose_device as c; d = c('cuda'); n = d.sensors.card\n"
        "print(d.device, d.card, {k: v for k, v in d.software.items()})\n"
        "print('NVML', n and (n.name, n.pci, n.capability, n.power_limit(), n.persistence(), n.ecc(), n.exclusive(), "
        "n.mig_enabled(), n.pcie(), n.max_pcie(), n.nvlinks(), n.ecc_errors(), n.max_sm_clock()))\n"
        "from pytest_gpuperf.device import processes\n"
        "print('processes', n and (n.processes(), processes.foreign(n), processes.own_memory(n)))\n"
    )
    if device == "cuda":
        code, said, _ = told([sys.executable, "-c", script])
        yield judged("what the plugin makes of the card", said.strip()[-700:], "exit code 0", holds=code == 0)


def certificate(device: str, into: Path) -> Iterator[Row]:
    """`gpuperf selftest` of everything but the gate, which has steps of its own here."""
    command = [*GPUPERF, "selftest", "--device", device, "--parts", "timing,evidence,memory,power", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # its progress: the log
    yield judged("exit code", str(done.returncode), "0", holds=done.returncode == 0)
    if not done.stdout:
        return
    (into / "selftest.json").write_text(done.stdout)
    for row in json.loads(done.stdout)["rows"]:
        yield Row(f"{row['part']}: {row['what']}", row["figure"], row["bar"], row["word"])


def quick(device: str, into: Path) -> Iterator[Row]:
    """The quick part of the suite, as its users run it."""
    arguments = ["-m", "quick", "tests/perf", f"--gpuperf-device={device}", "--gpuperf-budget=2", "-q"]
    yield from _suite("quick", arguments, into)


def compiled(device: str, into: Path) -> Iterator[Row]:
    """One batch through graphs and compilers."""
    which = "cudagraph and not onnx and -1"
    if device == "cuda":  # a processor's compiler takes half a minute for a model
        which = f"({which}) or (resnet50-fp32-compile and -1)"
    arguments = ["-k", which, "tests/perf", f"--gpuperf-device={device}", "--gpuperf-budget=2", "-q"]
    yield from _suite("compiled", arguments, into)


def onnx(device: str, into: Path) -> Iterator[Row]:
    """ONNX Runtime, one image at a time: which clock its calls get, and where its operators ran."""
    arguments = ["-k", "onnxruntime and not ViT and -1", "tests/perf", f"--gpuperf-device={device}"]
    yield from _suite("onnx", [*arguments, "--gpuperf-budget=2", "-q"], into)


def full(device: str, into: Path) -> Iterator[Row]:
    """A card whose memory is full: whatever a library says then is understood, and the next test can allocate."""
    for library in ("torch", "cublas", "cudnn", "onnx"):
        folder, xml = _planted("test_full.py"), into / f"full-{library}.xml"
        command = [*PYTEST, "-k", f"{library} or afterwards", f"--gpuperf-device={device}", f"--junit-xml={xml}", "-q"]
        code, _, took = told(command, cwd=folder)
        ended = list(ET.parse(xml).iter("testcase")) if xml.exists() else []
        for case in ended:
            failed, skipped = case.find("failure"), case.find("skipped")
            said = " ".join((failed.get("message") or "").split())[:400] if failed is not None else "passes"
            if skipped is not None:
                yield impossible(f"{library}: {case.get('name')}", skipped.get("message") or "skipped")
            elif case.get("name") == "test_afterwards":
                yield judged(f"{library}: the next test", said, "passes", holds=failed is None)
            else:
                holds = "OutOfMemoryError" in said
                yield judged(f"{library}: memory runs out", said, "an OutOfMemoryError", holds=holds)
        if not ended:
            yield Row(library, f"exit code {code} after {took:.0f} s", word="fails")


def _suite(name: str, arguments: Sequence[str], into: Path) -> Iterator[Row]:
    from pytest_gpuperf.records.files import read_run

    saved, xml = into / f"run-{name}.json", into / f"{name}.xml"
    code, said, took = told([*PYTEST, *AS_USERS_DO, *arguments, f"--gpuperf-save={saved}", f"--junit-xml={xml}"])
    yield judged("exit code", f"{code} after {took:.0f} s", "0", holds=code == 0)
    yield from _failures(xml)
    if not saved.exists():
        yield Row("results", f"none: {said[-300:]}", word="fails")
        return
    for case in read_run(saved).cases:
        found = case.measurements[-1]
        evidence = found.evidence
        verdict = "unknown" if evidence is None else evidence.verdict
        samples, first = sorted(found.samples), found.first_call or 0.0
        shown = (
            f"{samples[len(samples) // 2] * 1e3:.3f} ms, {found.throughput:.0f}/s, {found.clock}, ended {found.ended}, "
            f"+-{found.interval:.2%}, {len(found.samples)} spans of {found.span_calls}, first {first:.1f} s,"
            f" SM {found.sm_clock} MHz, {verdict}; {'; '.join(found.notes)}"
        )
        yield judged(case.id.rpartition("::")[2], shown, "proven, steady", holds=verdict == "proven")


def _failures(xml: Path) -> Iterator[Row]:
    if not xml.exists():
        return
    for case in ET.parse(xml).iter("testcase"):
        for kind in ("failure", "error"):
            for found in case.iter(kind):
                yield Row(f"{case.get('name')}: {kind}", (found.get("message") or found.text or "")[:400], word="fails")
        for found in case.iter("skipped"):
            yield Row(f"{case.get('name')}: skipped", (found.get("message") or "")[:200])


def text(device: str, into: Path) -> Iterator[Row]:
    """phi-2 generates, one prompt at a time; then beside a loop written by hand."""
    which = "fp16 and eager and 32in-64out-1" if device == "cuda" else "eager and 32in-16out-1"
    arguments = ["-k", which, "tests/perf/text", f"--gpuperf-device={device}", "--gpuperf-budget=5", "-q"]
    yield from _suite("text", arguments, into)
    xml = into / "stages.xml"
    command = [*PYTEST, *AS_USERS_DO, "tests/perf/text/test_stages.py", f"--gpuperf-device={device}", "-q"]
    code, _, took = told([*command, f"--junit-xml={xml}"])
    yield judged("its life in stages", f"exit code {code} after {took:.0f} s", "0", holds=code == 0)
    yield from _failures(xml)
    for shown in ET.parse(xml).iter("property") if xml.exists() else ():
        if shown.get("name") == "stages":
            yield from (Row("stage", line) for line in (shown.get("value") or "").splitlines())
    path = into / "run-text.json"
    if path.exists():
        told([*GPUPERF, "show", str(path)])
        for case in json.loads(path.read_text())["cases"]:
            found = case["measurements"][0].get("generation")
            if found:
                prefill, ttft, tpot = (found[name]["mean"] * 1e3 for name in ("prefill", "ttft", "tpot"))
                rate = found["generated_tokens"] / found["seconds"]
                figure = f"{rate:.1f} tokens/s, prefill {prefill:.2f} ms, TTFT {ttft:.2f} ms, TPOT {tpot:.2f} ms"
                yield Row("generated", f"{figure}, {found.get('energy', 'unknown')} J a token")
    size = ["--device", "cuda", "--scale", "full", "--precision", "fp16"] if device == "cuda" else []
    _, said, _ = told([sys.executable, str(HERE.parent / "text_loop.py"), "--rounds", "5", *size])
    for line in said.splitlines():
        if line.count("|") == 5 and line[2].isalpha() and not line.startswith("| figure"):
            yield Row(
                f"beside a loop by hand: {line.split('|')[1].strip()}", line.rpartition("|")[0].rpartition("|")[2]
            )


def parity(device: str, into: Path) -> Iterator[Row]:
    """Every back end and precision of one model computes what the model computes."""
    xml = into / "parity.xml"
    which = "resnet50 and not tensorrt and (not compile or compile-fp32)"  # a compiled pair takes half a minute
    code, said, took = told([*PYTEST, *AS_USERS_DO, "tests/correctness", "-k", which, "-v", f"--junit-xml={xml}"])
    summary = said.strip().splitlines()[-1] if said.strip() else ""
    yield judged("tests/correctness, resnet50", f"{summary} (exit code {code}, {took:.0f} s)", "0", holds=code == 0)
    yield from _failures(xml)


def _planted(*names: str) -> Path:
    """A folder of its own with some of the planted tests."""
    folder = Path(mkdtemp(prefix="gpuperf-check-"))
    for name in names:
        shutil.copy(PLANTED / name, folder)
    return folder


def _work(folder: Path, share: float, only: str = "") -> None:
    (folder / "share.py").write_text(f'SHARE, ONLY = {share}, "{only}"\n')


def gate(device: str, into: Path) -> Iterator[Row]:
    """A stored baseline of five processes: unchanged code passes, 3% slower fails."""
    folder = _planted("test_work.py", "work.py")
    common = [f"--gpuperf-device={device}", "--gpuperf-budget=1", "-q"]
    _work(folder, 0.0)
    baseline = folder / "baseline.json"
    code, said, took = told(
        [*GPUPERF, "calibrate", "--sessions", "5", "--into", str(baseline), "--", "test_work.py", *common], cwd=folder
    )
    yield judged("calibrate in five processes", f"exit code {code}, {took:.0f} s; {_end(said)}", "0", holds=code == 0)
    if not baseline.exists():
        return
    shutil.copy(baseline, into / "gate-baseline.json")
    told([*GPUPERF, "show", str(baseline)], cwd=folder)
    again = [*PYTEST, "test_work.py", *common, f"--gpuperf-compare={baseline}", "--gpuperf-confirm=process"]
    for what, share, wanted in (("unchanged", 0.0, 0), ("3% slower", 0.03, 1)):
        _work(folder, share)
        code, said, took = told(again, cwd=folder)
        yield judged(what, f"exit code {code}, {took:.0f} s; {_verdicts(said)}", str(wanted), holds=code == wanted)


def revisions(device: str, into: Path) -> Iterator[Row]:
    """Two revisions in turns: one of three cases is 3% slower."""
    if shutil.which("git") is None:
        yield impossible("two revisions in turns", "there is no git")
        return
    folder = _planted("test_work.py", "work.py")
    git = ["git", "-C", str(folder), "-c", "user.name=check", "-c", "user.email=check@example.com"]

    def commit(said: str) -> None:
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", said], check=True)

    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    _work(folder, 0.0)
    commit("as it was")
    _work(folder, 0.03, only="test_product")
    commit("one of three is 3% slower")
    command = [*GPUPERF, "ab", "--tests", "each", "--budget", "40", "HEAD~1", "HEAD~0", "--", "test_work.py"]
    code, said, took = told([*command, f"--gpuperf-device={device}", "--gpuperf-budget=1"], cwd=folder)
    shared = "shared GPU" in said
    yield judged(
        "one of three is 3% slower", f"exit code {code}, {took:.0f} s; {_verdicts(said)}", "1", holds=code == 1
    )
    yield judged("the two sides, taken for strangers", "yes" if shared else "no", "no", holds=not shared)


def _end(said: str) -> str:
    return " / ".join(line.strip() for line in said.strip().splitlines()[-3:])[:400]


def _verdicts(said: str) -> str:
    """The verdicts of a table, or the last lines."""
    words = r"(regressed|unchanged|inconclusive|improved|machine|environment|unstable)\b"
    lines = [line.strip() for line in said.splitlines() if re.search(r"\d.*%.*" + words, line)]
    return "; ".join(re.sub(r"\s{2,}", " ", line) for line in lines)[:700] or _end(said)


def server(device: str, into: Path) -> Iterator[Row]:
    """The torch server on the card, under load."""
    folder, xml = _planted("test_served.py"), into / "server.xml"
    arguments = [f"--gpuperf-device={device}", "--gpuperf-budget=4", "-rA", "-s", f"--junit-xml={xml}"]
    code, said, took = told([*PYTEST, *arguments], cwd=folder)
    yield judged("pytest", f"exit code {code}, {took:.0f} s", "0", holds=code == 0)
    for line in said.splitlines():
        if line.startswith(("LOAD", "LATENCY", "EVIDENCE", "INFO", "BREAKDOWN", "NOTES")):
            what, _, shown = line.partition(" ")
            yield Row(what.lower(), shown[:900])
    yield from _failures(xml)


def baseline(device: str, into: Path) -> Iterator[Row]:
    """A baseline of the quick suite in five fresh processes, and runs judged by it: one case 3% slower, then 5%."""
    path = into / "quick-baseline.json"
    suite = [*AS_USERS_DO, "-m", "quick", "tests/perf", f"--gpuperf-device={device}", "--gpuperf-budget=2"]
    code, said, took = told([*GPUPERF, "calibrate", "--sessions", "5", "--into", str(path), "--", *suite])
    yield judged("calibrate in five processes", f"exit code {code}, {took:.0f} s; {_end(said)}", "0", holds=code == 0)
    if not path.exists():
        return
    told([*GPUPERF, "show", str(path)])
    told([*GPUPERF, "ratios", str(path), "--over", "precision"])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PLANTED), *filter(None, [os.environ.get("PYTHONPATH")])])
    judging = [*PYTEST, *suite, "-q", "-p", "slower", f"--gpuperf-compare={path}", "--gpuperf-confirm=process"]
    for share in (0.03, 0.05):
        os.environ["SLOWER"] = str(share)
        code, said, took = told([*judging, f"--gpuperf-save={into / 'run-slower.json'}"])
        figure = f"exit code {code}, {took:.0f} s; {_verdicts(said)}"
        yield judged(f"the largest case, {share:.0%} slower", figure, "1", holds=code == 1)
        if code == 1:
            return

"""A suite as large as wanted, with every verdict in it, on a machine of known noise: what the page is tried on."""

from __future__ import annotations

import math
import random
from itertools import islice, product
from pathlib import Path

from pytest_gpuperf.comparison.compare import compare
from pytest_gpuperf.comparison.judged import JudgedRun
from pytest_gpuperf.records.model import (
    Accepted,
    Baseline,
    Case,
    Device,
    Environment,
    Evidence,
    Kernel,
    Measurement,
    Profile,
    Run,
    Scope,
    Series,
    Session,
    Witness,
)
from pytest_gpuperf.reports.html.page import Subject
from pytest_gpuperf.reports.html.rendering import write_html

MODELS = ("resnet50", "vit_b_16", "ViT-B-32", "efficientnet_b0", "convnext_tiny", "swin_t", "mobilenet_v3")
WAYS = (("fp32", "eager"), ("autocast_fp16", "eager"), ("fp32", "torchscript"), ("fp16", "cudagraph"))
BATCHES = (1, 8, 16, 32)
SESSIONS = 5
KERNELS = ("implicit_gemm_fprop", "bn_fw_inf", "vectorized_elementwise", "cutlass_gemm_f16", "softmax_warp", "copy_")
WHERE = Environment(
    device=Device(kind="cuda", name="Tesla T4", memory=15 * 2**30, capability="7.5", power_limit=70.0),
    software={"torch": "2.15.0", "driver": "595.71", "cuda": "13.0", "python": "3.11.9"},
)
WITNESSES = (
    Witness(name="kernels", rating="proves", figure="214 kernels ran in one call, 96% of its time"),
    Witness(name="parameters", rating="supports", figure="97.7 MiB on cuda:0"),
    Witness(name="outputs", rating="supports", figure="on cuda:0"),
    Witness(name="power", rating="supports", figure="68.1 W, 12.3 W idle"),
    Witness(name="utilisation", rating="says nothing", figure="97%"),
)
DOUBT = Evidence(
    verdict="unknown",
    witnesses=(Witness(name="kernels", rating="says nothing", figure="the profiler sees nothing here"),),
    diagnosis="0% utilisation: the processor waits for another process",
)


def a_suite(
    cases: int, *, noise: float = 0.004, seed: int = 1, profiles: bool = True, sessions: int = SESSIONS
) -> tuple[Run, Baseline]:
    """So many cases: of every 40, one is 12% slower, one 4%, one faster, one too noisy to tell, one new."""
    drawn = random.Random(seed)
    grid = islice(product(range(10_000), MODELS, WAYS, BATCHES), cases)
    measured: list[Case] = []
    accepted: list[Accepted] = []
    for i, (group, model, (precision, backend), batch) in enumerate(grid):
        size = MODELS.index(model) + 1
        level = 1e-3 * size * (2 + batch) / (1.0 if precision == "fp32" else 2.4) * (0.8 if backend != "eager" else 1)
        factor, own = {5: (1.12, noise), 12: (1.04, noise), 19: (0.9, noise), 26: (1.02, 0.06)}.get(i % 40, (1, noise))
        file = f"tests/perf/test_vision{f'_{group:02}' if group else ''}.py"
        name = f"{file}::test_model[{model}-{precision}-{backend}-{batch}]"
        known = {"model": model, "precision": precision, "backend": backend, "batch": str(batch)}

        def times(count: int, centre: float, own: float = own) -> tuple[float, ...]:
            here = centre * math.exp(drawn.gauss(0, own))
            return tuple(here * math.exp(drawn.gauss(0, 0.004)) for _ in range(count))

        memory = int(2**20 * (300 + 40 * size + 12 * batch))
        slower = factor > 1.1
        newest = 3 if i % 40 in {5, 12, 26} else 1
        measured.append(
            Case(
                id=name,
                test=name,
                line=12,
                parameters=known,
                measurements=tuple(
                    _measurement(f"now{n}", batch, times, level * factor, memory, doubtful=i % 40 == 30)
                    for n in range(newest)
                ),
                profile=_profile("now0", level * factor, extra=slower) if profiles else None,
            )
        )
        if i % 40 != 33:
            series = tuple(
                Series(session=f"base{n}", count=64, medians=times(16, level), peak_memory=memory, sm_clock=1590)
                for n in range(sessions)
            )
            kept = _profile("base0", level, extra=False) if profiles else None
            accepted.append(
                Accepted(
                    id=name, test=name, parameters=known, items=batch, clock="cuda-event", series=series, profile=kept
                )
            )
    headers = tuple(_session(f"base{n}", n) for n in range(sessions))
    fresh = tuple(_session(f"now{n}", 27) for n in range(3))
    baseline = Baseline(provenance="measured", environment=WHERE, sessions=headers, cases=tuple(accepted))
    run = Run(environment=WHERE, sessions=fresh, scope=Scope(paths=(".",)), cases=tuple(measured))
    return run, baseline


def written(folder: Path, run: Run, baseline: Baseline | None = None, name: str = "baselines/tesla-t4.json") -> Path:
    """The page of a run."""
    judged = baseline and JudgedRun(run, compare(run, baseline, name=name))
    return write_html(folder, Subject(run=run, judged=judged, baseline=baseline))


def _session(name: str, day: int) -> Session:
    return Session(id=name, time=f"2026-10-{day + 1:02}T02:00:00Z", revision="4f2a9c1", card="c0ffee12")


def _measurement(session, items, times, level, memory, *, doubtful):
    samples = times(64, level)
    latencies = tuple(t * 1.03 for t in times(140, level))
    return Measurement(
        session=session,
        items=items,
        clock="cuda-event",
        blocks=tuple(samples[i : i + 4] for i in range(0, 64, 4)),
        walls=tuple(s * 1.01 for s in samples[::4]),
        span_calls=4,
        ended="steady",
        interval=0.002,
        latencies=latencies,
        first_call=level * 80,
        warmup_calls=12,
        warmup_seconds=level * 12,
        peak_memory=memory,
        memory_source="torch allocator",
        energy=level * 62 / items,
        temperature=61,
        sm_clock=1590,
        flops=int(4e9 * items),
        evidence=DOUBT if doubtful else Evidence(verdict="proven", witnesses=WITNESSES),
    )


def _profile(session: str, level: float, *, extra: bool) -> Profile:
    kernels = [
        Kernel(name=f"{name}_{n}", count=10 + n, seconds=level / (n + 4))
        for n, name in enumerate(KERNELS[: -1 if not extra else None])
    ]
    if extra:
        kernels.append(Kernel(name="copy_", within="contiguous", count=53, seconds=level * 0.11))
    launches = sum(k.count for k in kernels)
    return Profile(
        session=session, unit="kernel", launches=launches, busy=level * 0.95, idle=level * 0.05, kernels=tuple(kernels)
    )

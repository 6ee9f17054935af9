"""One llama.cpp server, the same prompts, three load generators in turns: ours, GuideLLM, AIPerf.

python benchmarks/text_serving_agreement.py --guidellm PATH/TO/guidellm --aiperf PATH/TO/aiperf --rounds 5

Both come from PyPI, each into a virtual environment of its own. Ratios are ours over theirs, by their own convention,
in the same round; ours is read off stored streams. Every run has prompts of its own: the server keeps those that it has
seen. What a request costs its client is the slope between few and many requests, of processor time of all its
processes: their start is not in it. On few cores a client that uses much slows the server that it measures, so each
tool's pause between tokens stands beside the server's own, by its metrics, in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median

from pytest_gpuperf.serving.exchange import fetched
from pytest_gpuperf.serving.server import Server
from pytest_gpuperf.text.served.byte_tokens import write_tokeniser
from pytest_gpuperf.text.served.llama_cpp import start_llama_cpp
from pytest_gpuperf.text.served.load_text import TextPlan, load_text_server
from pytest_gpuperf.text.served.prompts import drawn
from pytest_gpuperf.text.served.tiny_gguf import Size, write_tiny

TOKENS, WORDS = 32, 16
FEW, MANY = 20, 100
_seeds = count(os.getpid() * 1000)
Figures = dict[str, float]  # seconds in the middle; tokens/s; processor seconds


def ours(server: Server, streams: int, requests: int) -> dict[str, Figures]:
    """One window of so many answers, read by all conventions. In a process of its own, so that its cost is known."""
    order = json.dumps(
        {"url": server.url, "model": server.model, "prompts": new_prompts(), "requests": requests, "streams": streams}
    )
    done = subprocess.run([sys.executable, __file__, "--ours"], input=order, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _ours() -> None:
    order = json.loads(sys.stdin.read())
    server = Server(name="llama.cpp", kind="openai", url=order["url"], model=order["model"], path="/v1")
    plan = TextPlan(
        prompts=tuple(order["prompts"]),
        max_new_tokens=TOKENS,
        concurrency=order["streams"],
        requests=order["requests"] // 3,
        window_seconds=0.0,
        budget=0.0,
    )
    load = load_text_server(server, plan).load
    found: dict[str, Figures] = {}
    for name in ("guidellm", "aiperf"):
        figures = load.figures(name)
        found[name] = {
            "ttft": figures.ttft.p50,
            "itl": figures.itl.p50,
            "itl mean": figures.itl.mean,
            "e2e": figures.e2e.p50,
            "tokens/s": load.tokens_per_second,
            "tokens": figures.generated_tokens / figures.answers,
        }
    print(json.dumps(found))


def fresh(folder: str) -> Path:
    """Prompts that nobody has sent yet, in a file."""
    file = Path(folder) / "prompts.jsonl"
    file.write_text("".join(json.dumps({"text": prompt}) + "\n" for prompt in new_prompts()))
    return file


def new_prompts() -> list[str]:
    """Prompts that nobody has sent yet."""
    return drawn(2 * MANY, WORDS, seed=next(_seeds))


def guidellm(command: str, server: Server, tokeniser: Path, streams: int, requests: int) -> Figures:
    """As its own report has them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        backend = f"kind=openai_http,target=http://{server.url},model={server.model}"
        arguments = [
            *("run", "--backend", f"{backend},request_format=/v1/chat/completions,max_tokens={TOKENS}"),
            *("--profile", f"kind=concurrent,streams={streams}", "--constraint", f"kind=max_requests,count={requests}"),
            *("--data", f"kind=json_file,path={fresh(folder)}", "--tokenizer", f"kind=hf_auto,model={tokeniser}"),
            *("--output", f"kind=json,path={out}", "--disable-console"),
        ]
        _run(command, arguments)
        metrics = json.loads(out.read_text())["benchmarks"][0]["metrics"]

    def middle(name: str) -> float:
        return metrics[name]["successful"]["median"]

    return {
        "ttft": middle("time_to_first_token_ms") / 1e3,
        "itl": middle("inter_token_latency_ms") / 1e3,
        "itl mean": metrics["inter_token_latency_ms"]["successful"]["mean"] / 1e3,
        "e2e": middle("request_latency"),
        "tokens/s": metrics["output_tokens_per_second"]["successful"]["mean"],
        "tokens": metrics["output_token_count"]["successful"]["mean"],
    }


def aiperf(command: str, server: Server, tokeniser: Path, streams: int, requests: int) -> Figures:
    """As its own report has them."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            *("profile", "--model", server.model, "--url", f"http://{server.url}", "--endpoint-type", "chat"),
            *("--streaming", "--concurrency", str(streams), "--request-count", str(requests)),
            *(
                "--input-file",
                str(fresh(folder)),
                "--custom-dataset-type",
                "single_turn",
                "--tokenizer",
                str(tokeniser),
            ),
            *("--use-server-token-count", "--extra-inputs", f"max_tokens:{TOKENS}"),
            *("--artifact-dir", folder, "--ui", "none"),
        ]
        _run(command, arguments)
        found = json.loads((Path(folder) / "profile_export_aiperf.json").read_text())
    return {
        "ttft": found["time_to_first_token"]["p50"] / 1e3,
        "itl": found["inter_token_latency"]["p50"] / 1e3,
        "itl mean": found["inter_token_latency"]["avg"] / 1e3,
        "e2e": found["request_latency"]["p50"] / 1e3,
        "tokens/s": found["output_token_throughput"]["avg"],
        "tokens": found["output_sequence_length"]["avg"],
    }


def _run(command: str, arguments: list[str]) -> None:
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


def counted(server: Server) -> tuple[float, float]:
    """Seconds and tokens that the server has generated, by its own count, which has the first token of each answer."""
    text = fetched(f"http://{server.url}/metrics", 10.0).decode()
    found = dict(line.split() for line in text.splitlines() if line.startswith("llamacpp:"))
    return float(found["llamacpp:tokens_predicted_seconds_total"]), float(found["llamacpp:tokens_predicted_total"])


def costing(do: Callable[[], object]) -> tuple[object, float]:
    """What it gave, and the processor seconds of the processes that it started."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    given = do()
    return given, spent() - before


@contextmanager
def serving(size: Size, streams: int):
    """A server, and its tokeniser in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        tokeniser = where / "tokeniser"
        tokeniser.mkdir()
        write_tokeniser(tokeniser, 259, {"unk_token": 0, "bos_token": 1, "eos_token": 2})
        (tokeniser / "config.json").write_text('{"model_type": "llama", "vocab_size": 259}')
        server = start_llama_cpp(write_tiny(where / "model.gguf", size), folder=where, parallel=streams)
        try:
            yield server, tokeniser
        finally:
            server.stop()


def report(ratios: dict[tuple[str, str], list[float]], beside: dict[str, list[float]], costs: dict[str, list[float]]):
    """Print what the rounds showed."""
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for (name, figure), values in ratios.items():
        print(f"{name:10} {figure:10} ours / theirs {median(values):.3f}  [{min(values):.3f}, {max(values):.3f}]")
    for name, values in beside.items():
        print(f"{name:10} pause between tokens / the server's own, in the same run {median(values):.3f}")
    for name in beside:
        slopes = [(b - a) / (MANY - FEW) for a, b in zip(costs[f"{name} {FEW}"], costs[f"{name} {MANY}"], strict=True)]
        print(f"{name:10} processor time a request {1e3 * median(slopes):.2f} ms")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--guidellm")
    parser.add_argument("--aiperf")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=1, help="answers in flight")
    parser.add_argument("--width", type=int, default=256, help="of the model: a wider one takes longer for a token")
    parser.add_argument("--blocks", type=int, default=4)
    options = parser.parse_args()
    if options.ours:
        _ours()
        return
    tools = {name: (run, getattr(options, name)) for name, run in (("guidellm", guidellm), ("aiperf", aiperf))}
    tools = {name: pair for name, pair in tools.items() if pair[1]}
    ratios: dict[tuple[str, str], list[float]] = {}
    costs: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}  # a pause between tokens over the server's own
    with serving(Size(options.width, options.blocks, 4), options.streams) as (server, tokeniser):
        for number in range(options.rounds):
            names = ["ours", *tools] if number % 2 == 0 else [*reversed(tools), "ours"]
            many: dict[str, object] = {}
            for name in names:
                for requests in (FEW, MANY):
                    before = counted(server)
                    if name == "ours":
                        given, cost = costing(lambda n=requests: ours(server, options.streams, n))
                    else:
                        run, command = tools[name]
                        given, cost = costing(
                            lambda r=run, c=command, n=requests: r(c, server, tokeniser, options.streams, n)
                        )
                    costs.setdefault(f"{name} {requests}", []).append(cost)
                many[name] = given
                spent, tokens = (after - then for after, then in zip(counted(server), before, strict=True))
                own = spent / (tokens * (TOKENS - 1) / TOKENS)
                shown = given["guidellm"] if name == "ours" else given
                beside.setdefault(name, []).append(shown["itl mean"] / own)
            for name in tools:
                for figure, value in many[name].items():
                    ratios.setdefault((name, figure), []).append(many["ours"][name][figure] / value)
            print(f"round {number + 1}: {json.dumps(many)}", flush=True)
    report(ratios, beside, costs)


if __name__ == "__main__":
    main()

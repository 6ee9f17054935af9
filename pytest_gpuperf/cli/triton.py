"""``gpuperf triton``: a Triton server for this user, and model repositories for any."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_gpuperf.cli.command import Command


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `gpuperf triton`."""
    parser.set_defaults(what=_say)
    subparsers = parser.add_subparsers(metavar="WHAT")
    install = subparsers.add_parser(
        "install", help="put a server in this user's cache (55 MB), without touching this environment"
    )
    install.set_defaults(what=_install)
    repository = subparsers.add_parser("model-repo", help="write a model repository from a workload")
    repository.set_defaults(what=_repository)
    repository.add_argument("workload", metavar="WORKLOAD", help="a model's name, as `gpuperf matrix` lists them")
    repository.add_argument("--into", required=True, metavar="DIR", help="the model repository")
    repository.add_argument("--runtime", choices=("onnx", "torch"), default="onnx", help="what runs it (default: onnx)")
    repository.add_argument(
        "--backend",
        choices=("auto", "python", "onnxruntime"),
        default="auto",
        help="Triton's back end (default, auto: onnxruntime for onnx where the server found here has it, else python)",
    )
    repository.add_argument("--precision", default="fp32", metavar="NAME", help="default: fp32")
    repository.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, or cuda:0,cuda:1 for several")
    repository.add_argument("--instances", type=int, default=1, metavar="N", help="on each device (default: 1)")
    repository.add_argument("--max-batch", type=int, default=32, metavar="N", help="default: 32")
    repository.add_argument("--no-batching", action="store_true", help="run every request by itself")
    repository.add_argument("--queue-delay", type=float, default=10.0, metavar="MS", help="milliseconds (default: 10)")
    repository.add_argument("--preferred", default="", metavar="N,N", help="batches to form (default: powers of two)")
    repository.add_argument("--cuda-graphs", action="store_true", help="ask for them, and say whether that acts")
    repository.add_argument("--scale", choices=("full", "smoke"), default="full", help="size of the model")
    repository.add_argument("--pretrained", action="store_true", help="with pretrained weights")


def run(options: Namespace) -> int:
    """Run the subcommand; without one, print which server there is."""
    code: int = options.what(options)
    return code


def _say(_: Namespace) -> int:
    from pytest_gpuperf.serving import triton

    found = triton.find()
    print(f"{found} (back ends: {', '.join(sorted(found.backends))})")
    return 0


def _install(_: Namespace) -> int:
    from pytest_gpuperf.serving import install

    where = install.folder()
    new = install.install(where)
    print(f"Triton {install.SERVER_VERSION} {'is now' if new else 'was already'} in {where}")
    return 0


def _repository(options: Namespace) -> int:
    from importlib import util

    from pytest_gpuperf.errors import MissingError

    if util.find_spec("torch") is None:
        raise MissingError("A workload is torch's. Install it with: pip install 'pytest-gpuperf[suite,onnx]'")
    from pytest_gpuperf.models import load
    from pytest_gpuperf.serving.deployment import Deployment
    from pytest_gpuperf.serving.model_repository import write

    deployment = Deployment(
        runtime=options.runtime,
        precision=options.precision,
        devices=_devices(options.device),
        instances=options.instances,
        max_batch=options.max_batch,
        batching=not options.no_batching,
        preferred_batches=_numbers(options.preferred),
        queue_delay=options.queue_delay / 1000,
        cuda_graphs=options.cuda_graphs,
    )
    workload = load(options.workload, options.scale, pretrained=options.pretrained)
    written = write(workload, deployment, Path(options.into), _backends(options.backend))
    print(f"{written.folder / written.model}: back end {written.backend}, on {', '.join(deployment.devices)}")
    if options.cuda_graphs:
        print(f"CUDA graphs: {written.cuda_graphs}")
    print(f"Serve it with: {_by_hand(written.folder)}")
    return 0


def _by_hand(repository: Path) -> str:
    from pytest_gpuperf.errors import MissingError
    from pytest_gpuperf.serving import triton

    try:
        return triton.find().by_hand(repository)
    except MissingError:  # then it is for another machine
        return triton.by_name(repository)


def _backends(wanted: str) -> frozenset[str]:
    from pytest_gpuperf.errors import MissingError
    from pytest_gpuperf.serving import triton

    if wanted != "auto":
        return frozenset({wanted})
    try:
        return triton.find().backends
    except MissingError:  # the repository may be for another machine; every Triton has this one
        return frozenset({"python"})


def _devices(text: str) -> tuple[str, ...]:
    from pytest_gpuperf.device.choice import choose_device

    if text != "auto":
        return tuple(part.strip() for part in text.split(","))
    index = choose_device("auto").index
    return ("cpu",) if index is None else (f"cuda:{index}",)


def _numbers(text: str) -> tuple[int, ...]:
    from pytest_gpuperf.errors import UsageError

    try:
        return tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise UsageError(f"--preferred: {text!r} is no list of whole numbers. Write it like 4,8,16.") from None


TRITON = Command("triton", "install a Triton server, or write a model repository for one", add_arguments, run)

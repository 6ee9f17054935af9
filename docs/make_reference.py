"""Writes docs/reference.md from the code: every public name, its fields with their comments, its methods.

python docs/make_reference.py
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest_gpuperf

PAGE = Path(__file__).with_name("reference.md")
FIXTURES = Path(__file__).with_name("fixtures.md").read_text(encoding="utf-8")
GROUPS = {
    "What a fixture gives": (
        "GpuPerf",
        "GpuPerfLoad",
        "GpuPerfPipeline",
        "GpuPerfText",
        "GpuPerfTextLoad",
        "CudaTimer",
        "Gpu",
        "GpuPower",
        "ParityCheck",
        "ServerFactory",
        "TextServerFactory",
    ),
    "What is measured": (
        "Measurement",
        "Latency",
        "Summary",
        "Evidence",
        "Witness",
        "Span",
        "PowerWindow",
        "Parity",
        "Load",
        "PipelineFigures",
        "StageFigures",
        "QueueFigures",
        "CompileCost",
        "Generation",
        "PromptFigures",
        "TextLoad",
        "Late",
        "TextFigures",
        "AnswerStream",
        "Stages",
        "Stage",
        "Held",
    ),
    "The rest": ("PipelineStage", "ImagePipeline", "Server", "Device"),
}
FUNCTIONS = ("image_pipeline", "run_pipeline", "settings_of")


def page() -> str:
    """The whole page."""
    parts = ["# Fixtures and results", "", FIXTURES.rstrip(), ""]
    parts += ["Everything below can be imported from `pytest_gpuperf`; nothing else is promised to stay as it is.", ""]
    for title, names in GROUPS.items():
        parts += [f"## {title}", ""]
        for name in names:
            parts += [*_class(getattr(pytest_gpuperf, name)), ""]
    for name in FUNCTIONS:
        parts += [*_function(getattr(pytest_gpuperf, name)), ""]
    parts += ["## Errors", "", *_errors(), "", "`KiB`, `MiB`, `GiB`: bytes.", ""]
    return "\n".join(parts)


def _function(function: Callable[..., object]) -> Iterator[str]:
    yield f"### {function.__name__}"
    yield ""
    yield " ".join((inspect.getdoc(function) or "").replace("``", "`").split())


def _class(cls: type) -> Iterator[str]:
    yield f"### {cls.__name__}"
    yield ""
    yield " ".join((inspect.getdoc(cls) or "").split())
    source = Path(inspect.getsourcefile(cls) or "").read_text(encoding="utf-8")
    lines = source.splitlines()
    node = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    rows = [row for part in node.body if (row := _row(part, lines))]
    if rows:
        yield ""
        yield "| name | what it is |"
        yield "|---|---|"
        yield from rows


def _row(part: ast.stmt, lines: list[str]) -> str | None:
    """A line of the table, for what is public."""
    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and not part.target.id.startswith("_"):
        comment = lines[(part.end_lineno or part.lineno) - 1].partition("  # ")[2]
        return _cells(f"{part.target.id}: {_type(part.annotation)}", comment)
    if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
        is_property = any(isinstance(d, ast.Name) and d.id == "property" for d in part.decorator_list)
        returns = "" if part.returns is None else f" -> {_type(part.returns)}"
        name = f"{part.name}{': ' + returns[4:] if is_property else _signature(part) + returns}"
        return _cells(name, ast.get_docstring(part) or "")
    if isinstance(part, ast.FunctionDef) and part.name == "__call__":
        returns = "" if part.returns is None else f" -> {_type(part.returns)}"
        return _cells(f"(call){_signature(part)}{returns}", ast.get_docstring(part) or "")
    return None


def _type(node: ast.expr) -> str:
    """The annotation without what only the decoder reads."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Annotated":
        assert isinstance(node.slice, ast.Tuple)
        return ast.unparse(node.slice.elts[0])
    if isinstance(node, ast.BinOp):
        return f"{_type(node.left)} | {_type(node.right)}"
    return ast.unparse(node)


def _signature(function: ast.FunctionDef) -> str:
    own = ast.unparse(function.args)
    return f"({own.removeprefix('self').removeprefix(', ')})"


def _cells(name: str, text: str) -> str:
    text = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    return f"| `{name.replace('|', chr(92) + '|')}` | {text} |"


def _errors() -> Iterator[str]:
    document = inspect.getdoc(importlib.import_module("pytest_gpuperf.errors")) or ""
    yield "```"
    yield from document.splitlines()[2:-2]
    yield "```"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

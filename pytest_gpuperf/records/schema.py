"""The published JSON Schema of the files that others read, made from the records.

When they changed: ``python -c "from pytest_gpuperf.records.schema import publish; publish()"``
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from pytest_gpuperf.records.envelope import BaselineFile, RunFile
from pytest_gpuperf.records.trace_analysis import TraceAnalysis

PUBLISHED = Path(__file__).parent / "schemas"
FILES: dict[str, type[msgspec.Struct]] = {
    "run.schema.json": RunFile,
    "baseline.schema.json": BaselineFile,
    "trace-analysis.schema.json": TraceAnalysis,
}


def schema_of(file: type[msgspec.Struct]) -> str:
    """The text of its schema."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(file)}
    return json.dumps(schema, indent=2) + "\n"


def publish(folder: Path = PUBLISHED) -> None:
    """Write the schemas that are shipped with the package."""
    folder.mkdir(exist_ok=True)
    for name, file in FILES.items():
        (folder / name).write_text(schema_of(file), encoding="utf-8")

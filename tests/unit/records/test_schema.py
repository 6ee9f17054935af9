"""The schemas that are shipped say what the reader takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from examples import a_baseline, a_run

from pytest_gpuperf.records.files import write_baseline, write_run
from pytest_gpuperf.records.schema import FILES, PUBLISHED, publish, schema_of


@pytest.mark.parametrize("name", FILES)
def test_the_published_schema_is_of_today(name: str) -> None:
    assert (PUBLISHED / name).read_text(encoding="utf-8") == schema_of(FILES[name]), (
        "Publish it again, as the docstring of pytest_gpuperf/records/schema.py says"
    )


def test_publishing(tmp_path: Path) -> None:
    publish(tmp_path / "schemas")
    assert {p.name: p.read_bytes() for p in (tmp_path / "schemas").iterdir()} == {
        name: (PUBLISHED / name).read_bytes() for name in FILES
    }


def validate(path: Path, kind: str, **changes: object) -> None:
    schema = json.loads((PUBLISHED / f"{kind}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    content: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(content | changes, schema)


def test_real_files_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_baseline(path, a_baseline(0, 1))
    validate(path, "baseline")
    validate(path, "baseline", version=1)
    for changes in ({"version": 4}, {"extra": 1}, {"sessions": [{"id": "s0", "time": "yesterday"}]}, {"cases": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            validate(path, "baseline", **changes)
    path.unlink()
    write_run(path, a_run(0, 1))
    validate(path, "run")
    with pytest.raises(jsonschema.ValidationError):
        validate(path, "baseline")

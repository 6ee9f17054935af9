"""The page as one file. Its content security policy lets nothing run or load but what is written into it here."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.records.files import write_report
from pytest_gpuperf.reports.html.front import front_of
from pytest_gpuperf.reports.html.page import Subject, page_of
from pytest_gpuperf.reports.tables import visible

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

NAME = "index.html"
SCRIPTS = (  # in this order: each uses what stands above it
    "units.js",
    "data.js",
    "elements.js",
    "axes.js",
    "lines.js",
    "strips.js",
    "overview.js",
    "details.js",
    "table.js",
    "charts.js",
    "theme.js",
    "page.js",
)
_PARTS = re.compile(r"(?<=[/:\[\-_,.])(?=\w)")
_IN_SCRIPT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})  # nothing may end the element


def require_jinja2() -> None:
    """Refuse before the measuring, not after it, where Jinja is missing."""
    try:
        import_module("jinja2")
    except ImportError as error:
        raise UsageError(
            f"The HTML report cannot be written: {error}. Install it with: pip install 'pytest-gpuperf[report]'"
        ) from None


def write_html(folder: Path, subject: Subject) -> Path:
    """Write the page into a folder that is made where it is missing."""
    path = folder / NAME
    write_report(path, render_html(subject))
    return path


def render_html(subject: Subject) -> str:
    """The whole document."""
    require_jinja2()
    style = asset("page.css")
    script = script_of(SCRIPTS)
    return template("page.html.jinja").render(
        front=front_of(subject),
        data=embedded(msgspec.json.encode(page_of(subject)).decode()),
        style=style,
        script=script,
        policy=policy_of(style, script),
    )


def script_of(names: Iterable[str]) -> str:
    """The page's one script."""
    return "(function () {\n'use strict';\n" + "\n".join(map(asset, names)) + "\n})();"


def embedded(json: str) -> str:
    """JSON that stays inside its script element."""
    return json.translate(_IN_SCRIPT)


def policy_of(style: str, script: str | None = None) -> str:
    """What a page may do: look as it does, and run its one script."""
    runs = "" if script is None else f"script-src {hashed(script)}; "
    return f"default-src 'none'; {runs}style-src {hashed(style)}; img-src data:; base-uri 'none'; form-action 'none'"


def template(name: str) -> jinja2.Template:
    import jinja2  # noqa: PLC0415 - an extra

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"visible": visible, "breakable": _breakable}
    return environment.from_string(asset(name))


def _breakable(name: str) -> Markup:
    """A long name may be broken after what separates its parts, and is still one name when it is copied."""
    from markupsafe import Markup, escape  # noqa: PLC0415 - comes with jinja2

    return Markup("<wbr>").join(escape(part) for part in _PARTS.split(visible(name)))


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def asset(name: str) -> str:
    return files("pytest_gpuperf.reports.html").joinpath("assets", name).read_text(encoding="utf-8")

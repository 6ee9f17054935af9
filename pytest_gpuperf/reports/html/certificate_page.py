"""A certificate as one page, which needs no script."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_gpuperf.records.certificate import PARTS, Certificate
from pytest_gpuperf.reports.html.rendering import asset, policy_of, require_jinja2, template


def render_html(certificate: Certificate, summary: str, limits: str, left_out: Sequence[str]) -> str:
    """The whole document."""
    require_jinja2()
    style = asset("page.css")
    return template("certificate.html.jinja").render(
        found=certificate,
        summary=summary,
        limits=limits,
        left_out=left_out,
        parts=[(part, rows) for part in PARTS if (rows := [row for row in certificate.rows if row.part == part])],
        versions=sorted(certificate.environment.software.items()),
        failed=certificate.count("fails") > 0,
        style=style,
        policy=policy_of(style),
    )

"""Put reports into a pull request's comments: each replaces the one that it wrote before, and repeats nothing.

A report is found again by its first line, a hidden marker, in a comment of the account that writes: nobody else's
comment is touched.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST = 65_536  # characters that GitHub takes
MARKER = re.compile(r"<!-- gpuperf: [\w.-]{1,200} -->")
AUTHOR = "github-actions[bot]"
MOST_PAGES = 30


def main(reports: list[Path]) -> None:
    """Write every report of this pull request."""
    number = int(os.environ["NUMBER"])
    footer = f"\n\n[The run, with its reports and files]({os.environ['RUN_URL']}): {os.environ['CONCLUSION']}\n"
    for report in reports:
        body = report.read_text(encoding="utf-8")
        marker = body.split("\n", 1)[0]
        if not MARKER.fullmatch(marker) or len(body) + len(footer) > LARGEST:
            raise SystemExit(f"{report}: this is no report of gpuperf that GitHub would take.")
        known = next((c["id"] for c in comments(number) if written_before(c, marker)), None)
        text = {"body": body.rstrip("\n") + footer}
        if known is None:
            send("POST", f"issues/{number}/comments", text)
        else:
            send("PATCH", f"issues/comments/{known}", text)


def written_before(comment: dict[str, Any], marker: str) -> bool:
    """Whether this account wrote it, for the same kind of device."""
    return comment["user"]["login"] == AUTHOR and comment["body"].split("\n", 1)[0].rstrip("\r") == marker


def comments(number: int) -> Iterator[dict[str, Any]]:
    """All of the pull request's."""
    for page in range(1, MOST_PAGES + 1):
        found = send("GET", f"issues/{number}/comments?per_page=100&page={page}")
        yield from found
        if len(found) < 100:
            return


def send(method: str, path: str, body: object = None) -> Any:
    """Ask GitHub's API."""
    request = urllib.request.Request(  # noqa: S310 - GitHub's own address
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['GH_TOKEN']}", "Accept": "application/vnd.github+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])

"""A real Chromium. Where it is missing the tests are skipped, unless GPUPERF_REQUIRE_BROWSER forbids that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from page_suite import a_suite, written

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")  # while it lives, no other test of this process may run an event loop
def chromium():
    """The browser that the system has."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        (pytest.fail if os.environ.get("GPUPERF_REQUIRE_BROWSER") else pytest.skip)(
            "no Chromium here: apt-get install chromium (`make test` does so where it may)"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that was opened, with everything it complained of or asked for."""

    page: object
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """112 cases with every verdict."""
    return written(tmp_path_factory.mktemp("report"), *a_suite(112))


@pytest.fixture
def visit(chromium) -> Iterator[Callable[..., Visit]]:
    """Open a page; at the end it must have been silent, and must have asked for nothing but itself."""
    contexts, visits = [], []

    def opened(path: Path, *, width: int = 1280, scheme: str = "light", **options: object) -> Visit:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        visited = Visit(page)
        visits.append((visited, path.as_uri()))
        page.on("console", lambda message: visited.complaints.append(message.text))
        page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        page.on("request", lambda request: visited.requests.append(request.url))
        page.goto(path.as_uri())
        page.set_default_timeout(10_000)
        assert page.evaluate("document.documentElement.dataset.ready")
        return visited

    yield opened
    for context in contexts:
        context.close()
    for visited, address in visits:
        assert visited.complaints == []
        assert {r for r in visited.requests if not r.startswith("data:")} == {address}

"""What the HTML report costs: to write, to carry and to open.

    python benchmarks/html_report.py [CASES ...]

A row a size, for a run of so many cases beside a baseline of 10 sessions, with evidence and kernels in every case:
seconds to judge and write, and the page's size. Then, in a fresh Chromium and from a disk: the median and the worst of
five openings until the page's script has attached everything (interactive), and the medians of a filter and of a sort,
layout included. Needs Chromium and playwright.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from page_suite import a_suite, written
from playwright.sync_api import Browser, sync_playwright

SIZES = (100, 500, 2_000, 5_000)
OPENINGS = 5
FILTER = """() => {
  const [search, started] = [document.querySelector('#search'), performance.now()];
  search.value = 'resnet50 fp16';
  search.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  return performance.now() - started;
}"""
SORT = """() => {
  const started = performance.now();
  document.querySelector('th[data-key=time] button').click();
  document.body.offsetHeight; return performance.now() - started;
}"""


def opened(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Milliseconds to interactive, of a filter and of a sort, in a context that has cached nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    ready = float(page.evaluate("document.documentElement.dataset.ready"))
    sort, found = page.evaluate(SORT), page.evaluate(FILTER)
    context.close()
    return ready, found, sort


def main() -> None:
    """Print a row a size."""
    path = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("No Chromium here.")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        print(f"Chromium {browser.version}")
        print(f"{'cases':>6} {'write s':>8} {'MB':>5} {'interactive ms':>15} {'worst':>6} {'filter':>7} {'sort':>5}")
        for cases in [int(a) for a in sys.argv[1:]] or SIZES:
            run, baseline = a_suite(cases, sessions=10)
            started = time.perf_counter()
            page = written(Path(folder) / str(cases), run, baseline)
            wrote = time.perf_counter() - started
            ready, found, sort = zip(*(opened(browser, page) for _ in range(OPENINGS)), strict=True)
            print(
                f"{cases:>6} {wrote:>8.2f} {page.stat().st_size / 1e6:>5.2f} {statistics.median(ready):>15.0f} "
                f"{max(ready):>6.0f} {statistics.median(found):>7.0f} {statistics.median(sort):>5.0f}",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()

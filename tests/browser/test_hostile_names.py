"""No name of a test becomes markup, script or a turned reading direction; what it says is all there."""

from __future__ import annotations

import msgspec
import pytest
from page_suite import a_suite, written
from verdicts import HOSTILE

NAMES = (
    *HOSTILE,
    "tests/x.py::test[</script><img src=x onerror=alert(1)>]",
    "tests/x.py::test['\"><svg onload=alert(2)>&quot;&lt;`${alert(3)}`]",
    "tests/x.py::test[<!--<script>]]>\u2028\u2029\u202eright to left\nnew line\x00]",
    "tests/x.py::test[javascript:alert(4)//%0aalert(5)\\u003cb]",
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Every name in every place: case, test, parameter, note, witness, device, session, revision, baseline."""
    run, baseline = a_suite(6 * len(NAMES))

    def named(case, i):
        name = NAMES[i % len(NAMES)].replace("::test", f"::test{i}")
        return msgspec.structs.replace(case, id=name, test=name, parameters={"model": name[:200], NAMES[6]: name[:200]})

    cases = [named(c, i) for i, c in enumerate(run.cases)]
    first = cases[5].measurements[0]
    evil = msgspec.structs.replace(
        first,
        notes=NAMES,
        evidence=msgspec.structs.replace(
            first.evidence,
            diagnosis=NAMES[5],
            witnesses=tuple(msgspec.structs.replace(w, figure=NAMES[6]) for w in first.evidence.witnesses),
        ),
    )
    cases[5] = msgspec.structs.replace(cases[5], measurements=(evil, *cases[5].measurements[1:]))
    where = msgspec.structs.replace(
        run.environment,
        device=msgspec.structs.replace(run.environment.device, name=NAMES[5]),
        software={NAMES[5]: NAMES[6]},
    )
    sessions = tuple(msgspec.structs.replace(s, revision=NAMES[7]) for s in run.sessions)
    accepted = tuple(named(a, int(next(i for i, c in enumerate(run.cases) if c.id == a.id))) for a in baseline.cases)
    run = msgspec.structs.replace(run, cases=tuple(cases), environment=where, sessions=sessions)
    baseline = msgspec.structs.replace(
        baseline, cases=accepted, environment=msgspec.structs.replace(where, software={})
    )
    return written(tmp_path_factory.mktemp("hostile"), run, baseline, name=NAMES[8])


@pytest.mark.parametrize("width", [1280, 390])
def test_names_are_text_and_nothing_else(visit, report, width):
    page = visit(report, width=width).page
    page.evaluate("for (const b of document.querySelectorAll('button.name')) b.click()")
    assert page.locator("img, main script, iframe, object, embed, form, main style").count() == 0
    assert page.locator("[onload], [onerror], [onclick], a[href]:not([href^='#'])").count() == 0
    text = page.locator("body").inner_text()
    assert "</script><img src=x onerror=alert(1)>" in text
    assert "`${alert(3)}`" in text
    assert not set("\u202e\u202d\x00\x1b") & set(page.content())
    assert "\\u202eright to left\\nnew line\\x00" in text
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_hostile_case_is_found_and_opened_like_any(visit, report):
    page = visit(report).page
    page.locator("#search").fill("onerror=alert(1)")
    assert page.locator("#table button.name").count() == 6
    name = page.locator(".worst a.case").text_content()
    page.locator(".worst a.case").click()
    assert page.locator("tr.panel").count() == 1
    assert page.evaluate("document.activeElement.textContent") == name

"""Story: a stranger's pull request was measured; what it left is read as data, and one comment tells the verdict."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from examples import a_baseline, a_run

from pytest_gpuperf.records.files import write_baseline, write_run

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / ".github/scripts"
SHA = "a" * 40
PULLS = [
    {"number": 7, "head": {"sha": "b" * 40}},  # pushed to since
    {"number": 8, "head": {"sha": SHA}},
]


class GitHub:
    """A server with the few answers of GitHub's API that the scripts ask for."""

    def __init__(self):
        self.artifacts = {}  # name -> bytes
        self.sizes = {}  # name -> what it says of its size
        self.comments = []
        self.asked = []

    def answer(self, method, url, body, headers):
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        self.asked.append((method, path, query, dict(headers)))
        if path == "/store":  # where an artifact's address leads to: another host at GitHub's
            return self.artifacts[query["name"][0]]
        path = path.removeprefix("/repos/owner/project/")
        if path == "pulls":
            return [p for p in PULLS if query["head"] == ["stranger:a/branch&x=1"]]
        if path == "actions/runs/5/artifacts":
            listed = enumerate(self.artifacts.items())
            sizes = self.sizes
            return {"artifacts": [{"id": i, "name": n, "size_in_bytes": sizes.get(n, len(c))} for i, (n, c) in listed]}
        if path.startswith("actions/artifacts/"):
            return f"/store?name={list(self.artifacts)[int(path.split('/')[2])]}"
        if method == "GET":
            page = int(query["page"][0])
            return self.comments[100 * (page - 1) : 100 * page]
        if method == "POST":
            self.comments.append({"id": len(self.comments), "user": {"login": "github-actions[bot]"}, **body})
        else:
            self.comments[int(path.rsplit("/", 1)[1])].update(body)
        return {}


@contextmanager
def serving(github):
    class Handler(BaseHTTPRequestHandler):
        def respond(self):
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            answer = github.answer(self.command, self.path, body, self.headers)
            if isinstance(answer, str):
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = respond  # noqa: N815 - the names that http.server calls

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def github():
    return GitHub()


def run(github, script, *arguments, cwd, **environment):
    with serving(github) as address:
        return subprocess.run(
            [sys.executable, SCRIPTS / script, *map(str, arguments)],
            cwd=cwd,
            env={
                **os.environ,
                "GITHUB_API_URL": address,
                "GITHUB_REPOSITORY": "owner/project",
                "GITHUB_OUTPUT": str(cwd / "output"),
                "GH_TOKEN": "secret",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def fetch(github, tmp_path, **changes):
    known = {"HEAD_OWNER": "stranger", "HEAD_BRANCH": "a/branch&x=1", "HEAD_SHA": SHA, "RUN_ID": "5"}
    done = run(github, "untrusted_runs.py", tmp_path / "runs", cwd=tmp_path, **(known | changes))
    assert done.returncode == 0, done.stderr
    return done.stdout


def packed(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def fetched(tmp_path):
    return sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "runs").rglob("*") if p.is_file())


def test_the_pull_request_is_the_one_whose_head_was_measured(github, tmp_path):
    github.artifacts = {"gpuperf-h200": packed(**{"run.json": "{}", "baseline.json": "{}", "number": "1"})}
    fetch(github, tmp_path)
    assert (tmp_path / "output").read_text() == "number=8\n"
    assert fetched(tmp_path) == ["runs/h200/baseline.json", "runs/h200/run.json"]


@pytest.mark.parametrize("changes", [{"HEAD_SHA": "c" * 40}, {"HEAD_OWNER": "nobody"}])
def test_a_commit_that_is_no_head_any_more_gets_no_comment(github, tmp_path, changes):
    assert "No open pull request" in fetch(github, tmp_path, **changes)
    assert (tmp_path / "output").read_text() == "number=\n"
    assert not (tmp_path / "runs").exists()


def test_the_token_is_not_sent_on(github, tmp_path):
    github.artifacts = {"gpuperf-t4": packed(**{"run.json": "{}"})}
    fetch(github, tmp_path)
    said = {path: "Authorization" in headers for _, path, _, headers in github.asked}
    assert said.pop("/store") is False
    assert set(said.values()) == {True}


def test_a_hostile_artifact_leaves_nothing(github, tmp_path):
    bomb = packed(**{"run.json": "0" * (300 << 20)})
    assert len(bomb) < 1 << 20
    github.artifacts = {
        "gpuperf-bomb": bomb,
        "gpuperf-huge": packed(**{"run.json": "{}"}),
        "gpuperf-broken": b"PK no archive",
        "gpuperf-../../up": packed(**{"run.json": "{}"}),
        "gpuperf-paths": packed(**{"../run.json": "{}", "/tmp/baseline.json": "{}", "x/run.json": "{}"}),
        "other": packed(**{"run.json": "{}"}),
    }
    github.sizes = {"gpuperf-huge": 1 << 40}
    said = fetch(github, tmp_path)
    assert "bomb: run.json is larger than 32 MiB" in said
    assert "gpuperf-huge: larger than 64 MiB" in said
    assert "broken: no archive that can be read" in said
    assert not (tmp_path / "runs").exists()


def crafted():
    """Archives that a stranger may send, by what is wrong with them."""
    good = packed(**{"run.json": "{}" * 50})
    at = good.rfind(b"PK\1\2")
    for name, method in (("bz2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as archive:
            archive.writestr("run.json", "0" * (64 << 20))
        yield name, content.getvalue()
    yield "method", good[: at + 10] + b"\x63" + good[at + 11 :]
    yield "encrypted", good[: at + 8] + b"\x01" + good[at + 9 :]
    yield "offset", good[: at + 42] + b"\xff\xff\xff\x7f" + good[at + 46 :]
    yield "sum", good[: at + 16] + b"\0\0\0\0" + good[at + 20 :]
    yield "data", good[:40] + b"\xff" * 8 + good[48:]
    yield "cut", good[:-5]
    yield "names", packed(**{f"{i}" * 200: "" for i in range(10_000)} | {"run.json": "{}"})
    yield "text", good[: at + 46] + b"\xff\xfe\xfd.json" + good[at + 54 :]


def test_no_crafted_archive_ends_the_job_for_the_other_cards(github, tmp_path):
    hostile = dict(crafted())
    github.artifacts = {f"gpuperf-{name}": content for name, content in hostile.items()}
    github.artifacts["gpuperf-zz-honest"] = packed(**{"run.json": "{}"})
    said = fetch(github, tmp_path)
    assert fetched(tmp_path) == ["runs/zz-honest/run.json"]
    assert "bz2: run.json is packed in a way that GitHub does not use" in said
    assert "names: names more files than gpuperf writes" in said


def test_it_is_rendered_by_our_own_code(tmp_path):
    """The step of the workflow itself, on what the step before left."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/gpu-comment.yml").read_text())
    (script,) = (s["run"] for s in workflow["jobs"]["read"]["steps"] if s.get("id") == "render")
    script = re.sub(r"^python -m pip install .*$", "", script, flags=re.MULTILINE)
    for card, level in (("slow", 0.02), ("same", 0.01), ("broken", None)):
        folder = tmp_path / "runs" / card
        folder.mkdir(parents=True)
        write_baseline(folder / "baseline.json", a_baseline(*range(10)))
        if level:
            write_run(folder / "run.json", a_run(20, 21, 22, cases=("a", "@someone"), level=level))
        else:
            (folder / "run.json").write_text("$(touch executed)")
    bin_folder = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output")}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**environment, "PATH": bin_folder},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output").read_text() == "reports=yes\n"
    reports = {p.stem: p.read_text() for p in (tmp_path / "reports").iterdir()}
    assert sorted(reports) == ["same", "slow"]
    assert "### gpuperf: failed" in reports["slow"]
    assert "Against <code>baselines/slow.json</code>" in reports["slow"]
    assert "broken: exit code 4" in done.stdout
    assert not list(tmp_path.rglob("executed"))


REPORT = "<!-- gpuperf: tesla-t4 -->\n\n### gpuperf: passed\n"
WHERE = {"NUMBER": "8", "RUN_URL": "https://example.com/runs/5", "CONCLUSION": "success"}


def test_a_comment_is_written_once_and_then_updated(github, tmp_path):
    others = [
        {"id": i, "user": {"login": "stranger" if i % 2 else "github-actions[bot]"}, "body": "x"} for i in range(130)
    ]
    others[3]["body"] = REPORT  # a stranger's that looks like ours
    github.comments = others
    (tmp_path / "t4.md").write_text(REPORT)
    for text in (REPORT, REPORT.replace("passed", "failed")):
        (tmp_path / "t4.md").write_text(text)
        done = run(github, "comment.py", "t4.md", cwd=tmp_path, **WHERE)
        assert done.returncode == 0, done.stderr
    assert len(github.comments) == 131
    body = github.comments[-1]["body"]
    assert body.startswith("<!-- gpuperf: tesla-t4 -->\n\n### gpuperf: failed")
    assert body.endswith("[The run, with its reports and files](https://example.com/runs/5): success\n")
    assert github.comments[3]["body"] == REPORT


def test_another_card_has_a_comment_of_its_own(github, tmp_path):
    for name in ("tesla-t4", "h200"):
        (tmp_path / f"{name}.md").write_text(REPORT.replace("tesla-t4", name))
    assert run(github, "comment.py", "tesla-t4.md", "h200.md", cwd=tmp_path, **WHERE).returncode == 0
    assert len(github.comments) == 2


@pytest.mark.parametrize("text", ["no marker", "<!-- gpuperf: --><script> -->\n", REPORT + "x" * 65_536, ""])
def test_what_is_no_report_is_not_posted(github, tmp_path, text):
    (tmp_path / "x.md").write_text(text)
    done = run(github, "comment.py", "x.md", cwd=tmp_path, **WHERE)
    assert done.returncode == 1
    assert "no report of gpuperf" in done.stderr
    assert github.comments == []

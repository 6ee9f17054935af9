"""What a pull request's GPU jobs left behind, as data: the pull request that it belongs to, its runs and baselines.

The artifacts were written by code that anybody may have sent. So nothing in them is executed, and nothing in them says
where the comment goes: the pull request is found by the head of the workflow run, which GitHub tells. Two files of each
artifact are read, each up to a size, and rendered by the default branch's gpuperf.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import sys
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

LARGEST_ARTIFACT = 64 << 20  # bytes, packed
LARGEST_FILE = 32 << 20  # bytes, unpacked: of a baseline of 10,000 cases
LARGEST_DIRECTORY = 1 << 20  # bytes that an archive needs to name its files
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # as GitHub packs; others unpack a kilobyte to gigabytes
MOST_ARTIFACTS = 16
WANTED = ("run.json", "baseline.json")
ARTIFACT = re.compile(r"gpuperf-([a-z0-9][a-z0-9.-]{0,40})")  # the card becomes a folder's name


def main(folder: Path) -> None:
    """Put each card's files into a folder of its own; say the number of the pull request to the next job."""
    number = pull_request(os.environ["HEAD_OWNER"], os.environ["HEAD_BRANCH"], os.environ["HEAD_SHA"])
    if number is None:
        print("No open pull request has this run's commit as its head: it was pushed to since, or closed.")
    else:
        fetch(os.environ["RUN_ID"], folder)
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
        output.write(f"number={number or ''}\n")


def pull_request(owner: str, branch: str, sha: str) -> int | None:
    """The open pull request whose head is exactly that commit of that branch."""
    query = urllib.parse.urlencode({"state": "open", "head": f"{owner}:{branch}", "per_page": 100})
    found = [pull["number"] for pull in ask(f"pulls?{query}") if pull["head"]["sha"] == sha]
    return int(found[0]) if found else None


def fetch(run: str, folder: Path) -> None:
    """The wanted files of every artifact that has our name and a bearable size."""
    for artifact in ask(f"actions/runs/{int(run)}/artifacts?per_page=100")["artifacts"][:MOST_ARTIFACTS]:
        card = ARTIFACT.fullmatch(artifact["name"])
        if card is None:
            continue
        if artifact["size_in_bytes"] > LARGEST_ARTIFACT:
            print(f"{artifact['name']}: larger than {LARGEST_ARTIFACT >> 20} MiB, and left alone.")
            continue
        packed = read(f"actions/artifacts/{int(artifact['id'])}/zip", LARGEST_ARTIFACT)
        unpack(packed, folder / card[1])


def unpack(packed: bytes, into: Path) -> None:
    """Only files of these very names, and no more of each than is bearable, whatever the archive says of its size."""
    try:
        if directory_of(packed) > LARGEST_DIRECTORY:
            print(f"{into.name}: names more files than gpuperf writes, and is left alone.")
            return
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            for name in WANTED:
                if name not in archive.namelist():
                    continue
                if archive.getinfo(name).compress_type not in METHODS:
                    print(f"{into.name}: {name} is packed in a way that GitHub does not use, and left alone.")
                    continue
                with archive.open(name) as file:
                    content = file.read(LARGEST_FILE + 1)
                if len(content) > LARGEST_FILE:
                    print(f"{into.name}: {name} is larger than {LARGEST_FILE >> 20} MiB, and left alone.")
                    continue
                into.mkdir(parents=True, exist_ok=True)
                (into / name).write_bytes(content)
    except Exception as error:  # noqa: BLE001 - of a stranger's archive anything may come, and others wait behind it
        print(f"{into.name}: no archive that can be read ({type(error).__name__}).")


def directory_of(packed: bytes) -> int:
    """Bytes of the archive's list of files, by its last record; without one it is no archive."""
    at = packed.rfind(b"PK\5\6")
    return struct.unpack_from("<I", packed, at + 12)[0] if at >= 0 else 0


def ask(path: str) -> Any:
    """What GitHub's API says."""
    return json.loads(read(path, 32 << 20))


def read(path: str, most: int) -> bytes:
    """The body of an answer, up to a size."""
    url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}"
    request = urllib.request.Request(url)  # noqa: S310 - GitHub's own address
    request.add_header("Accept", "application/vnd.github+json")
    # Not sent on to the store of the artifacts that the answer leads to.
    request.add_unredirected_header("Authorization", f"Bearer {os.environ['GH_TOKEN']}")
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        body: bytes = answer.read(most + 1)
    if len(body) > most:
        raise SystemExit(f"{path}: more than {most >> 20} MiB.")
    return body


if __name__ == "__main__":
    main(Path(sys.argv[1]))

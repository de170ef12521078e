"""The original service's own promises: its README's session, and the cases of its tests."""

from __future__ import annotations

import json
import secrets
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.service.client import DIGEST, DOCUMENT, TITLE, Client, problem, serving, shell

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

PLACEHOLDER = "a27e6eda1e0c12161e28d88332c158ea4b49dcf333b5b2278569cace13c2d428"


def curl(*arguments: str) -> str:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def play_the_readme(url: str) -> None:
    """The README's session, word for word but for the digest."""
    body = json.dumps({"address": "1 low street", "title_number": TITLE, "sha256": DIGEST})
    typed = ["-X", "POST", "-H", "Content-Type: application/json", "-d"]
    posted = curl(*typed, body, f"{url}/titles")
    got = curl("-H", "Accepts: application/json", f"{url}/titles/{TITLE}")
    assert json.loads(got) == json.loads(body) == json.loads(posted)
    listed = curl("-H", "Accepts: application/json", f"{url}/titles")
    assert json.loads(listed) == {"titles": [f"{url}/titles/{TITLE}"]}
    # What was got can be posted again.
    assert json.loads(curl(*typed, got, f"{url}/titles")) == json.loads(body)
    wrong = json.loads(curl(*typed, body.replace(DIGEST, PLACEHOLDER), f"{url}/titles"))
    assert wrong["status"] == 422
    assert DIGEST in wrong["detail"]
    assert PLACEHOLDER not in wrong["detail"]  # no value of a document is told


def test_the_readme_of_the_original_on_a_folder(folder: str, home: Path) -> None:
    with serving(folder, home) as server:
        play_the_readme(server.url)
        assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.xdist_group("moto")
def test_the_readme_of_the_original_on_s3(moto_url: str, moto_client: Any, tmp_path: Path) -> None:
    bucket = f"readme-{secrets.token_hex(4)}"
    moto_client.create_bucket(Bucket=bucket)
    environment = {"AWS_ENDPOINT_URL_S3": moto_url, "XDG_CONFIG_HOME": str(tmp_path)}
    made = shell("init", "--origin", "example.org/titles", f"s3://{bucket}", **environment)
    assert made.returncode == 0, made.stderr
    with serving(f"s3://{bucket}", tmp_path, **environment) as server:
        play_the_readme(server.url)


def test_an_empty_store_lists_nothing(client: Client) -> None:
    answer = client.get("/titles")
    assert answer.status_code == 200
    assert answer.json() == {"titles": []}


def test_post_then_list_and_get(client: Client) -> None:
    posted = client.post("/titles", {**DOCUMENT, "sha256": DIGEST})
    assert posted.status_code == 201
    assert posted.headers["location"] == f"http://localhost:5000/titles/{TITLE}"
    assert client.get("/titles").json() == {"titles": [posted.headers["location"]]}
    assert client.get(f"/titles/{TITLE}").json() == {**DOCUMENT, "sha256": DIGEST}


def test_the_old_version_is_at_its_address_and_the_new_one_at_the_head(client: Client) -> None:
    first = client.post("/titles", DOCUMENT).headers["ledger-address"]
    second = client.post("/titles", {**DOCUMENT, "address": "2 low street"})
    assert client.get(f"/titles/{TITLE}").json()["address"] == "2 low street"
    assert client.get(f"/titles/{TITLE}").headers["etag"] == second.headers["etag"]
    old = client.get(f"/titles/{TITLE}/entries/{first}")
    assert old.json()["text"]["document"] == DOCUMENT


def test_posting_the_same_again_makes_a_new_version(client: Client) -> None:
    first, second = (client.post("/titles", DOCUMENT) for _ in range(2))
    assert second.status_code == 201
    assert first.headers["etag"] != second.headers["etag"]
    assert client.ledger.head(TITLE).version == 2


def test_a_title_that_is_not_there(client: Client) -> None:
    problem(client.get(f"/titles/{TITLE}"), 404, "not-found")


def test_body_and_path_disagree(client: Client) -> None:
    problem(client.post("/titles/TN7", DOCUMENT), 422, "invalid")
    assert client.get("/titles").json() == {"titles": []}


@pytest.mark.parametrize("body", ["{", "{'a': 1}", '{"a":1,"a":2}', '{"a":NaN}', "\ufeff{}"])
def test_malformed_json(client: Client, body: str) -> None:
    problem(client.send(f"/titles/{TITLE}", body), 400, "malformed")


def test_an_empty_body(client: Client) -> None:
    problem(client.send("/titles", b""), 400, "malformed")


@pytest.mark.parametrize(
    "media",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
    + [
        f"application/{kind}+json"
        for kind in ("merge-patch", "json-patch", "problem", "vnd.a.patch")
    ],
)
def test_a_wrong_content_type(client: Client, media: str) -> None:
    problem(client.send("/titles", json.dumps(DOCUMENT), media), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "media", ["application/json; charset=UTF-8", "application/JSON", "application/ld+json"]
)
def test_other_spellings_of_json(client: Client, media: str) -> None:
    assert client.send("/titles", json.dumps(DOCUMENT), media).status_code == 201

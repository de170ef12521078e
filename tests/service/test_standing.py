"""After a theft: what answers and pages say of entries that are void, or do not stand."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from ledger.format.layout import LOG_CHECKPOINT, trust_key
from ledger.service import reload
from ledger.service.pages.pages import WHAT_TO_DO
from ledger.stores import FolderStore
from ledger.trust import TrustFile
from tests.service.client import HTML, Client, listening, problem
from tests.service.test_pages import Page, check
from tests.trust.registry import ALICE, BOB, Registry

FELL = {"stands": False, "reason": "key-ended", "by": None}
BIN = Path(sys.executable).parent
TODAY = "2026-11-23"
WHY = "does not stand: it is not in the log before its key ends"


class Register:
    """What a service shows of a register from which alice's key was stolen.

    TN1: versions 1 and 2 stand, 3 (honest) and 4 fell. TN2: 2 fell. TN3: all of it. TN4: nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "titles"
        self.registry = registry = Registry(FolderStore(self.folder), folder)
        for title, key in (("TN1", BOB), ("TN1", ALICE), ("TN2", BOB), ("TN4", BOB)):
            registry.write(title, key)
        registry.seal()
        good = registry.size()
        self.old_checkpoint = registry.objects()[LOG_CHECKPOINT]
        registry.write("TN1", ALICE, message="honest work")
        registry.write("TN2", ALICE)
        registry.seal()
        registry.write("TN1", ALICE, message="theft")
        registry.write("TN3", ALICE)
        registry.revoke(ALICE, good)
        self.client = Client(registry.ledger())

    def copied(self, folder: Path) -> Register:
        """Another that is the same, in another folder."""
        shutil.copytree(self.registry.folder, folder, dirs_exist_ok=True)
        new, registry = copy.copy(self), copy.copy(self.registry)
        new.folder, registry.folder = folder / "titles", folder
        registry.store = FolderStore(new.folder)
        registry.clock, registry.random = copy.deepcopy((registry.clock, registry.random))
        registry.files = [*registry.files]
        new.registry, new.client = registry, Client(registry.ledger())
        return new

    def settle(self) -> None:
        self.registry.ledger().settle("TN1", confirms=[3], voids=[4], message="after the theft")

    def get(self, path: str, **asked: str) -> Any:
        return self.client.get(path, params=asked)

    def page(self, path: str, **asked: str) -> tuple[str, Page]:
        """The text of a page, and the page."""
        answer = self.client.get(path, params=asked, headers=HTML)
        assert answer.status_code == 200, answer.text
        page = check(answer.text)
        return " ".join(page.text.split()), page

    def standing(self, title: str) -> dict[int, Any]:
        found = self.get(f"/titles/{title}/entries").json()["entries"]
        return {each["version"]: each.get("standing") for each in found}

    def damage(self, key: str, data: bytes | None) -> None:
        """Put other bytes in the place of an object, or none."""
        file = self.folder / key
        file.unlink(missing_ok=True)
        if data is not None:
            file.write_bytes(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return Register(tmp_path_factory.mktemp("register"))


@pytest.fixture
def register(made: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """One that the test has for itself."""
    monkeypatch.setattr(reload, "SECONDS", 0.0)
    return made.copied(tmp_path)


# -- For programs ------------------------------------------------------------------------------


def test_the_history_says_how_each_entry_stands(register: Register) -> None:
    assert register.standing("TN1") == {4: FELL, 3: FELL, 2: None, 1: None}
    register.settle()
    void = {"stands": False, "reason": None, "by": 5}
    confirmed = {"stands": True, "reason": None, "by": 5}
    assert register.standing("TN1") == {5: None, 4: void, 3: confirmed, 2: None, 1: None}
    assert register.standing("TN4") == {1: None}


def test_what_was_posted_last_says_that_it_does_not_stand_and_what_is_in_force(
    register: Register,
) -> None:
    answer = register.get("/titles/TN1")
    assert answer.json()["n"] == 4, "what was posted last"
    assert answer.headers["ledger-standing"] == "no;reason=key-ended"
    assert "ledger-effective" not in answer.headers, "it holds on no day"
    assert answer.links["alternate"]["title"] == "version 2 is in force today"
    assert register.client.get(answer.links["alternate"]["url"]).json()["n"] == 2
    known = {"If-None-Match": answer.headers["etag"]}
    again = register.client.get("/titles/TN1", headers=known)
    assert (again.status_code, again.headers["ledger-standing"]) == (304, "no;reason=key-ended")
    whole = register.get("/titles/TN3").headers
    assert (whole["ledger-standing"], whole.get("link")) == ("no;reason=key-ended", None)
    assert "ledger-standing" not in register.get("/titles/TN4").headers


def test_a_title_that_is_settled_shows_the_settlement(register: Register) -> None:
    register.settle()
    answer = register.get("/titles/TN1")
    assert (answer.json()["n"], answer.headers.get("ledger-standing")) == (3, None)
    said = {
        version: register.get("/titles/TN1", version=str(version)).headers.get("ledger-standing")
        for version in range(1, 6)
    }
    assert said == {1: None, 2: None, 3: "yes;by=5", 4: "no;by=5", 5: None}
    address = register.registry.ledger().entry("TN1", "v4").address
    assert register.get(f"/titles/TN1/entries/{address}").headers["ledger-standing"] == "no;by=5"


def test_an_answer_about_a_day_names_what_it_passed_over(register: Register) -> None:
    answer = register.get("/titles/TN1", effective=TODAY)
    assert answer.json()["n"] == 2
    assert answer.headers["ledger-passed-over"] == "4;reason=key-ended, 3;reason=key-ended"
    said = problem(register.get("/titles/TN3", effective=TODAY), 404, "not-in-law")
    assert f"passed over: version 1 ({WHY})" in said["detail"]
    before = register.registry.clock().isoformat()
    register.registry.clock.forward(seconds=60)
    register.settle()
    answer = register.get("/titles/TN1", effective=TODAY, recorded=before)
    assert (answer.json()["n"], answer.headers["ledger-passed-over"]) == (3, "4;by=5")
    assert "ledger-passed-over" not in register.get("/titles/TN1", effective="2026-11-24").headers


def test_a_header_names_fifty_versions_at_most(register: Register) -> None:
    for _ in range(60):
        register.registry.write("TN4", ALICE)
    named = register.get("/titles/TN4", effective=TODAY).headers["ledger-passed-over"].split(", ")
    assert len(named) == 50
    assert named[0] == "61;reason=key-ended"


def test_a_comparison_says_how_both_sides_stand(register: Register) -> None:
    found = register.get("/titles/TN1/diff", **{"from": "v2", "to": "v3"}).json()
    assert "standing" not in found["from"]
    assert found["to"]["standing"] == FELL


def test_what_the_log_does_not_show_is_unknown(register: Register) -> None:
    register.damage(LOG_CHECKPOINT, register.old_checkpoint)
    unknown = {"stands": None, "reason": "position-unknown", "by": None}
    assert register.standing("TN2") == {2: unknown, 1: None}
    answer = register.get("/titles/TN2")
    assert answer.headers["ledger-standing"] == "unknown;reason=position-unknown"
    assert "link" not in answer.headers, "nobody can tell what is in force"
    said = problem(register.get("/titles/TN2", effective=TODAY), 409, "not-standing")
    assert said["reason"] == "position-unknown"
    text, page = register.page("/titles/TN2")
    assert "The newest version, 2, may not stand: its place in the log is not shown." in text
    assert "is in force today" not in text
    assert "doubt" in page.classes()


def test_the_answers_are_as_the_contract_describes_them(register: Register) -> None:
    contract = register.client.app.openapi()

    def check_answer(schema: str, path: str) -> None:
        described = {"$ref": f"#/components/schemas/{schema}", "components": contract["components"]}
        Draft202012Validator(described).validate(register.get(path).json())

    for settled in (False, True):
        if settled:
            register.settle()
        check_answer("Entries", "/titles/TN1/entries")
        check_answer("Diff", "/titles/TN1/diff")
        check_answer("Trust", "/trust")
        check_answer("Report", "/titles/TN1/verification")
        check_answer("Health", "/readyz")
    register.damage(trust_key(3), b"junk")
    check_answer("Health", "/readyz")
    check_answer("Trust", "/trust")


# -- For people --------------------------------------------------------------------------------


def test_a_title_s_page_says_first_that_its_newest_version_does_not_stand(
    register: Register,
) -> None:
    text, page = register.page("/titles/TN1")
    assert f"The newest version, 4, {WHY}. It is not in law" in text
    assert text.index("The newest version, 4") < text.index("Version 2 is in force today")
    assert text.index("Version 2 is in force today") < text.index("Version 4 of 4 does not stand")
    assert "Document does not stand" in text
    assert "NOT all of it stands" in text
    assert not page.classes() & {"current", "verified"}
    title = page.source.partition("<title>")[2]
    assert title.startswith("TN1, version 4 (does not stand)")


def test_a_closure_that_does_not_stand_closes_nothing(register: Register) -> None:
    register.registry.write("TN4", ALICE, status="closed")
    assert "This title is closed." not in register.page("/titles/TN4")[0]


def test_a_settled_title_s_page_says_what_never_was(register: Register) -> None:
    register.settle()
    text, page = register.page("/titles/TN1")
    assert "Version 5 of 5 current in force today" in text
    assert "Version 4 void This version never was. Version 5 says that it is void." in text
    assert "Version 3 confirmed This version is not in the log before its key ends" in text
    assert "Confirmsversion 3Makes voidversion 4" in text
    assert page.source.count('class="fell ') == 1
    assert {"verified", "current"} <= page.classes()
    text, _ = register.page("/titles/TN1", version="4")
    assert "Version 4 of 5 void" in text
    assert "This version never was. Version 5 says that it is void. The current one is" in text
    assert "It was superseded" not in text
    text, _ = register.page("/titles/TN1", version="3")
    assert "This is not the current version. It was superseded." in text


def test_the_pages_of_an_entry_a_history_and_a_comparison_say_it(register: Register) -> None:
    register.settle()
    addresses = {entry.version: entry.address for entry in register.registry.ledger().log("TN1")}
    text, _ = register.page(f"/titles/TN1/entries/{addresses[4]}")
    assert text.index("This entry never was. Version 5 says that it is void.") < text.index(
        "Document void"
    )
    assert "version 5 confirms it" in register.page(f"/titles/TN1/entries/{addresses[3]}")[0]
    assert "never was" not in register.page(f"/titles/TN1/entries/{addresses[2]}")[0]
    assert "Version 4 void This version never was." in register.page("/titles/TN1/entries")[0]
    text, _ = register.page("/titles/TN1/diff", **{"from": "v4", "to": "v5"})
    assert "Standsvoid This version never was." in text
    text, _ = register.page("/titles/TN1/diff", **{"from": "v1", "to": "v2"})
    assert "Stands" not in text


def test_the_page_of_an_entry_in_no_chain_says_so(register: Register) -> None:
    registry = register.registry
    lost = registry.sign("TN1", registry.ledger().entry("TN1", "v1"), BOB)
    registry.store.create(f"TN1/{lost.address}.json", lost.data)
    text, _ = register.page(f"/titles/TN1/entries/{lost.address}")
    assert "This entry is in no chain." in text
    answer = register.get(f"/titles/TN1/entries/{lost.address}")
    assert answer.headers["ledger-standing"] == "no"


def test_there_is_no_official_copy_of_what_does_not_stand(register: Register) -> None:
    problem(register.get("/titles/TN2/copy"), 409, "not-standing")
    register.settle()
    problem(register.get("/titles/TN1/copy", version="4"), 409, "conflict")  # it is void
    text, _ = register.page("/titles/TN1/copy")
    assert "official copy of version 5" in text


def test_a_page_about_a_day_names_what_it_passed_over(register: Register) -> None:
    text, _ = register.page("/titles/TN1", effective=TODAY)
    assert f"Passed over: version 4 ({WHY}), version 3 ({WHY})." in text
    assert "Version 2 of 4 not the newest in force today" in text


def test_the_verification_s_page_says_what_to_do(register: Register) -> None:
    text, _ = register.page("/titles/TN2/verification")
    assert f"What to do: {WHAT_TO_DO['key-ended']}" in text
    assert "it was in the log before its key ended" in text


def test_a_trust_file_that_does_not_hold_is_not_blamed_on_the_title(register: Register) -> None:
    register.damage(trust_key(3), b"junk")
    for path in ("/titles/TN4", "/titles/TN4/verification", "/titles/TN2"):
        text, page = register.page(path)
        assert "A trust file does NOT hold" in text
        assert "NOT as it was signed" not in text
        assert f"What to do: {WHAT_TO_DO['trust-not-accepted']}" in text
        assert "tampered" in page.classes()


# -- The trust files ---------------------------------------------------------------------------


@pytest.mark.parametrize("which", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_commands_of_a_page_verify_by_the_trust_file(
    register: Register, tmp_path: Path, which: int
) -> None:
    """Those that check a receipt, and those that verify a bundle."""
    register.registry.seal()
    with listening(register.client.app) as url:
        answer = httpx.get(f"{url}/titles/TN4", headers=HTML)
        done = subprocess.run(
            ["bash", "-ec", Page(answer.text).commands()[which]],
            cwd=tmp_path,
            env=os.environ
            | {"XDG_CONFIG_HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert register.registry.files[0].digest in done.stdout


def test_the_newest_trust_file_and_the_one_that_is_pinned(register: Register) -> None:
    first, newest = register.registry.files
    found = register.get("/trust").json()
    assert (found["version"], found["trust"], found["next"]) == (2, newest.digest, None)
    assert found["pinned"] == {"version": 1, "trust": first.digest}
    assert found["findings"] == []
    text, page = register.page("/trust")
    assert newest.digest in text
    assert first.digest in text
    assert "alicebefore leaf 4 onlyregistrara44a82312e1d…" in text
    assert "trust/1" in page.commands()[0]


def test_a_trust_file_can_be_fetched_and_checked_by_its_digest(register: Register) -> None:
    data = register.get("/trust/1").content
    assert data == register.registry.objects()[trust_key(1)]
    assert TrustFile.decode(data).digest == register.registry.files[0].digest
    plain = json.dumps(json.loads(data)["trust"], separators=(",", ":"), sort_keys=True)
    assert hashlib.sha256(plain.encode()).hexdigest() == register.registry.files[0].digest
    problem(register.get("/trust/3"), 404, "not-found")
    problem(register.get("/trust/01"), 422, "invalid")


def test_a_service_without_a_root_has_no_trust_files(client: Client) -> None:
    said = problem(client.get("/trust"), 404, "not-found")
    assert "the keys in its keyring count" in said["detail"]
    problem(client.get("/trust/1"), 404, "not-found")
    assert "trust" not in client.get("/readyz").json()


@pytest.mark.parametrize(
    ("version", "data", "name"),
    [
        (1, None, "missing"),
        (2, None, "missing"),
        (1, b"junk", "not-accepted"),
        (2, b"junk", "not-accepted"),
        (3, b"junk", "not-accepted"),
    ],
)
def test_the_readiness_names_a_trust_file_that_is_missing_or_not_accepted(
    register: Register, version: int, data: bytes | None, name: str
) -> None:
    assert "trust" not in register.get("/readyz").json()
    register.damage(trust_key(version), data)
    found = register.get("/readyz").json()
    assert (found["status"], found["trust"]) == ("degraded", name)
    assert register.get("/titles/TN4").status_code == 200, "it serves by what it has"
    assert register.get("/trust").json()["version"] == 2, "it never goes back"


def test_a_successor_that_is_overdue_is_named(register: Register) -> None:
    register.registry.publish(next="2026-12-01")
    assert register.get("/readyz").json()["status"] == "ok"
    register.registry.clock.forward(days=30)
    found = register.get("/readyz").json()
    assert (found["status"], found["trust"]) == ("degraded", "overdue")
    assert [each["slug"] for each in register.get("/trust").json()["findings"]] == ["trust-overdue"]
    text, _ = register.page("/trust")
    assert WHAT_TO_DO["trust-overdue"] in text
    assert "Next one due1 December 2026" in text

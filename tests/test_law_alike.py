"""Library, shell and service give one answer to one question about the law."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Entry, InvalidError, Ledger, LedgerError, load_key
from ledger.testing import FixedClock
from ledger.titles.draft import Draft, Guards
from tests.cli.shell import Shell
from tests.laws import examples
from tests.service.client import Client

if TYPE_CHECKING:
    from pathlib import Path

days = st.sampled_from(
    [
        *("2025", "2025-03", "2025-03-31", "2025-04-01", "2026-11-22", "2026-11-24", "2030"),
        *("2025-03-31T22:00:00Z", "2025-04-01T00:00:00+02:00", "2026-11-24T09:00:00.5-11:00"),
    ]
)
versions = st.fixed_dictionaries(
    {
        "effective_at": st.none() | days,
        "effective_until": st.none() | days,
        "kind": st.sampled_from(["registration", "rectification", "migration"]),
    }
)
questions = st.tuples(st.none() | days, st.none() | days | st.just("2026-11-23")).filter(any)


class World:
    """One ledger in a folder, asked in three ways."""

    def __init__(self, place: Path) -> None:
        self.shell = Shell.make(place)
        self.shell("init --origin example.org/titles")
        self.clock = FixedClock()
        self.ledger = Ledger.open(
            str(self.shell.store),
            keyring=self.shell.keyring(),
            signer=load_key(self.shell.config / "key.pem"),
            clock=self.clock,
        )
        self.client = Client(self.ledger)
        self.titles = map("TN{}".format, count())

    def write(self, entries: list[dict[str, Any]], erased: set[int]) -> str:
        """A title with a version every day; what the writer refuses is left out."""
        title_number, self.clock.now = next(self.titles), FixedClock().now
        for number, members in enumerate(entries):
            draft = Draft(title_number, {"n": number}, **members)
            try:
                self.ledger.submit(draft, guards=Guards(supersede_later=True))
            except InvalidError:
                continue
            self.clock.forward(days=1)
        if self.ledger.history.find_head(title_number) is None:
            self.ledger.append(title_number, {"n": 0})
        head = self.ledger.head(title_number)
        if due := {version for version in erased if version <= head.version}:
            self.ledger.erase(title_number, due, reference="LG 7/26", message="by order")
        return title_number

    def ask(self, title_number: str, **asked: str) -> tuple[LedgerError | None, Entry | None]:
        """Ask the library."""
        try:
            return None, self.ledger.at(title_number, **asked)
        except LedgerError as error:
            return error, None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("alike") / "work")


@settings(deadline=None, max_examples=examples(15), suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(versions, min_size=1, max_size=5),
    st.sets(st.integers(1, 5), max_size=2),
    st.lists(questions, min_size=1, max_size=4),
)
def test_library_shell_and_service_answer_alike(
    world: World,
    entries: list[dict[str, Any]],
    erased: set[int],
    asked: list[tuple[str | None, str | None]],
) -> None:
    title_number = world.write(entries, erased)
    for effective, recorded in asked:
        named = {"effective": effective, "recorded": recorded}
        given = {name: day for name, day in named.items() if day is not None}
        words = [word for name, day in given.items() for word in (f"--{name}", day)]
        shell = world.shell(f"show {title_number} --json", *words, code=None)
        http = world.client.get(f"/titles/{title_number}", params=given)
        error, entry = world.ask(title_number, **given)
        assert (shell.code, http.status_code) == (
            (error.exit_code, error.http_status) if error else (0, 200)
        )
        if error:
            assert f"ledger: error: {error}\n" in shell.err
            assert (http.json()["slug"], http.json()["detail"]) == (error.slug, str(error))
        if entry:
            shown = shell.json["address"], shell.json["document"]
            assert shown == (entry.address, entry.document)
            shown = http.headers["ledger-address"], http.json()["n"]
            assert shown == (entry.address, entry.document["n"])

"""What a page says is proved of its entries: never more than the chain and the log show."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, Log
from ledger.format.layout import LOG_CHECKPOINT, head_key, sealed_key
from ledger.stores import MemoryStore
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR, ledger_in
from tests.service.client import HTML, TITLE, Client
from tests.tampering import without

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Entry
    from ledger.stores import Store


class Shown:
    """Three versions of a title, of which the log has the first two; and its pages."""

    def __init__(self, folder: Path) -> None:
        self.ledger: Ledger = ledger_in(MemoryStore())
        self.entries: list[Entry] = [self.ledger.append(TITLE, {"n": n}) for n in (1, 2)]
        self.log = Log(self.ledger)
        self.memory = folder / "memory.json"
        self.log.seal(LOG_KEY, self.memory, genesis=True)
        self.entries.append(self.ledger.append(TITLE, {"n": 3}))
        self.client = Client(self.ledger)

    def verdict(self, path: str) -> tuple[str, str]:
        """The state and the words of the only verdict on a page."""
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == 200, answer.text
        ((state, inner),) = re.findall(
            r'<div class="verdict (?:line-of )?(\w+)">(.*?)</div>', answer.text, re.DOTALL
        )
        return state, " ".join(unescape(re.sub("<[^>]*>", " ", inner)).split())

    @property
    def paths(self) -> list[str]:
        address = self.entries[1].address
        title = f"/titles/{TITLE}"
        return [
            title,
            f"{title}?version=2",
            f"{title}/entries",
            f"{title}/entries/{address}",
            f"{title}/diff",
            f"{title}/verification",
        ]


def _put(store: Store, key: str, data: bytes) -> None:
    """Write to a store, as its owner can."""
    blob = store.get(key)
    if blob is None:
        store.create(key, data)
    else:
        store.replace(key, data, blob.version)


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


def test_every_page_with_an_entry_says_whether_the_log_has_it(shown: Shown) -> None:
    for path in shown.paths:
        assert shown.verdict(path)[0] == "verified", path
    title = f"/titles/{TITLE}"
    for path in (title, f"{title}/entries", f"{title}/diff"):
        assert "It is not in the log yet" in shown.verdict(path)[1]
    for path in (f"{title}?version=2", f"{title}/entries/{shown.entries[0].address}"):
        assert "It is in the log" in shown.verdict(path)[1]


def test_no_page_calls_a_title_verified_that_was_set_back(shown: Shown) -> None:
    shown.log.seal(LOG_KEY, shown.memory)
    _put(shown.ledger.store, head_key(TITLE), shown.entries[1].data)
    for path in shown.paths:
        state, words = shown.verdict(path)
        assert state == "tampered", path
        assert "Do not rely on it" in words
    page = shown.client.get(f"/titles/{TITLE}", headers=HTML).text
    assert "in force today" not in page
    assert "not as logged" in page
    for path in shown.paths:
        assert 'class="tag now"' not in shown.client.get(path, headers=HTML).text, path


@pytest.mark.parametrize("spoilt", [LOG_CHECKPOINT, sealed_key(TITLE)])
def test_no_page_says_what_is_in_force_if_the_log_can_not_tell(shown: Shown, spoilt: str) -> None:
    shown.log.seal(LOG_KEY, shown.memory)
    assert "in force today" in shown.client.get(f"/titles/{TITLE}", headers=HTML).text.lower()
    _put(shown.ledger.store, head_key(TITLE), shown.entries[1].data)
    _put(shown.ledger.store, spoilt, b"spoilt")
    for path in (f"/titles/{TITLE}", f"/titles/{TITLE}?version=1"):
        page = shown.client.get(path, headers=HTML).text
        assert shown.verdict(path)[0] == "unchecked"
        assert "in force" not in page.lower()
        assert "not current" not in page
        assert 'class="tag now"' not in page


def test_an_entry_that_no_chain_has_is_not_called_verified(shown: Shown) -> None:
    # The loser of a race: its entry was written, and the head went to another.
    store = without(shown.ledger.store, f"{TITLE}/{shown.entries[2].address}")
    _put(store, head_key(TITLE), shown.entries[1].data)
    loser = Ledger.open(store, keyring=KEYRING, signer=REGISTRAR).append(TITLE, {"n": "lost"})
    _put(shown.ledger.store, f"{TITLE}/{loser.address}.json", loser.data)
    state, words = shown.verdict(f"/titles/{TITLE}/entries/{loser.address}")
    assert state == "unchecked"
    assert words.startswith("In no chain. ")

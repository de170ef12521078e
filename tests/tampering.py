"""A small ledger, ways to tamper with it, and what a verification must say of each.

``SCENARIOS`` is for every way of verifying there is, and for those to come: build a ``World``,
let a scenario change it, hand it to the verification, and see that it names the object and the
reason that the scenario gives::

    world = small_world()
    named = scenario.change(world)
    assert_named(verifier(world), scenario.slug, named)
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ledger import Keyring, Ledger, Log, PrivateKey, Report
from ledger.format.canonical import encode
from ledger.format.entry import address_of, short_form
from ledger.format.layout import LOG, PACKS, PENDING, entry_key, head_key, pack_key, parse_entry_key
from ledger.local import parallel
from ledger.local.processes import Processes
from ledger.packs.format import Packable, make_pack
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from ledger.verification import many, prefetch
from tests.format.by_hand import ORDER, pae, sealed, wrap
from tests.sealing.sealers import LOG_KEY, Sealer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger import Store
    from ledger.format.entry import Entry
    from ledger.format.report import Severity

TITLE = "TN1"
OTHER_TITLE = "TN2"
OTHER_ORIGIN = "example.org/other"
HEAD = head_key(TITLE)


# --- signing by hand -----------------------------------------------------------------------------

TEXT_MEMBERS = ("author", "document", "message", "salt")


def signed(key: PrivateKey, entry: dict[str, Any] | bytes, text: bytes | None = None) -> bytes:
    """A stored object of any members, with a valid signature: what a rogue registrar could do.

    Members of an entry (see ``members``) are divided into what is signed and its text, which is
    named by its digest unless a ``text`` stands among them. Bytes are taken as they are.
    """
    if isinstance(entry, bytes):
        return sealed(entry, text, key)
    if text is None:
        text = encode({k: v for k, v in entry.items() if k in TEXT_MEMBERS}, depth=100)
    payload = {k: v for k, v in entry.items() if k not in TEXT_MEMBERS}
    payload.setdefault("text", hashlib.sha256(text).hexdigest())
    return sealed(encode(payload, depth=100), text, key)


def members(entry: Entry, **changes: Any) -> dict[str, Any]:
    """The members of an entry and of its text, changed; the text's digest is left to ``signed``."""
    found: dict[str, Any] = json.loads(entry.payload) | json.loads(entry.text_bytes)
    del found["text"]
    return found | changes


def address(data: bytes) -> str:
    """The name under which bytes are stored."""
    return address_of(data)


# --- the world -----------------------------------------------------------------------------------


@dataclass
class World:
    """All objects of a ledger, and what the verifier knows of it."""

    objects: dict[str, bytes]
    entries: list[Entry]
    """The entries of TITLE, version 1 first."""
    keyring: Keyring
    pin: str | None = None
    origin: str = ORIGIN
    clock: FixedClock = field(default_factory=FixedClock)
    key: PrivateKey = field(default_factory=signer)

    def store(self) -> MemoryStore:
        store = MemoryStore()
        store.create_many(self.objects.items())
        return store

    def open(self, store: Store | None = None) -> Ledger:
        return Ledger.open(
            self.store() if store is None else store,
            keyring=self.keyring,
            origin=self.origin,
            clock=self.clock,
        )

    def put(self, data: bytes, title_number: str = TITLE) -> str:
        """Store an entry under its own name, and return the name."""
        key = entry_key(title_number, address(data))
        self.objects[key] = data
        return key

    def point_head_at(self, data: bytes) -> str:
        """Make this the head, and store it under its own name, too; return the latter."""
        self.objects[HEAD] = data
        return self.put(data)

    def key_of(self, version: int) -> str:
        return entry_key(TITLE, self.entries[version - 1].address)

    def withhold(self, version: int) -> str:
        """Cut the text out of an entry's own object; return its key."""
        key = self.key_of(version)
        self.objects[key] = short_form(self.objects[key])
        return key

    def add(self, **changes: Any) -> str:
        """Put one more version on top, validly signed; return the head's key."""
        last = self.entries[-1]
        more = {"version": last.version + 1, "parent": last.address} | changes
        self.point_head_at(signed(self.key, members(last, **more)))
        return HEAD

    def rewrite(self, version: int, /, **changes: Any) -> str:
        """Replace a version, and sign what follows it anew with the real key, so that all links up.

        Returns the key of the changed entry.
        """
        parent: str | None = None
        for entry in self.entries[version - 1 :]:
            mine = changes if entry.version == version else {"parent": parent}
            data = signed(self.key, members(entry, **mine))
            parent = address(data)
            named = self.put(data)
            if entry.version == version:
                changed = named
        self.objects[HEAD] = data
        return changed


def objects_of(store: Store) -> dict[str, bytes]:
    return {key: blob.data for key in store.list() if (blob := store.get(key))}


def without(store: Store, prefix: str) -> MemoryStore:
    """A store with the same objects, but for those under a prefix: somebody deleted them."""
    left = MemoryStore()
    for key, data in objects_of(store).items():
        if not key.startswith(prefix):
            left.create(key, data)
    return left


def small_world() -> World:
    """Three versions of TITLE and one of OTHER_TITLE."""
    made = _small_world()
    clock = FixedClock(made.clock.now)
    return replace(made, objects=dict(made.objects), entries=list(made.entries), clock=clock)


@cache
def _small_world() -> World:
    """The one that is copied for every test."""
    clock = FixedClock()
    ledger = memory_ledger(clock=clock)
    entries = []
    for owner in ("Ada", "Bo", "Cy"):
        entries.append(ledger.append(TITLE, {"owner": owner}))
        clock.forward(days=1)
    ledger.append(OTHER_TITLE, {"owner": "Di"})
    return World(objects_of(ledger.store), entries, ledger.keyring, clock=clock)


def other_ledger(world: World) -> dict[str, bytes]:
    """The objects of another ledger of the same registrar, whose key counts there, too."""
    other = memory_ledger(origin=OTHER_ORIGIN, clock=world.clock)
    for owner in ("Ada", "Bo", "Cy"):
        other.append(TITLE, {"owner": owner})
    return objects_of(other.store)


# --- verifying -----------------------------------------------------------------------------------

Verifier = "Callable[[World], Report]"


def verify_title(world: World) -> Report:
    return world.open().verify(TITLE, expect=world.pin)


def verify_title_reading_ahead(world: World) -> Report:
    """As on a store where reading means waiting: what its listing names is read beforehand."""
    store = world.store()
    store.concurrency = 8
    return world.open(store).verify(TITLE, expect=world.pin)


def verify_title_in_threads(world: World) -> Report:
    """Entries are checked in chunks, of one here, on several threads, ahead of the judgement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "CHUNK", 1)
        patch.setattr(parallel, "cores", lambda: 3)
        return world.open().verify(TITLE, expect=world.pin)


def verify_all_in_threads(world: World) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "CHUNK", 2)
        patch.setattr(parallel, "cores", lambda: 3)
        return world.open().verify_all()


def verify_all(world: World) -> Report:
    return world.open().verify_all()


@cache
def processes() -> Processes:
    """Two processes for all the tests: to start them takes longer than most tests do."""
    return Processes(2)


def verify_all_in_other_processes(world: World) -> Report:
    """Each process opens the folder for itself."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "SLICE", 1)
        store = FolderStore(folder)
        store.create_many(world.objects.items())
        return world.open(store).verify_all(executor=processes())


def verify_all_reading_ahead(world: World) -> Report:
    store = world.store()
    store.concurrency = 8
    return world.open(store).verify_all()


def verify_title_from_a_listing(world: World) -> Report:
    """As with a long title, where reading means waiting: all that is listed is read beforehand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefetch, "LONG", 0)
        patch.setattr(prefetch, "NEAR_BYTES", 1)  # and kept in a temporary file
        return verify_title_reading_ahead(world)


def verify_all_from_packs(world: World) -> Report:
    """All that the ledger holds now is in a pack, too, made by somebody who checks nothing."""
    entries = sorted(
        (Packable(parsed[0], address(data), data))
        for key, data in world.objects.items()
        if (parsed := parse_entry_key(key))
    )
    name, pack = make_pack(world.origin, list(dict.fromkeys(entries)))
    store = world.store()
    store.create(pack_key(name), pack)
    return world.open(store).verify_all()


def verify_all_from_packs_of_before(world: World) -> Report:
    """The ledger was packed before anybody tampered with it."""
    store = world.store()
    store.create_many(packs_of_before().items())
    return world.open(store).verify_all()


@cache
def packs_of_before() -> dict[str, bytes]:
    packed = small_world().open()
    packed.pack()
    return {key: data for key, data in objects_of(packed.store).items() if key.startswith(PACKS)}


def verify_all_again(world: World) -> Report:
    """After an audit of the world as it was, which remembers it."""
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.write_bytes(state_of_before())
        return world.open().verify_all(state=state)


@cache
def state_of_before() -> bytes:
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        assert small_world().open().verify_all(state=state)
        return state.read_bytes()


def audit_by_the_log(world: World) -> Report:
    """The ledger was sealed before anybody tampered with it."""
    return _audit(world, world.store())


def audit_in_other_processes(world: World) -> Report:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "SLICE", 1)
        store = FolderStore(folder)
        store.create_many(world.objects.items())
        return _audit(world, store, executor=processes())


def _audit(world: World, store: Store, **options: Any) -> Report:
    store.create_many(log_of_before().items())
    for key in list(store.list(PENDING)):
        store.delete(key)
    keyring = world.keyring.trust(ORIGIN, LOG_KEY.public_key, role="log")
    ledger = Ledger.open(store, keyring=keyring, origin=world.origin, clock=world.clock)
    return Log(ledger).audit(**options).run()


@cache
def log_of_before() -> dict[str, bytes]:
    store = small_world().store()
    with TemporaryDirectory() as folder:
        Sealer(Path(folder)).seal(store, genesis=True)
    return {key: data for key, data in objects_of(store).items() if key.startswith(LOG)}


def fsck(world: World) -> Report:
    return world.open().fsck()


def assert_named(report: Report, slug: str, object_key: str, severity: str = "tampering") -> None:
    """The report is not true, and says why: this slug at this object."""
    assert not report
    if slug == "pin-missing":
        severity = "mismatch"
    assert report.outcome == {"tampering": "tampered"}.get(severity, severity)
    found = [(f.severity, f.slug, f.object_key) for f in report.findings]
    assert (severity, slug, object_key) in found, report.findings
    for finding in report.findings:
        assert finding.object_key in finding.message


# --- scenarios -----------------------------------------------------------------------------------


class Scenario(NamedTuple):
    """One way to tamper."""

    name: str
    slug: str
    change: Callable[[World], str]
    """Changes the world; returns the key of the object that has to be named."""
    needs_pin: bool = False
    """Whether only an address remembered from before shows it (``World.pin`` is set by then)."""
    severity: Severity = "tampering"


SCENARIOS: list[Scenario] = []


def for_each(scenarios: Iterable[Scenario], check: Callable[[Scenario], None]) -> None:
    """Check every scenario, and name all that fail, in one test: a hundred cost more than that."""
    failed: list[BaseException] = []
    for each in scenarios:
        try:
            check(each)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised below
            error.add_note(f"where {each.name.replace('_', ' ')}")
            failed.append(error)
    if failed:
        raise BaseExceptionGroup("some tampering is not dealt with", failed)


def scenario(
    slug: str, *, needs_pin: bool = False, severity: Severity = "tampering"
) -> Callable[[Callable[[World], str]], Callable[[World], str]]:
    def register(change: Callable[[World], str]) -> Callable[[World], str]:
        SCENARIOS.append(Scenario(change.__name__, slug, change, needs_pin, severity))
        return change

    return register


# Objects missing, swapped, from elsewhere


@scenario("head-missing")
def the_head_is_missing(world: World) -> str:
    del world.objects[HEAD]
    return HEAD


@scenario("head-missing")
def all_but_the_first_entry_is_missing(world: World) -> str:
    """The markers tell that there was more."""
    for key in (HEAD, world.key_of(2), world.key_of(3)):
        del world.objects[key]
    return HEAD


@scenario("entry-missing")
def the_first_entry_is_missing(world: World) -> str:
    del world.objects[world.key_of(1)]
    return world.key_of(1)


@scenario("entry-missing")
def the_second_entry_is_missing(world: World) -> str:
    del world.objects[world.key_of(2)]
    return world.key_of(2)


@scenario("entry-missing")
def the_newest_entry_is_missing_under_its_own_name(world: World) -> str:
    del world.objects[world.key_of(3)]
    return world.key_of(3)


@scenario("address-mismatch")
def two_entries_are_swapped(world: World) -> str:
    objects, one, two = world.objects, world.key_of(1), world.key_of(2)
    objects[one], objects[two] = objects[two], objects[one]
    return two


@scenario("address-mismatch")
def the_newest_two_entries_are_swapped(world: World) -> str:
    objects, two, three = world.objects, world.key_of(2), world.key_of(3)
    objects[two], objects[three] = objects[three], objects[two]
    return two


@scenario("address-mismatch")
def the_head_and_the_first_entry_are_swapped(world: World) -> str:
    objects, one = world.objects, world.key_of(1)
    objects[one], objects[HEAD] = objects[HEAD], objects[one]
    return one


@scenario("wrong-title")
def the_head_is_that_of_another_title(world: World) -> str:
    world.objects[HEAD] = world.objects[head_key(OTHER_TITLE)]
    return HEAD


@scenario("wrong-title")
def the_chain_leads_into_another_title(world: World) -> str:
    foreign = world.objects[head_key(OTHER_TITLE)]
    named = world.put(foreign)
    world.rewrite(2, parent=address(foreign))
    return named


@scenario("wrong-ledger")
def the_title_is_that_of_another_ledger(world: World) -> str:
    foreign = other_ledger(world)
    del foreign["ledger.json"]
    world.objects.update(foreign)
    return HEAD


@scenario("wrong-ledger")
def one_entry_is_of_another_ledger(world: World) -> str:
    return world.rewrite(2, ledger=OTHER_ORIGIN)


# History that is valid in itself, but not what it was


@scenario("pin-missing", needs_pin=True)
def the_head_names_a_dangling_sibling(world: World) -> str:
    world.pin = world.entries[2].address
    world.rewrite(3, document={"owner": "Eve"})
    return HEAD


@scenario("pin-missing", needs_pin=True)
def the_head_is_set_back(world: World) -> str:
    world.pin = world.entries[2].address
    world.objects[HEAD] = world.entries[1].data
    return HEAD


@scenario("pin-missing", needs_pin=True)
def the_whole_history_is_another_one_of_the_same_registrar(world: World) -> str:
    world.pin = world.entries[0].address
    world.rewrite(1, document={"owner": "Eve"})
    return HEAD


@scenario("head-missing", needs_pin=True)
def all_of_the_title_is_gone(world: World) -> str:
    world.pin = world.entries[2].address
    world.objects = {k: v for k, v in world.objects.items() if not k.startswith(f"{TITLE}/")}
    return HEAD


# Links that don't fit, made with the real key


@scenario("wrong-version")
def a_version_is_left_out(world: World) -> str:
    return world.rewrite(3, parent=world.entries[0].address)


@scenario("wrong-version")
def a_version_comes_twice(world: World) -> str:
    return world.point_head_at(
        signed(world.key, members(world.entries[2], parent=world.entries[2].address))
    )


@scenario("wrong-version")
def a_version_goes_back(world: World) -> str:
    return world.point_head_at(
        signed(world.key, members(world.entries[2], version=2, parent=world.entries[2].address))
    )


@scenario("malformed-entry")
def the_first_version_has_a_parent(world: World) -> str:
    return world.rewrite(1, parent=world.entries[2].address)


@scenario("malformed-entry")
def a_later_version_has_no_parent(world: World) -> str:
    return world.rewrite(2, parent=None)


@scenario("malformed-entry")
def the_first_version_is_called_zero(world: World) -> str:
    return world.rewrite(1, version=0)


@scenario("time-reversed")
def a_version_is_older_than_its_parent(world: World) -> str:
    return world.rewrite(2, recorded_at="2026-11-23T09:59:59.999999Z")


# Keys that don't count


@scenario("unknown-key")
def a_version_is_signed_by_an_unknown_key(world: World) -> str:
    eve = signer("eve")
    forged = members(world.entries[2], key=eve.public_key.key_id)
    return world.point_head_at(signed(eve, forged)) and HEAD


@scenario("unknown-key")
def a_version_in_the_middle_is_signed_by_an_unknown_key(world: World) -> str:
    eve = signer("eve")
    second = signed(eve, members(world.entries[1], key=eve.public_key.key_id))
    third = signed(world.key, members(world.entries[2], parent=address(second)))
    world.point_head_at(third)
    return world.put(second)


@scenario("untrusted-key")
def the_key_counts_for_another_ledger_only(world: World) -> str:
    world.keyring = keyring_for(signer("bob")).trust(OTHER_ORIGIN, world.key.public_key)
    return HEAD


@scenario("untrusted-key")
def the_key_counts_in_another_role_only(world: World) -> str:
    world.keyring = keyring_for(signer("bob")).trust(ORIGIN, world.key.public_key, role="log")
    return HEAD


@scenario("unknown-key")
def the_key_has_a_small_order(world: World) -> str:
    """R = A = the neutral element, S = 0: OpenSSL finds this signature good for any message."""
    neutral = b"\x01" + bytes(31)
    key_id = hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + neutral).hexdigest()
    data = signed(world.key, members(world.entries[2], key=key_id))
    text = world.entries[2].text_bytes
    payload = data[len(b'{"entry":') : data.index(b',"signature":"')]
    world.point_head_at(wrap(payload, neutral + bytes(32), text))
    return HEAD


@scenario("bad-signature")
def a_version_is_signed_by_another_key_than_it_says(world: World) -> str:
    return world.point_head_at(signed(signer("eve"), members(world.entries[2]))) and HEAD


def _signature(world: World, signature: bytes | str) -> str:
    """Give the newest version another signature."""
    newest = world.entries[2]
    return world.point_head_at(wrap(newest.payload, signature, newest.text_bytes)) and HEAD


@scenario("bad-signature")
def a_signature_is_over_the_payload_alone(world: World) -> str:
    return _signature(world, world.key.sign(world.entries[2].payload))


@scenario("bad-signature")
def a_signature_is_over_another_type_of_payload(world: World) -> str:
    other = pae(world.entries[2].payload, b"application/vnd.title-ledger.entry.v2+json")
    return _signature(world, world.key.sign(other))


@scenario("bad-signature")
def a_signature_is_over_the_text_as_well(world: World) -> str:
    newest = world.entries[2]
    return _signature(world, world.key.sign(pae(newest.payload + newest.text_bytes)))


@scenario("bad-signature")
def the_signature_is_that_of_another_version(world: World) -> str:
    return _signature(world, world.entries[1].signature)


@scenario("bad-signature")
def the_signature_has_a_small_order_r(world: World) -> str:
    return _signature(world, b"\x01" + bytes(63))


@scenario("bad-signature")
def the_signature_has_a_non_canonical_s(world: World) -> str:
    good = world.entries[2].signature
    s = int.from_bytes(good[32:], "little") + ORDER
    return _signature(world, good[:32] + s.to_bytes(32, "little"))


@scenario("malformed-entry")
def the_signature_is_too_long_for_its_key(world: World) -> str:
    return _signature(world, world.entries[2].signature + bytes(1))


@scenario("malformed-entry")
def the_signature_has_another_base64(world: World) -> str:
    """88 characters carry 2 bits more than 64 bytes need, 4 in all: 16 spellings, one of ours."""
    good = base64.b64encode(world.entries[2].signature).decode()
    assert good.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(good[-3]) | 1]
    assert last != good[-3]
    return _signature(world, f"{good[:-3]}{last}==")


@scenario("malformed-entry")
def the_signature_has_url_safe_base64(world: World) -> str:
    return _signature(world, "--" + base64.b64encode(world.entries[2].signature).decode()[2:])


# Bytes that are not canonical, with a valid signature over just these bytes


def _spelled(name: str, spell: Callable[[bytes], bytes]) -> None:
    def change(world: World) -> str:
        newest = world.entries[2]
        payload = spell(newest.payload)
        assert payload != newest.payload
        return world.point_head_at(signed(world.key, payload, newest.text_bytes)) and HEAD

    SCENARIOS.append(Scenario(f"a_payload_{name}", "malformed-entry", change))


REFERENCE = b'"reference":""'

_spelled("with_a_space", lambda p: p.replace(b":", b": ", 1))
_spelled("with_a_line_end", lambda p: p + b"\n")
_spelled("with_an_escape", lambda p: p.replace(b"registration", rb"registr\u0061tion"))
_spelled("with_an_escaped_name", lambda p: p.replace(b'"kind"', rb'"\u006bind"'))
_spelled("with_a_float_for_its_version", lambda p: p.replace(b'"version":3', b'"version":3.0'))
_spelled(
    "with_a_member_twice",
    lambda p: p.replace(b'"kind":"registration"', b'"kind":"registration","kind":"registration"'),
)
_spelled(
    "in_another_order",
    lambda p: b'{"voids":[],' + p[1:].removesuffix(b',"voids":[]}') + b"}",
)
_spelled("that_is_not_utf_8", lambda p: p.replace(REFERENCE, b'"reference":"\xff"'))
_spelled("with_a_lone_surrogate", lambda p: p.replace(REFERENCE, rb'"reference":"\ud800"'))
_spelled("with_a_delete_character", lambda p: p.replace(REFERENCE, b'"reference":"\x7f"'))
_spelled("that_is_cut", lambda p: p[:-1])
_spelled("that_is_no_object", lambda p: b"[" + p + b"]")
_spelled("that_is_null", lambda p: b"null")
_spelled("with_a_large_number", lambda p: p.replace(REFERENCE, b'"reference":1e+30'))
_spelled("with_a_large_integer", lambda p: p.replace(b":3,", b":9007199254740992,"))
_spelled("with_nan", lambda p: p.replace(REFERENCE, b'"reference":NaN'))
_spelled(
    "nested_too_deep",
    lambda p: p.replace(REFERENCE, b'"reference":' + b"[" * 66 + b"]" * 66),
)
_spelled(
    "of_more_than_4000_bytes",
    lambda p: p.replace(REFERENCE, b'"reference":"%b"' % (b"x" * (4001 - len(p)))),
)
_spelled(
    "that_does_not_end_in_time", lambda p: p.replace(REFERENCE, b'"reference":"%b"' % bytes(20_000))
)


def _text(name: str, slug: str, spell: Callable[[bytes], bytes]) -> None:
    """Give the newest version another text, which it names by its digest."""

    def change(world: World) -> str:
        newest = world.entries[2]
        text = spell(newest.text_bytes)
        assert text != newest.text_bytes
        return world.point_head_at(signed(world.key, members(newest), text)) and HEAD

    SCENARIOS.append(Scenario(f"a_text_{name}", slug, change))


_text("with_a_space", "malformed-entry", lambda t: t.replace(b":", b": ", 1))
_text("with_a_line_end", "malformed-entry", lambda t: t + b"\n")
_text("with_an_escape", "malformed-entry", lambda t: t.replace(b"Cy", rb"C\u0079"))
_text("with_an_escaped_name", "malformed-entry", lambda t: t.replace(b"owner", rb"\u006fwner"))
_text(
    "with_a_member_twice",
    "malformed-entry",
    lambda t: t.replace(b'"owner":"Cy"', b'"owner":"Cy","owner":"Cy"'),
)
_text("that_is_not_utf_8", "malformed-entry", lambda t: t.replace(b"Cy", b"C\xff"))
_text("with_a_lone_surrogate", "malformed-entry", lambda t: t.replace(b"Cy", rb"\ud800"))
_text("that_is_cut", "malformed-entry", lambda t: t[:-1])
_text("that_is_empty", "malformed-entry", lambda t: b"")
_text("with_a_large_number", "malformed-entry", lambda t: t.replace(b'"Cy"', b"1e+30"))
_text("with_a_large_integer", "malformed-entry", lambda t: t.replace(b'"Cy"', b"9007199254740992"))
_text("with_nan", "malformed-entry", lambda t: t.replace(b'"Cy"', b"NaN"))
_text("nested_too_deep", "malformed-entry", lambda t: t.replace(b'"Cy"', b"[" * 64 + b"]" * 64))
_text("that_is_too_large", "malformed-entry", lambda t: t.replace(b"Cy", b"x" * (1 << 20)))
_text("and_another_member", "malformed-entry", lambda t: t + b',"z":0')
_text("that_is_a_list", "malformed-text", lambda t: b"[" + t + b"]")
_text("that_is_null", "malformed-text", lambda t: b"null")
_text("with_an_unknown_member", "malformed-text", lambda t: t[:-1] + b',"z":0}')


@scenario("malformed-entry")
def the_object_has_a_space_around_the_payload(world: World) -> str:
    return world.point_head_at(world.entries[2].data.replace(b',"sig', b' ,"sig')) and HEAD


@scenario("malformed-entry")
def the_object_has_a_line_end(world: World) -> str:
    return world.point_head_at(world.entries[2].data + b"\n") and HEAD


@scenario("malformed-entry")
def the_object_has_another_member(world: World) -> str:
    data = world.entries[2].data.replace(b',"signature"', b',"more":1,"signature"')
    return world.point_head_at(data) and HEAD


@scenario("malformed-entry")
def the_object_is_empty(world: World) -> str:
    world.objects[HEAD] = b""
    return HEAD


# Members that are not those of the format, under a valid signature


def _with(name: str, slug: str = "malformed-entry", **changes: Any) -> None:
    def change(world: World) -> str:
        return world.rewrite(2, **changes)

    SCENARIOS.append(Scenario(name, slug, change))


_with("an_unknown_member", more=1)
_with("an_effective_date_that_is_a_number", effective_at=2026)
_with("an_effective_date_that_is_none_such", effective_at="2026-02-30")
_with("an_effective_date_that_is_empty", effective_at="")
_with("an_end_that_is_a_number", effective_until=2026)
_with("an_end_that_is_none_such", effective_until="2026-13")
_with("bounds_that_are_reversed", effective_at="2026-04", effective_until="2026-03-31")
_with("bounds_that_are_the_same", effective_at="2026-04", effective_until="2026-04-01")
_with("an_end_before_it_was_recorded", effective_until="2026-11-24")
_with("a_kind_that_is_no_string", kind=None)
_with("a_status_that_is_no_string", status=None)
_with("a_ledger_that_is_no_origin", ledger="a b")
_with("a_ledger_that_is_null", ledger=None)
_with("a_reference_that_is_a_number", reference=1)
_with("a_reference_that_is_too_long", reference="x" * 257)
_with("a_reference_with_a_character_that_nobody_sees", reference="APP\u200b1")
_with("a_reference_that_ends_with_a_blank", reference="APP-1 ")
_with("a_part_that_is_a_text", part="1/1")
_with("a_part_of_three_numbers", part=[1, 1, 1])
_with("a_part_beyond_the_last", part=[3, 2], reference="APP-1")
_with("a_part_zero", part=[0, 2], reference="APP-1")
_with("a_part_of_too_many", part=[1, 1001], reference="APP-1")
_with("a_part_without_a_reference", part=[1, 2])
_with("an_erasure_without_a_reference", erases=[1])
_with("an_erasure_of_itself", erases=[2], reference="ORDER-1")
_with("an_erasure_of_a_version_twice", erases=[1, 1], reference="ORDER-1")
_with("an_erasure_of_version_zero", erases=[0], reference="ORDER-1")
_with("an_erasure_that_is_null", erases=None, reference="ORDER-1")
_with("a_version_both_confirmed_and_void", confirms=[1], voids=[1])
_with("a_void_version_that_is_a_text", voids=["1"])
_with("a_list_in_a_list", confirms=[[1]])
_with("a_parent_that_is_no_address", parent="HEAD")
_with("a_parent_in_upper_case", parent="A" * 64)
_with("a_text_digest_that_is_none", text="A" * 64)
_with("a_time_without_microseconds", recorded_at="2026-11-24T10:00:00Z")
_with("a_time_with_an_offset", recorded_at="2026-11-24T10:00:00.000000+00:00")
_with("a_time_that_is_none_such", recorded_at="2026-02-30T10:00:00.000000Z")
_with("a_time_that_is_null", recorded_at=None)
_with("a_title_number_in_lower_case", title_number="tn1")
_with("a_title_number_that_climbs", title_number="../TN1")
_with("a_version_that_is_true", version=True)
_with("a_version_that_is_a_string", version="2")
_with("a_version_that_is_a_float", version=2.5)
_with("a_version_that_is_negative", version=-2)
_with("a_document_that_is_a_list", "malformed-text", document=[])
_with("a_document_that_is_null", "malformed-text", document=None)
_with("a_document_of_another_title", "malformed-text", document={"title_number": OTHER_TITLE})
_with("a_document_with_a_digest", "malformed-text", document={"sha256": "x"})
_with("an_author_that_is_null", "malformed-text", author=None)
_with("an_author_that_is_too_long", "malformed-text", author="x" * 257)
_with("a_message_that_is_null", "malformed-text", message=None)
_with("a_message_that_is_too_long", "malformed-text", message="x" * 4097)
_with("a_salt_that_is_short", "malformed-text", salt="0" * 62)
_with("a_salt_in_upper_case", "malformed-text", salt="A" * 64)
_with("a_text_that_is_not_the_one_named", "text-mismatch", text="0" * 64)


def _without(name: str) -> None:
    def change(world: World) -> str:
        left = members(world.entries[2])
        del left[name]
        return world.point_head_at(signed(world.key, left)) and HEAD

    slug = "malformed-text" if name in TEXT_MEMBERS else "malformed-entry"
    SCENARIOS.append(Scenario(f"an_entry_without_{name}", slug, change))


for _name in sorted(members(small_world().entries[0])):
    _without(_name)


@scenario("malformed-entry")
def an_entry_without_the_digest_of_its_text(world: World) -> str:
    newest = world.entries[2]
    payload = newest.payload.replace(b'"text":"%b",' % newest.text.encode(), b"")
    assert payload != newest.payload
    return world.point_head_at(signed(world.key, payload, newest.text_bytes)) and HEAD


# Texts: gone, or not the one that was registered


@scenario("text-missing")
def a_text_is_withheld_that_no_entry_erases(world: World) -> str:
    return world.withhold(2)


@scenario("text-missing")
def the_text_of_the_first_version_is_withheld(world: World) -> str:
    return world.withhold(1)


@scenario("text-missing")
def another_text_is_withheld_than_the_erased_one(world: World) -> str:
    world.add(erases=[1], reference="ORDER-1")
    world.withhold(1)
    return world.withhold(2)


@scenario("text-missing")
def a_text_is_withheld_that_only_an_entry_below_names(world: World) -> str:
    """Version 3 is not above itself: what it erases is version 1."""
    named = world.rewrite(3, erases=[1], reference="ORDER-1")
    world.withhold(1)
    world.objects[named] = short_form(world.objects[named])
    world.add(parent=address(world.objects[named]))
    return named


@scenario("text-missing")
def the_newest_text_is_withheld_under_its_own_name(world: World) -> str:
    return world.withhold(3)


@scenario("text-missing")
def the_head_is_short(world: World) -> str:
    world.objects[HEAD] = short_form(world.objects[HEAD])
    return HEAD


@scenario("text-missing")
def the_head_and_its_own_object_are_short(world: World) -> str:
    world.withhold(3)
    return the_head_is_short(world)


def _with_text(world: World, version: int, text: bytes) -> bytes:
    entry = world.entries[version - 1]
    return wrap(entry.payload, entry.signature, text)


@scenario("text-mismatch")
def a_version_has_the_text_of_another(world: World) -> str:
    key = world.key_of(2)
    world.objects[key] = _with_text(world, 2, world.entries[0].text_bytes)
    return key


@scenario("text-mismatch")
def the_head_has_the_text_of_another_version(world: World) -> str:
    world.objects[HEAD] = _with_text(world, 3, world.entries[0].text_bytes)
    return HEAD


@scenario("text-mismatch")
def the_newest_version_has_another_text_under_its_own_name(world: World) -> str:
    key = world.key_of(3)
    world.objects[key] = _with_text(world, 3, world.entries[0].text_bytes)
    return key


@scenario("text-mismatch")
def a_text_has_another_salt(world: World) -> str:
    key, entry = world.key_of(2), world.entries[1]
    text = encode(json.loads(entry.text_bytes) | {"salt": "0" * 64})
    world.objects[key] = _with_text(world, 2, text)
    return key


@scenario("text-mismatch")
def an_erased_text_is_replaced_by_another(world: World) -> str:
    world.add(erases=[2], reference="ORDER-1")
    return a_version_has_the_text_of_another(world)


# What takes a later version of this software, or a trust file, to judge


def _unchecked(name: str, slug: str, **changes: Any) -> None:
    def change(world: World) -> str:
        return world.add(**changes)

    SCENARIOS.append(Scenario(name, slug, change, severity="unchecked"))


_unchecked("an_unknown_kind", "unsupported-kind", kind="redaction")
_unchecked("an_unknown_kind_with_other_members", "unsupported-kind", kind="redaction", more=[1, ""])
_unchecked("an_unknown_kind_with_another_text", "unsupported-kind", kind="redaction", document=[])
_unchecked("an_unknown_status", "unsupported-status", status="frozen")
_unchecked("a_version_that_is_void", "needs-trust", voids=[2])
_unchecked("a_version_that_is_confirmed", "needs-trust", confirms=[1, 3])


@scenario("unsupported-kind", severity="unchecked")
def an_unknown_kind_in_the_middle(world: World) -> str:
    """The walk goes on below it."""
    below = signed(
        world.key,
        members(world.entries[2], version=4, parent=world.entries[2].address, kind="redaction"),
    )
    named = world.put(below)
    world.add(version=5, parent=address(below))
    return named

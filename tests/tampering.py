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
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import ledger.ledger as ledger_module
from ledger import Keyring, Ledger, Log, PrivateKey, Report
from ledger.format.canonical import encode
from ledger.format.entry import PAYLOAD_TYPE, Entry
from ledger.format.layout import LOG, PACKS, PENDING, entry_key, head_key, pack_key, parse_entry_key
from ledger.local import parallel
from ledger.local.processes import Processes
from ledger.packs.format import Packable, make_pack
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from ledger.verification import prefetch, walk
from tests.sealing.sealers import LOG_KEY, Sealer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger import Signer, Store

TITLE = "TN1"
OTHER_TITLE = "TN2"
OTHER_ORIGIN = "example.org/other"
HEAD = head_key(TITLE)


# --- sealing by hand -----------------------------------------------------------------------------


def pae(payload: bytes, payload_type: bytes = PAYLOAD_TYPE) -> bytes:
    """The DSSE v1 pre-authentication encoding, written out from its specification."""
    parts = [b"DSSEv1", str(len(payload_type)).encode(), payload_type]
    return b" ".join([*parts, str(len(payload)).encode(), payload])


def wrap(payload: bytes, signature: bytes) -> bytes:
    """The stored object."""
    return b'{"entry":' + payload + b',"signature":"' + base64.b64encode(signature) + b'"}'


def signed(key: Signer, payload: dict[str, Any] | bytes) -> bytes:
    """The stored object of any payload, with a valid signature: what a rogue registrar could do."""
    payload = payload if isinstance(payload, bytes) else encode(payload, depth=100)
    return wrap(payload, key.sign(pae(payload)))


def members(entry: Entry, **changes: Any) -> dict[str, Any]:
    """The members of an entry, changed."""
    names = "effective_at key kind ledger message parent recorded_at reference title_number version"
    found = {name: getattr(entry, name) for name in names.split()}
    return found | {"document": entry.document} | changes


def address(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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

    def rewrite(self, version: int, /, **changes: Any) -> str:
        """Replace a version, and seal what follows it anew with the real key, so that all links up.

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
        patch.setattr(ledger_module, "cores", lambda: 3)
        return world.open().verify(TITLE, expect=world.pin)


def verify_all_in_threads(world: World) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "CHUNK", 2)
        patch.setattr(ledger_module, "cores", lambda: 3)
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
        patch.setattr(walk, "TITLES", 1)
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
    before = small_world()
    packed = before.open()
    packed.pack()
    store = world.store()
    for key, data in objects_of(packed.store).items():
        if key.startswith(PACKS):
            store.create(key, data)
    return world.open(store).verify_all()


def verify_all_again(world: World) -> Report:
    """After an audit of the world as it was, which remembers it."""
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        assert small_world().open().verify_all(state=state)
        return world.open().verify_all(state=state)


def audit_by_the_log(world: World) -> Report:
    """The ledger was sealed before anybody tampered with it."""
    store = world.store()
    for key, data in log_of_before().items():
        store.create(key, data)
    for key in list(store.list(PENDING)):
        store.delete(key)
    keyring = world.keyring.trust(ORIGIN, LOG_KEY.public_key, role="log")
    ledger = Ledger.open(store, keyring=keyring, origin=world.origin, clock=world.clock)
    return Log(ledger).audit().run()


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


SCENARIOS: list[Scenario] = []


def scenario(
    slug: str, *, needs_pin: bool = False
) -> Callable[[Callable[[World], str]], Callable[[World], str]]:
    def register(change: Callable[[World], str]) -> Callable[[World], str]:
        SCENARIOS.append(Scenario(change.__name__, slug, change, needs_pin))
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
    return world.point_head_at(signed(eve, members(world.entries[2], key=eve.key_id))) and HEAD


@scenario("unknown-key")
def a_version_in_the_middle_is_signed_by_an_unknown_key(world: World) -> str:
    eve = signer("eve")
    second = signed(eve, members(world.entries[1], key=eve.key_id))
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
    payload = encode(members(world.entries[2], key=key_id))
    world.point_head_at(wrap(payload, neutral + bytes(32)))
    return HEAD


@scenario("bad-signature")
def a_version_is_signed_by_another_key_than_it_says(world: World) -> str:
    return world.point_head_at(signed(signer("eve"), members(world.entries[2]))) and HEAD


@scenario("bad-signature")
def a_signature_is_over_the_payload_alone(world: World) -> str:
    payload = world.entries[2].payload
    return world.point_head_at(wrap(payload, world.key.sign(payload))) and HEAD


@scenario("bad-signature")
def a_signature_is_over_another_type_of_payload(world: World) -> str:
    payload = world.entries[2].payload
    signature = world.key.sign(pae(payload, b"application/vnd.title-ledger.entry.v2+json"))
    return world.point_head_at(wrap(payload, signature)) and HEAD


@scenario("bad-signature")
def the_signature_is_that_of_another_version(world: World) -> str:
    data = wrap(world.entries[2].payload, world.entries[1].signature)
    return world.point_head_at(data) and HEAD


@scenario("bad-signature")
def the_signature_has_a_small_order_r(world: World) -> str:
    data = wrap(world.entries[2].payload, b"\x01" + bytes(63))
    return world.point_head_at(data) and HEAD


@scenario("bad-signature")
def the_signature_has_a_non_canonical_s(world: World) -> str:
    good = world.entries[2].signature
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(good[32:], "little") + order
    return (
        world.point_head_at(wrap(world.entries[2].payload, good[:32] + s.to_bytes(32, "little")))
        and HEAD
    )


# Bytes that are not canonical, with a valid signature over just these bytes


def _spelled(name: str, spell: Callable[[bytes], bytes]) -> None:
    def change(world: World) -> str:
        payload = spell(world.entries[2].payload)
        assert payload != world.entries[2].payload
        return world.point_head_at(signed(world.key, payload)) and HEAD

    SCENARIOS.append(Scenario(name, "malformed-entry", change))


_spelled("a_payload_with_a_space", lambda p: p.replace(b":", b": ", 1))
_spelled("a_payload_with_a_line_end", lambda p: p + b"\n")
_spelled("a_payload_with_an_escape", lambda p: p.replace(b"Cy", rb"C\u0079"))
_spelled("a_payload_with_an_escaped_name", lambda p: p.replace(b"owner", rb"\u006fwner"))
_spelled("a_payload_with_a_float_for_its_version", lambda p: p.replace(b":3}", b":3.0}"))
_spelled(
    "a_payload_with_a_member_twice",
    lambda p: p.replace(b'"kind":"registration"', b'"kind":"registration","kind":"registration"'),
)
_spelled(
    "a_payload_in_another_order",
    lambda p: b'{"version":3,' + p[1:].removesuffix(b',"version":3}') + b"}",
)
_spelled("a_payload_that_is_not_utf_8", lambda p: p.replace(b"Cy", b"C\xff"))
_spelled("a_payload_with_a_lone_surrogate", lambda p: p.replace(b"Cy", rb"\ud800"))
_spelled("a_payload_that_is_cut", lambda p: p[:-1])
_spelled("a_payload_that_is_no_object", lambda p: b"[" + p + b"]")
_spelled("a_payload_that_is_null", lambda p: b"null")
_spelled("a_payload_with_a_large_number", lambda p: p.replace(b'"Cy"', b"1e+30"))
_spelled("a_payload_with_a_large_integer", lambda p: p.replace(b'"Cy"', b"9007199254740992"))
_spelled("a_payload_with_nan", lambda p: p.replace(b'"Cy"', b"NaN"))
_spelled("a_payload_nested_too_deep", lambda p: p.replace(b'"Cy"', b"[" * 64 + b"]" * 64))
_spelled("a_payload_that_is_too_large", lambda p: p.replace(b"Cy", b"x" * (1 << 20)))


@scenario("malformed-entry")
def the_signature_has_another_base64(world: World) -> str:
    """88 characters carry 2 bits more than 64 bytes need, 4 in all: 16 spellings, one of ours."""
    data = world.entries[2].data
    assert data.endswith(b'=="}')
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(data[-5]) | 1]
    assert last != data[-5]
    return world.point_head_at(data[:-5] + bytes([last]) + data[-4:]) and HEAD


@scenario("malformed-entry")
def the_signature_has_url_safe_base64(world: World) -> str:
    data = world.entries[2].data
    changed = data[:-92] + data[-92:].replace(b"+", b"-").replace(b"/", b"_")
    if changed == data:  # no such character in this signature: put one there
        changed = data[:-92] + b"--" + data[-90:]
    return world.point_head_at(changed) and HEAD


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


def _with(name: str, **changes: Any) -> None:
    def change(world: World) -> str:
        return world.rewrite(2, **changes)

    SCENARIOS.append(Scenario(name, "malformed-entry", change))


_with("an_unknown_member", more=1)
_with("a_document_that_is_a_list", document=[])
_with("a_document_that_is_null", document=None)
_with("a_document_of_another_title", document={"title_number": OTHER_TITLE})
_with("a_document_with_a_digest", document={"sha256": "x"})
_with("an_effective_date_that_is_a_number", effective_at=2026)
_with("an_effective_date_that_is_none_such", effective_at="2026-02-30")
_with("an_effective_date_that_is_empty", effective_at="")
_with("a_kind_that_is_no_string", kind=None)
_with("a_ledger_that_is_no_origin", ledger="a b")
_with("a_ledger_that_is_null", ledger=None)
_with("a_message_that_is_null", message=None)
_with("a_reference_that_is_a_number", reference=1)
_with("a_parent_that_is_no_address", parent="HEAD")
_with("a_parent_in_upper_case", parent="A" * 64)
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


def _without(name: str) -> None:
    def change(world: World) -> str:
        left = members(world.entries[2])
        del left[name]
        return world.point_head_at(signed(world.key, left)) and HEAD

    SCENARIOS.append(Scenario(f"an_entry_without_{name}", "malformed-entry", change))


for _name in (
    "document",
    "effective_at",
    "key",
    "kind",
    "ledger",
    "message",
    "parent",
    "recorded_at",
    "reference",
    "title_number",
    "version",
):
    _without(_name)

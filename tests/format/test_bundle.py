"""The bundle file: one byte string for one content, and nothing else is read."""

from __future__ import annotations

import io
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, UnsupportedFormatError
from ledger.format.bundle import BUNDLE_KEY, BundleReader, Header, write_bundle
from ledger.format.entry import MAX_BYTES
from ledger.format.layout import entry_key, head_key
from ledger.testing import ORIGIN
from ledger.titles.identity import encode_identity
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(60))

ADDRESSES = [f"{number:064x}" for number in range(4)]
START = [
    (BUNDLE_KEY, Header(ORIGIN, complete=True).encode()),
    ("ledger.json", encode_identity(ORIGIN)),
]
TITLES = [
    ("TN1/head.json", b"head"),
    (entry_key("TN1", ADDRESSES[0]), b"newest"),
    (entry_key("TN1", ADDRESSES[1]), b"x" * 512),
    ("TN2/head.json", b""),
]


def packed(objects) -> bytes:
    return b"".join(write_bundle(objects))


def read(data: bytes) -> list[tuple[str, bytes]]:
    """Everything in a bundle, read to its end."""
    reader = BundleReader(io.BytesIO(data))
    found = [(BUNDLE_KEY, reader.header.encode()), ("ledger.json", reader.ledger)]
    for section in reader.sections():
        found.append((head_key(section.title_number), section.head))
        for address in ADDRESSES:
            entry = section.read(address)
            if entry is not None:
                found.append((entry_key(section.title_number, address), entry))
    return found


def _read_or_none(data: bytes) -> list[tuple[str, bytes]] | None:
    try:
        return read(data)
    except LedgerError:
        return None


def test_what_is_packed_is_read():
    assert read(packed(START + TITLES)) == START + TITLES
    assert read(packed(START)) == START


def test_a_bundle_is_a_tar_archive_that_python_and_tar_read(tmp_path):
    data = packed(START + TITLES)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(m.name, archive.extractfile(m).read()) for m in archive] == START + TITLES
        for member in archive.getmembers():
            assert (member.mode, member.uid, member.mtime, member.uname) == (0o644, 0, 0, "")
    (tmp_path / "b.tar").write_bytes(data)
    listed = subprocess.check_output(["tar", "tf", tmp_path / "b.tar"], text=True, timeout=60)
    assert listed.split() == [key for key, _ in START + TITLES]


def test_the_same_content_makes_the_same_bytes():
    assert packed(START + TITLES) == packed(iter(START + TITLES))
    assert len(packed(START)) == 2 * (512 + 512) + 1024


@law
@given(st.integers(0, 1500))
def test_a_member_of_any_size_is_kept(size):
    objects = [*START, ("TN1/head.json", b"\0" * size)]
    assert read(packed(objects)) == objects


def test_the_longest_title_number_fits():
    title = "X" * 32
    objects = [*START, (head_key(title), b"h"), (entry_key(title, ADDRESSES[0]), b"e")]
    assert read(packed(objects)) == objects


def test_titles_are_in_the_order_of_their_keys():
    """As every store lists them: "A-1/" is before "A/"."""
    good = [(head_key(title), b"") for title in ("A-1", "A", "A0", "A_")]
    assert read(packed(START + good)) == START + good
    for objects in (good[::-1], [good[0], good[0]], [good[1], good[0]]):
        with pytest.raises(MalformedError, match="comes after"):
            read(packed(START + objects))


@pytest.mark.parametrize(
    "objects",
    [
        [],
        TITLES,
        START[:1],
        START[1:],
        START[::-1],
        [START[0], *START],
        [*START, TITLES[1]],
        [*START, ("README.md", b"")],
        [*START, ("TN1/readme.json", b"")],
        [*START, ("_pending/x", b"")],
        [*START, *TITLES[:2], ("TN1/readme.json", b"")],
        [*START, *TITLES[:2], (entry_key("TN2", ADDRESSES[1]), b"")],
        [*START, *TITLES[:3], TITLES[1]],
        [*START, ("a/../b", b"")],
        [*START, ("/etc/passwd", b"")],
        [*START, ("../x", b"")],
        [*START, ("tn1/head.json", b"")],
        [*START, ("CON/head.json", b"")],
    ],
)
def test_members_that_are_missing_or_out_of_place_are_refused(objects):
    with pytest.raises(MalformedError, match="not a"):
        read(packed(objects))


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_every_cut_and_every_changed_or_added_byte_of_the_frame_is_refused(step):
    """The members' own bytes are for the signatures; everything around them is one spelling."""
    objects = START + TITLES[:2]
    data = packed(objects)
    contents: set[int] = set()
    start = 0
    for _, content in objects:
        contents.update(range(start + 512, start + 512 + len(content)))
        start += 512 + len(content) + (-len(content) % 512)
    for position in range(0, len(data), step):
        cases = [data[:position], data[:position] + b" " + data[position:]]
        if position not in contents:
            changed = bytes([data[position] ^ (0x20 if position % 2 else 0x01)])
            cases.append(data[:position] + changed + data[position + 1 :])
        for case in cases:
            assert _read_or_none(case) != objects
    for added in (b"\0", b"\0" * 512, b"\0" * 9216, b"x", data):
        with pytest.raises(MalformedError, match="bytes after its end"):
            read(data + added)


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 1024, b"\0" * 10240, b"x" * 5000, b"PK\3\4"])
def test_what_is_no_bundle_is_refused(data):
    with pytest.raises(MalformedError, match="not a bundle"):
        read(data)


@law
@given(st.integers(0, 3000), st.binary(max_size=600))
def test_any_noise_is_refused_with_our_error_or_read(place, noise):
    data = packed(START + TITLES)
    try:
        read(data[:place] + noise + data[place + len(noise) :])
    except LedgerError:
        return


def _spelled(key: str, data: bytes, **changes) -> bytes:
    member = tarfile.TarInfo(key)
    member.size = len(data)
    format_ = changes.pop("format", tarfile.USTAR_FORMAT)
    for name, value in changes.items():
        setattr(member, name, value)
    return member.tobuf(format_, "ascii", "strict") + data + bytes(-len(data) % 512)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": 0o777},
        {"mtime": 1},
        {"uid": 1000},
        {"uname": "root"},
        {"type": tarfile.SYMTYPE, "linkname": "x"},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.LNKTYPE},
        {"type": tarfile.CHRTYPE},
        {"format": tarfile.GNU_FORMAT},
        {"size": MAX_BYTES + 1},
        {"size": -1, "format": tarfile.GNU_FORMAT},
    ],
)
def test_a_member_has_one_header(changes):
    """No links, no devices, no other owner or time, no size beyond an object's."""
    with pytest.raises(MalformedError):
        read(_spelled(*START[0], **changes) + packed(START[1:]))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"null",
        b'{"complete":true,"format":1,"origin":"x"}\n',
        b'{"complete":1,"format":1,"origin":"x"}',
        b'{"complete":true,"format":true,"origin":"x"}',
        b'{"complete":true,"format":1,"more":1,"origin":"x"}',
        b'{"complete":true,"format":1,"origin":"a b"}',
        b'{"complete":true,"format":1}',
    ],
)
def test_what_a_bundle_says_of_itself_has_one_form(header):
    with pytest.raises(MalformedError):
        read(packed([(BUNDLE_KEY, header), START[1]]))


def test_a_bundle_of_another_format_is_named_as_such():
    header = b'{"format":3,"origin":"x"}'
    with pytest.raises(UnsupportedFormatError, match="a bundle of format 3"):
        read(packed([(BUNDLE_KEY, header), START[1]]))


@law
@given(st.booleans(), st.booleans(), st.sampled_from([ORIGIN, "x", "example.org/other"]))
def test_a_header_survives_its_bytes(complete, has_log, origin):
    header = Header(origin, complete, has_log)
    assert Header.decode(header.encode()) == header


def test_a_reader_holds_one_object_at_a_time():
    """However large the bundle, it is read from front to back."""
    taken = 0

    class Source(io.BytesIO):
        def read(self, size=-1):
            nonlocal taken
            assert 0 <= size <= MAX_BYTES
            taken += size
            return super().read(size)

    reader = BundleReader(Source(packed(START + TITLES)))
    section = next(iter(reader.sections()))
    assert taken <= 512 * 2 * 4
    assert section.read(ADDRESSES[1]) is None  # not the next one
    assert section.read(ADDRESSES[0]) == b"newest"
    reader.skip(section)
    assert section.read(ADDRESSES[1]) is None


@law
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=130),
    st.integers(0, 5000),
)
def test_a_header_is_the_one_that_tar_makes(key, size):
    member = tarfile.TarInfo(key)
    member.size = size
    try:
        header = member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError:  # it is too long, and nowhere to be divided
        return
    assert next(write_bundle([(key, bytes(size))])) == header


def test_a_member_of_less_than_nothing_is_refused():
    """Whoever reads -1 bytes reads all of them."""
    header = bytearray(next(write_bundle([("TN1/head.json", b"")])))
    header[124:135] = b"-0000000001"
    header[148:154] = b"%06o" % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    with pytest.raises(MalformedError, match="damaged member header"):
        read(packed(START)[:-1024] + bytes(header) + bytes(1024))

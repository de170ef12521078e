"""The errors: their table, and their evidence. Their page: test_errors_documented.py."""

from __future__ import annotations

import copy
import pickle

import pytest

from ledger import errors
from ledger.errors import LedgerError

CLASSES = [
    each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__
]

# The exit code and HTTP status of every class.
TABLE = {
    "LedgerError": (70, 500),
    "MalformedError": (65, 400),
    "InvalidError": (65, 422),
    "DoesNotFit": (65, 422),
    "NotABundle": (65, 400),
    "IntegrityError": (20, 500),
    "TrustError": (12, 403),
    "NotProven": (3, 503),
    "OriginNotPinned": (12, 500),
    "KeyUnavailable": (12, 500),
    "NotFoundError": (10, 404),
    "Erased": (10, 410),
    "NotInLaw": (10, 404),
    "NotStanding": (12, 409),
    "ConflictError": (11, 409),
    "HeadMoved": (11, 412),
    "HeadMissing": (11, 409),
    "ReferenceConflict": (11, 409),
    "Skipped": (11, 409),
    "Forked": (11, 409),
    "LedgerExists": (11, 409),
    "TitleClosed": (11, 409),
    "Supersedes": (11, 409),
    "ClockBehind": (11, 409),
    "ClockAhead": (11, 503),
    "PreconditionFailed": (11, 412),
    "StoreError": (13, 503),
    "StoreUnavailable": (13, 503),
    "StoreDenied": (13, 503),
    "StoreUnsafe": (13, 503),
    "RegistrationIncomplete": (16, 409),
    "OutcomeUnknown": (15, 504),
    "NotDurable": (15, 504),
    "UnsupportedFormatError": (14, 500),
    "LibraryUnsafe": (70, 500),
}

EVIDENCE = {
    "IntegrityError": {"reason": "bad-signature", "object_key": "TN1/head.json"},
    "TrustError": {"reason": "unknown-key", "object_key": "TN1/head.json"},
    "OriginNotPinned": {"reason": "unknown-key", "object_key": "ledger.json"},
    "KeyUnavailable": {"reason": "unknown-key", "object_key": ""},
    "Erased": {"version": 6, "reference": "AG 12/26"},
    "HeadMoved": {"expected": "a" * 64, "actual": None},
    "ReferenceConflict": {"address": "b" * 64},
    "Skipped": {"draft": 3},
    "RegistrationIncomplete": {"reference": "R", "standing": {1: "d" * 64}, "missing": (2,)},
    "OutcomeUnknown": {"address": "c" * 64},
    "NotDurable": {"address": "c" * 64},
}


def test_every_error_has_its_exit_code_and_status_and_no_other_class_exists():
    assert {cls.__name__: (cls.exit_code, cls.http_status) for cls in CLASSES} == TABLE


def test_every_error_has_a_slug_of_its_own():
    slugs = [cls.slug for cls in CLASSES]
    assert len(set(slugs)) == len(slugs)
    assert all("slug" in vars(cls) for cls in CLASSES)
    assert all(slug.replace("-", "").isalpha() and slug.islower() for slug in slugs)


def test_every_error_has_the_one_base():
    assert all(issubclass(cls, LedgerError) for cls in CLASSES)


def test_the_hierarchy_is_drawn_in_the_docstring_as_it_is():
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip().partition(" ")[0]
        if line.startswith("    ") and name in TABLE:
            drawn.append((len(line) - len(line.lstrip()), name))
    assert sorted(name for _, name in drawn) == sorted(TABLE)
    parents = {drawn[0][0]: "Exception"}
    for indent, name in drawn:
        assert getattr(errors, name).__base__.__name__ == parents[indent]
        parents[indent + 2] = name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_keeps_its_evidence_when_pickled_or_copied(cls):
    error = cls("what: why", hint="what next", **EVIDENCE.get(cls.__name__, {}))
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is cls
        assert str(other) == "what: why"
        assert other.hint == "what next"
        assert vars(other) == vars(error)
        for name, value in EVIDENCE.get(cls.__name__, {}).items():
            assert getattr(other, name) == value


def test_an_error_needs_no_hint():
    assert all(cls("why").hint == "" for cls in CLASSES)

"""What a sealer remembers, on its own disk: out of reach of whoever can write to the store.

A store that is set back, by an attacker or from a backup, would have the sealer sign another
continuation of an old checkpoint: a fork, which nobody could ever take back. So a sealer keeps

* ``seen``: the newest checkpoint that it knows to be the log's;
* ``attempt``: the state that it signed on top of that, until it knows what became of it;
* ``trust``: the newest trust file that it accepted;
* ``set_aside``: what it was told, in words, to give up after a restore.

The file is JSON. It is written whole, and forced to the disk before anything that it speaks of
can be in the store.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.errors import LedgerError, MalformedError, StoreUnavailable, TrustError
from ledger.format import canonical, layout
from ledger.local.files import lock_file, make_folder, read_own, write_file

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

FORMAT = 1
USABLE = "choose a file that this user can write"
MEMBERS = {"attempt", "format", "origin", "seen", "set_aside", "trust"}


@dataclass(frozen=True, slots=True)
class SetAside:
    """A checkpoint that was given up after a restore."""

    note: str
    at: str
    """When, by the sealer's clock."""
    words: str
    """Why, in the words of whoever declared the restore."""


class SeenTrust(NamedTuple):
    """A trust file that was accepted."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class SealerMemory:
    """What a sealer knows of a log; the signatures in it are for the reader to check."""

    origin: str
    seen: bytes | None = None
    """A signed checkpoint; None: the log was not begun yet."""
    attempt: bytes | None = None
    """The bytes of a ``LogState``."""
    set_aside: tuple[SetAside, ...] = ()
    trust: SeenTrust | None = None

    def encode(self) -> bytes:
        """The bytes of the file."""
        return canonical.encode(
            {
                "attempt": self.attempt.decode() if self.attempt else None,
                "format": FORMAT,
                "origin": self.origin,
                "seen": self.seen.decode() if self.seen else None,
                "set_aside": [
                    {"at": each.at, "checkpoint": each.note, "words": each.words}
                    for each in self.set_aside
                ],
                "trust": {**self.trust._asdict()} if self.trust else None,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> SealerMemory:
        """Read the file; raises MalformedError."""
        value = canonical.load(data)
        if not isinstance(value, dict) or value.keys() != MEMBERS or value["format"] != FORMAT:
            raise MalformedError(f"expected format {FORMAT} and {', '.join(sorted(MEMBERS))}")
        if not isinstance(value["set_aside"], list):
            raise MalformedError("set_aside is a list")
        return cls(
            _text(value["origin"]),
            _text(value["seen"]).encode() if value["seen"] is not None else None,
            _text(value["attempt"]).encode() if value["attempt"] is not None else None,
            tuple(_set_aside(each) for each in value["set_aside"]),
            _seen_trust(value["trust"]),
        )


class MemoryFile:
    """The file of one sealer. Two processes that share it take turns."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)

    def read(self) -> SealerMemory | None:
        """Return what is remembered, or None. Raises MalformedError, StoreUnavailable, TrustError.

        A file that others can write may remember what they want it to.
        """
        try:
            return SealerMemory.decode(read_own(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable("read", error) from error
        except TrustError as error:
            raise TrustError(f"the memory of the sealer: {error}", hint=error.hint) from error
        except LedgerError as error:
            raise MalformedError(
                f"not the memory of a sealer: {self.path}: {error}",
                hint="bring the file back; without it, a log that was set back looks sound",
            ) from error

    def write(self, remembered: SealerMemory) -> None:
        """Replace the file, durably."""
        try:
            write_file(self.path, remembered.encode(), replace=True, mode=0o600)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"the memory of the sealer: {error}", hint=USABLE) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process of this machine from using the file."""
        try:
            if not self.path.exists():  # nor may its folder be, or not be on the disk by name
                make_folder(str(self.path.parent.absolute()))
            lock = lock_file(self.path.with_name(f"{self.path.name}.lock"))
        except OSError as error:
            raise self._unusable("lock", error) from error
        with lock:
            yield

    def _unusable(self, action: str, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"cannot {action} the memory of the sealer: {self.path}: {error.strerror}",
            hint=USABLE,
        )


def _seen_trust(value: Any) -> SeenTrust | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != set(SeenTrust._fields):
        raise MalformedError("trust is null, or a version and a digest")
    version = layout.check_version(value["version"])
    return SeenTrust(version, layout.check_address(value["digest"]))


def _set_aside(value: Any) -> SetAside:
    if not isinstance(value, dict) or value.keys() != {"at", "checkpoint", "words"}:
        raise MalformedError("what was set aside has the members at, checkpoint and words")
    return SetAside(_text(value["checkpoint"]), _text(value["at"]), _text(value["words"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MalformedError("expected a text")
    return value

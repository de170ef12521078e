"""The report of a verification as a file to keep: what was checked, when, against what."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ledger.format.report import report_json
from ledger.format.times import format_time
from ledger.local.newfile import NewFile, check_outside
from ledger.stores import FolderStore

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from ledger import Keyring, Ledger, Report

__all__ = ["Evidence"]

KIND = "title-ledger-audit-report"


class Evidence:
    """Notes the circumstances of a verification; ``write`` keeps them with the report.

    The file is begun at once: that it can't be written should be known before hours were spent.
    Without a path, nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = NewFile(path) if path else None
        self._facts: dict[str, Any] = {"started_at": format_time(datetime.now(UTC))}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, **facts: Any) -> None:
        """Note something that belongs to the evidence."""
        self._facts.update(facts)

    def only(self, name: str) -> dict[str, Any]:
        """One of the things noted, by its name; nothing where it is not."""
        return {name: self._facts[name]} if name in self._facts else {}

    def note_ledger(self, ledger: Ledger) -> None:
        """Note what is verified, and whose signatures count; refuses a file in the store itself."""
        if self._file is not None and isinstance(ledger.store, FolderStore):
            check_outside(self._file.path, ledger.store.path)
        self.note(store=ledger.store.url, keys=keys_of(ledger.keyring, ledger.origin))

    def write(self, report: Report, *, interrupted: bool) -> None:
        """Keep the report; the file is there, whole, after this."""
        if self._file is None:
            return
        content = {
            "kind": KIND,
            "format": 1,
            "software": f"title-ledger {_version()}",
            "interrupted": interrupted,
            **report_json(report),
            **self._facts,
            "ended_at": format_time(datetime.now(UTC)),
        }
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        self._file.write(text.encode())
        self._file.commit()


def keys_of(keyring: Keyring, origin: str) -> list[dict[str, str]]:
    """The registrars' keys that count for a ledger."""
    return [
        {"key": trusted.key.key_id, "name": trusted.name}
        for trusted in keyring
        if (trusted.origin, trusted.role) == (origin, "registrar")
    ]


def _version() -> str:
    with suppress(PackageNotFoundError):  # run from its source
        return version("title-ledger")
    return "(not installed)"

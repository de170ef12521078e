"""``ledger fsck``: check every stored object, those that no chain leads through, too."""

from __future__ import annotations

from cli.commands.verify import note_ambiguity, print_report, report_of
from cli.config import load_config
from cli.options import DebugOption, JsonOption, QuietOption, StoreOption
from cli.output import counting
from cli.session import open_ledger
from ledger import Report

__all__ = ["fsck"]


def fsck(
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Check every object in the store.

    Verifies all titles, and looks at what is in no chain. Exits as verify does.
    """
    report = report_of(lambda: _fsck(store, quiet=quiet or as_json))
    return print_report(report, as_json=as_json, quiet=quiet)


def _fsck(store: str | None, *, quiet: bool) -> Report:
    with open_ledger(store) as ledger, counting("checked", quiet=quiet) as each:
        report = ledger.fsck(each=each)
        return note_ambiguity(report, ledger.keyring, load_config().origin_of(ledger.store))

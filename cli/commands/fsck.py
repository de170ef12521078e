"""``ledger fsck``: check every stored object, those that no chain leads through, too."""

from __future__ import annotations

from cli.commands.verify import exit_code_of, print_report
from cli.options import DebugOption, JsonOption, QuietOption, StoreOption
from cli.output import counting
from cli.session import open_ledger

__all__ = ["fsck"]


def fsck(
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Check every object in the store: verify all titles, and look at what is in no chain.

    Exits as verify does.
    """
    with open_ledger(store) as ledger, counting("folders checked", quiet=quiet or as_json) as each:
        report = ledger.fsck(each=each)
    print_report(report, as_json=as_json, quiet=quiet)
    return exit_code_of(report)

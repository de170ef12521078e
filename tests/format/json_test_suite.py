"""What becomes of every file of the JSON test suite.

``python -m tests.format.json_test_suite`` writes it.

The table is ``tests/vectors/json-test-suite.md``; a test holds that it is true.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import MalformedError
from ledger.format.canonical import decode
from tests import corpora

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = Path(__file__).parents[1] / "vectors" / "json-test-suite.md"
PATTERN = "json/test_parsing/*.json"
HEADER = """\
# JSONTestSuite: what is refused, and why

Files that begin with `y` have to be read by every reader of JSON, those with `n` by none; of those
with `i`, each reader decides. Seven `y` files are refused on purpose: two give a member twice, five
have a number beyond 2^53-1 or one that no double keeps. All `i` files are refused, as none can be
kept as it is: numbers that are too large or too small, halves of a surrogate pair, text that is not
UTF-8 or begins with a byte order mark, and 500 levels.

| file | | why |
| --- | --- | --- |
"""


def outcome(data: bytes) -> str:
    """What is said of a file: two cells of the table."""
    try:
        decode(data)
    except MalformedError as error:
        # What is wrong with a text that is no JSON, every version of Python says in its own words.
        why = "not JSON" if str(error).startswith("not JSON: ") else ascii(str(error))[1:-1]
        return f"refused | {why}"
    return "read |"


def table() -> Iterator[str]:
    """The rows of the table, one for each file of the suite."""
    for path in corpora.files(PATTERN):
        said, _, why = outcome(path.read_bytes()).partition(" |")
        yield f"| {ascii(path.stem)[1:-1]} | {said} | {why.strip().replace('|', '&#124;')} |"


def text() -> str:
    """All of the page."""
    return HEADER + "".join(f"{row}\n" for row in table())


if __name__ == "__main__":
    TABLE.write_text(text())

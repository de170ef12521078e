"""ARCHITECTURE.md says of each room what its docstring says, and the code takes its trips."""

from __future__ import annotations

import ast
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger
from ledger.testing import ORIGIN, signer
from tests.service.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
ROOMS = dict(re.findall(r"^\| `(\S+)` \| (.+) \|$", PAGE, re.MULTILINE))


def test_every_room_is_on_the_page() -> None:
    names = {path.stem for path in (ROOT / "ledger").iterdir() if path.suffix in {"", ".py"}}
    rooms = {f"ledger.{name}" for name in names if not name.startswith("__")}
    assert ROOMS.keys() == {"cli", *rooms}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_what_its_docstring_says(room: str) -> None:
    place = ROOT / room.replace(".", "/")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text()))
    assert docstring is not None
    assert " ".join(docstring.partition("\n\n")[0].split()) == ROOMS[room]


def entered(trip: Callable[[], object]) -> list[str]:
    """The modules of ours whose functions a call enters, in order, in every thread."""
    seen: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(ROOT) and frame.f_code.co_name != "<module>":
            seen.setdefault(str(file.relative_to(ROOT).with_suffix("")))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        trip()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return list(seen)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger.create(str(tmp_path), origin=ORIGIN, signer=signer())
    ledger.append("TN1", {"n": 1})
    return ledger


@pytest.mark.parametrize("name", ["An append", "A verification", "A POST"])
def test_a_trip_goes_through_the_modules_that_the_page_names(name: str, ledger: Ledger) -> None:
    client = Client(ledger)
    trip = {
        "An append": lambda: ledger.append("TN1", {"n": 2}),
        "A verification": lambda: ledger.verify("TN1"),
        "A POST": lambda: client.post("/titles/TN1", {"n": 2}),
    }[name]
    (told,) = re.findall(rf"^\*\*{name}\*\*(.*?)\n(?:\n|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    modules = re.findall(r"`(ledger/\S+)`", told)
    went = entered(trip)
    assert [each for each in went if each in modules] == modules

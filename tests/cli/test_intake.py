"""``append --batch`` of CSV and of a JSON array: the same entries, or every fault by its place."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.batch import records
from cli.batch.lines import Lines
from cli.batch.records import LONGEST, Place
from cli.batch.rows import Columns
from ledger import InvalidError, MalformedError
from ledger.format.layout import is_title_number
from tests.laws import examples

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def give(shell: Shell, data: str | bytes, name: str = "deeds.csv") -> None:
    (shell.folder / name).write_bytes(data.encode() if isinstance(data, str) else data)


def drafts(data: str | bytes, columns: Columns | None = None) -> list[Any]:
    """What would be appended, and where it is in the file; what can't be is raised."""
    source = io.BytesIO(data.encode() if isinstance(data, str) else data)
    lines = Lines(source, "deeds", columns=columns)
    for bad in lines.check():
        raise bad.error
    return list(lines.drafts())


def documents(data: str | bytes, **columns: str) -> dict[str, Any]:
    found = drafts(data, Columns(**columns))
    return {draft.title_number: draft.document for _, draft in found}


# -- CSV -----------------------------------------------------------------------------------------


def test_rows_are_documents_and_columns_may_say_more(shell: Shell) -> None:
    give(
        shell,
        "title_number,owner,price:int,new:bool,sold:date,charges:json,rate:number,"
        "from:effective_at,to:effective_until,case:reference,why:message,by:author,what:kind,"
        "is:status,note:skip\r\n"
        'TN1,"Ada, ""the"" first\nLovelace",185000,Y,2002-11-19 00:00,"[{""bank"": 1}]",0.25,'
        "1995-06-01,2001-03-01,A-17,sale,Eve,migration,closed,x\r\n"
        "\r\n,,,,,,,,,,,,,,\r\n"
        "TN2, Bob ,,,,,,,,,,,,,\r\n",
    )
    said = shell("append --batch deeds.csv --csv -m bulk --json").objects
    assert [(each["line"], each["title_number"]) for each in said] == [(2, "TN1"), (6, "TN2")]
    one, two = (shell(f"show {title} --json").json for title in ("TN1", "TN2"))
    assert one["document"] == {
        "title_number": "TN1",
        "owner": 'Ada, "the" first\nLovelace',
        "price": 185000,
        "new": True,
        "sold": "2002-11-19",
        "charges": [{"bank": 1}],
        "rate": 0.25,
    }
    about = {
        "effective_at": "1995-06-01",
        "effective_until": "2001-03-01",
        "reference": "A-17",
        "message": "sale",
        "author": "Eve",
        "kind": "migration",
        "status": "closed",
    }
    assert {name: one[name] for name in about} == about
    assert two["document"] == {"title_number": "TN2", "owner": " Bob "}
    assert (two["message"], two["effective_at"], two["kind"]) == ("bulk", None, "registration")
    assert "0 appended, 2 were there already" in shell("append --batch deeds.csv --csv").err


def test_what_is_not_asked_for_is_text() -> None:
    text = "title_number,a,b,c\nTN1,007,1.10,true\n"
    assert documents(text)["TN1"] == {"title_number": "TN1", "a": "007", "b": "1.10", "c": "true"}


def test_the_command_line_may_say_what_the_header_does_not() -> None:
    rows = "TN1;1;x\nTN2;2;y\n"
    header = {"names": "id,dc:date:int,price:skip", "title": "id", "delimiter": ";"}
    assert documents(rows, types="price:text", **header)["TN2"] == {
        "id": "TN2",
        "dc:date": 2,
        "price": "y",
    }
    assert documents(
        "title_number\txml:lang\nTN1\ten\n", delimiter="\t", types="xml:lang:text"
    ) == {"TN1": {"title_number": "TN1", "xml:lang": "en"}}


def test_a_byte_order_mark_is_nothing() -> None:
    assert documents("\ufefftitle_number,a\nTN1,b\n") == {"TN1": {"title_number": "TN1", "a": "b"}}
    assert drafts('\ufeff{"title_number":"TN1"}')[0][1].title_number == "TN1"
    assert drafts('\ufeff[{"title_number":"TN1"}]')[0][1].title_number == "TN1"


BAD_CSV: dict[str, tuple[str | bytes, dict[str, str], str]] = {
    "too few cells": ("title_number,a\nTN1\n", {}, "1 cells, but the header has 2"),
    "too many cells": ("title_number,a\nTN1,1,2\n", {}, "3 cells, but the header has 2"),
    "a column twice": ("title_number,a,b, a\n", {}, "the column 'a' twice"),
    "one twice but for its kind": ("title_number,a,a:int\n", {}, "the column 'a' twice"),
    "two dates": ("title_number,a:effective_at,b:effective_at\n", {}, "two columns of the kind"),
    "no name": ("title_number,,b\n", {}, "column 2 has no name"),
    "no title": ("id,b\n", {}, "no column 'title_number'; there are: 'id, b'"),
    "no such title": ("id,b\n", {"title": "b,c"}, "no column 'c'"),
    "what could be both": (
        "title_number,reference\n",
        {},
        "it could be a member of the document, or",
    ),
    "no kind": ("title_number,price:integer\n", {}, "'integer' is no kind of column"),
    "no kind in types": ("title_number,a\n", {"types": "a:integer"}, "'integer' is no kind"),
    "no such column": ("title_number,a\n", {"types": "b:int"}, "no column 'b'"),
    "no int": ("title_number,a:int\nTN1,1.0\n", {}, "column a: '1.0' is not an integer"),
    "no grouped int": (
        'title_number,a:int\nTN1,"1,000"\n',
        {},
        "column a: '1,000' is not an integer",
    ),
    "zeros in front": ("title_number,a:int\nTN1,007\n", {}, "column a: '007' is not an integer"),
    "true is no int": ("title_number,a:int\nTN1,true\n", {}, "'true' is not an integer"),
    "a large int": ("title_number,a:int\nTN1,9007199254740992\n", {}, "beyond 2^53-1"),
    "no number": ("title_number,a:number\nTN1,NaN\n", {}, "column a: 'NaN' is not a number"),
    "digits that are lost": (
        "title_number,a:number\nTN1,0.1234567890123456789\n",
        {},
        "would not be kept",
    ),
    "no truth": ("title_number,a:bool\nTN1,maybe\n", {}, "is not true or false"),
    "no date": ("title_number,a:date\nTN1,31/01/2025\n", {}, "is not a date, such as 2025-"),
    "no such day": ("title_number,a:date\nTN1,2025-02-29\n", {}, "is not a date"),
    "a time of day": ("title_number,a:date\nTN1,2025-02-28 12:00\n", {}, "is not a date"),
    "no JSON": ("title_number,a:json\nTN1,{\n", {}, "column a: '{': not JSON"),
    "no date in law": ("title_number,a:effective_at\nTN1,soon\n", {}, "not a year"),
    "an unknown kind of entry": ("title_number,a:kind\nTN1,sale\n", {}, "not a kind of entry"),
    "no title number": ("title_number,a\ntn1,x\n", {}, "its title_number is not a title number"),
    "nothing that names the title": ("a,b\n,\nx,\n", {"title": "b"}, "not a title number"),
    "no cell that names the title": ("a,b,c\n,,x\n", {"title": "a,b"}, "not a title number"),
    "a header of its own": ("A,Price\nTN1,1\n", {"names": "a,price", "title": "a"}, "is a header"),
    "an open quote": ('title_number,a\nTN1,"x\n', {}, "line 2: not CSV: unexpected end of data"),
    "a quote inside": ('title_number,a\nTN1,"x"y\n', {}, "line 2: not CSV"),
    "Latin-1": (
        "title_number,a\nTN1,caf\xe9\n".encode("latin-1"),
        {},
        "line 2 is not UTF-8: it has the byte 0xE9; in Windows-1252 and Latin-1 that is 'é'",
    ),
    "UTF-16": ("title_number,a\nTN1,x\n".encode("utf-16"), {}, "it looks like UTF-16"),
    "UTF-16 without a mark": ("title_number,a\n".encode("utf-16-be"), {}, "looks like UTF-16"),
    "a document of ours": (
        'title_number,document:json\nTN1,"{""a"":1}"\n',
        {},
        "looks like an envelope",
    ),
}


@pytest.mark.parametrize("name", BAD_CSV)
def test_a_bad_table_is_refused(name: str) -> None:
    data, columns, words = BAD_CSV[name]
    with pytest.raises(MalformedError) as told:
        drafts(data, Columns(**columns))
    assert words in str(told.value)


def test_bad_rows_are_named_by_their_lines_and_nothing_is_written(shell: Shell) -> None:
    before = shell.listing()
    give(shell, 'title_number,a:int\nTN1,"1\n"\nTN2,x\n\nTN3,1,1\n')
    said = shell.fails(65, "append --batch deeds.csv --csv").splitlines()
    assert said == [
        "ledger: error: line 4: column a: 'x' is not an integer, such as 185000",
        "ledger: error: line 6: 3 cells, but the header has 2",
        "ledger: error: deeds.csv: 2 of 3 lines can't be appended",
        "ledger: hint: nothing was written; correct the lines, then append the file again",
    ]
    give(shell, "title_number,a\nTN1,caf\xe9\n".encode("latin-1"), "it's.csv")
    said = shell.fails(65, 'append --batch "it\'s.csv" --csv').splitlines()
    assert said[0].startswith("ledger: error: it's.csv: line 2 is not UTF-8: ")
    assert """iconv -f WINDOWS-1252 -t UTF-8 'it'"'"'s.csv' > utf8""" in said[1]
    assert shell.listing() == before


@pytest.mark.parametrize(
    "words",
    ["--types a:int", "--columns a", "--title-column a", "--delimiter ;"],
)
def test_options_of_columns_need_csv(shell: Shell, words: str) -> None:
    give(shell, "title_number\nTN1\n")
    assert "need --csv" in shell.fails(2, f"append --batch deeds.csv {words!s}")
    assert "--csv needs --batch" in shell.fails(2, "append TN1 deeds.csv --csv")
    assert "give one sign" in shell.fails(2, "append --batch deeds.csv --csv --delimiter xy")


# -- Title numbers of several columns --------------------------------------------------------------


def titles_of(*rows: tuple[str, ...]) -> list[str]:
    text = io.StringIO()
    csv.writer(text).writerows([[f"c{n}" for n in range(len(rows[0]))] + ["x"]])
    csv.writer(text).writerows([*row, "x"] for row in rows)
    title = ",".join(f"c{n}" for n in range(len(rows[0])))
    return [draft.title_number for _, draft in drafts(text.getvalue(), Columns(title))]


def test_several_columns_make_a_title_number() -> None:
    long = ("PO30 5XW", "THE APEX", "FIRST FLOOR BAYS, BLOCK C", "ST CROSS BUSINESS PARK")
    found = titles_of(
        ("PO37 6BU", "Corinthian Court", "flat  11", "CROSS STREET"),
        ("PO36 8LJ", "9A", "", "O'NEIL'S"),
        ("", "Café", "", "X"),
        long,
    )
    assert found[:2] == [
        "PO37_6BU-CORINTHIAN_COURT-FLAT_11-CROSS_STREET",
        "PO36_8LJ-9A--O.27NEIL.27S",
    ]
    assert found[2].startswith("CAF.C3.89--X.")
    assert found[3].startswith("PO30_5XW-THE_APEX-FIRST_FLOOR_B")
    assert all(len(title) <= 64 for title in found)
    assert titles_of((*long[:3], "ST CROSS BUSINESS PARC"))[0] != found[3]
    assert set(titles_of(("Straße", "5"), ("STRASSE", "5"), ("STRAẞE", "5"))) == {"STRASSE-5"}


cell = st.text(st.sampled_from("aB1 -_.,é"), max_size=5)
keys = st.tuples(cell, cell)


def spelled(key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(" ".join(each.upper().split()) for each in key)


@given(keys, keys)
@settings(max_examples=examples(40), deadline=None)
def test_other_cells_make_another_title_number(one: tuple[str, str], two: tuple[str, str]) -> None:
    if not any(map(str.strip, one)) or not any(map(str.strip, two)):
        return
    first, second = titles_of(one, two)
    assert is_title_number(first)
    assert (first == second) == (spelled(one) == spelled(two))


# -- An array ------------------------------------------------------------------------------------


def test_an_array_may_be_spread_over_lines_as_one_likes(shell: Shell) -> None:
    items = [{"title_number": f"TN{n}", "n": [n, {"a": ']\\"'}]} for n in range(3)]
    items.append({"title_number": "TN9", "document": {"n": 1}, "message": "sale"})
    for name, indent in (("compact.json", None), ("pretty.json", 2)):
        give(shell, json.dumps(items, indent=indent), name)
        said = shell(f"append --batch {name} --json --reference x").objects
        lines = [1, 1, 1, 1] if indent is None else [2, 11, 20, 29]
        assert [(each["item"], each["line"]) for each in said] == list(enumerate(lines, 1))
        assert [each["repeated"] for each in said] == [name == "pretty.json"] * 4
    assert shell("show TN9 --json").json["message"] == "sale"
    give(shell, " [ ] ", "none.json")
    assert "0 appended" in shell("append --batch none.json").err


BAD_ARRAYS = {
    "no object": ("[1]", "not a JSON object"),
    "a misspelled member": (
        '[{"title_number":"TN1","document":{},"effective":1}]',
        "an envelope has no member 'effective'",
    ),
    "a duplicate": ('[{"title_number":"TN1","a":1,"a":2}]', "duplicate member 'a' at /a"),
    "a comma at the end": ('[{"title_number":"TN1"},\n]', "item 2 (line 2): not JSON: Expecting v"),
    "no comma": ('[{"title_number":"TN1"}\n{"a":1}]', "line 2: '{' is where the array should have"),
    "two commas": ('[{"title_number":"TN1"},,1]', "item 2 (line 1): not JSON"),
    "cut off": ('[{"title_number":"TN1"},\n\n{"a"', "item 2 (line 3): not JSON: Expecting ':'"),
    "cut off after an item": ('[{"title_number":"TN1"}\n', "the file ends where the array should"),
    "cut off after a comma": ('[{"title_number":"TN1"},', "item 2 (line 1): not JSON"),
    "nothing in it": ("[", "item 1 (line 1): not JSON"),
    "more behind": ('[{"title_number":"TN1"}]\n[]', "line 2: there is more after the array's end"),
    "too deep": ("[" * 100_000, "not JSON, or nested too deeply"),
    "a syntax error inside": (
        '[\n{"title_number":"TN1"},\n{"a":1,\n"b":x}]',
        "item 2 (line 3): not JSON: Expecting value (line 4)",
    ),
    "too large": (
        '[{"title_number":"TN1","a":"' + "x" * (LONGEST + records.CHUNK) + '"}]',
        "item 1 (line 1): not JSON, or too large",
    ),
    "a large integer": ('[{"title_number":"TN1","n":9007199254740993}]', "2^53-1 at /n"),
    "NaN": ('[{"title_number":"TN1","n":NaN}]', "NaN is no JSON value"),
    "Latin-1": (b'[{"title_number":"TN1",\n"n":"\xe9"}]', "line 2 is not UTF-8: it has the"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_a_bad_array_is_refused(name: str) -> None:
    data, words = BAD_ARRAYS[name]
    with pytest.raises(MalformedError) as told:
        drafts(data)
    assert words in str(told.value)


@given(
    st.lists(
        st.dictionaries(st.text(max_size=3), st.integers(-99, 99) | st.text(max_size=4), max_size=3)
    ),
    st.sampled_from([None, 0, 3]),
    st.integers(1, 9),
)
@settings(max_examples=examples(40), deadline=None)
def test_an_array_is_read_in_pieces_of_any_size(
    items: list[dict[str, Any]], indent: int | None, size: int
) -> None:
    whole = [{"title_number": "TN1", "document": item} for item in items]
    text = json.dumps(whole, indent=indent, ensure_ascii=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "CHUNK", size)
        found = drafts(text)
    assert [draft.document for _, draft in found] == items
    assert [place.item for place, _ in found] == list(range(1, len(items) + 1))


# -- Files of another kind -----------------------------------------------------------------------

LOOKS_LIKE = {
    "pretty": ('{\n  "title_number": "TN1"\n}\n', "pretty-printed JSON", "jq -c . deeds.csv > l"),
    "half pretty": ('{"title_number": "TN1",\n"a": 1}\n', "pretty-printed JSON", "jq -c"),
    "CSV": ("title_number,a\nTN1,1\n", "it looks like CSV", "add --csv, and --title-column NAME"),
    "CSV of Excel": ("title_number;a\nTN1;1\n", "like CSV", "add --csv --delimiter ';', and"),
    "TSV": ("title_number\ta\nTN1\t1\n", "it looks like CSV", "add --csv --delimiter TAB, and"),
    "UTF-16": ('{"title_number":"TN1"}'.encode("utf-16"), "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    "Latin-1": (b'\n{"title_number":"TN1","a":"\xe9"}', "line 2 is not UTF-8", "WINDOWS-1252"),
}


@pytest.mark.parametrize("name", LOOKS_LIKE)
def test_what_a_file_looks_like_is_said_once_with_what_to_type(shell: Shell, name: str) -> None:
    data, words, hint = LOOKS_LIKE[name]
    give(shell, data)
    first, second = shell.fails(65, "append --batch deeds.csv").splitlines()
    assert first.startswith("ledger: error: deeds.csv: ")
    assert words in first
    assert hint in second


def test_what_a_table_looks_like_is_said_as_well(shell: Shell) -> None:
    for data, hint in (
        ('[{"title_number": "TN1"}]', "leave out --csv"),
        ("title_number;a\nTN1;1\n", "add --delimiter ';'"),
        ("title_number\ta\nTN1\t1\n", "add --delimiter TAB"),
        ("TN1,2001-02-05 00:00\n", "if there is no header, --columns NAME,NAME,… is one"),
        ("title_number,PROFILE:x\n", "add --types 'PROFILE:x:text'; if there"),
        ("TN1,1\n", "if there is no header, --columns NAME,NAME,… is one"),
    ):
        give(shell, data)
        assert hint in shell.fails(65, "append --batch deeds.csv --csv").splitlines()[1]


@pytest.mark.parametrize("form", ["lines", "array", "csv"])
def test_a_misspelled_member_is_refused_in_every_form(form: str) -> None:
    record = {"title_number": "TN1", "document": {"a": 1}, "effective": "2020-01-01"}
    text = {
        "lines": json.dumps(record),
        "array": json.dumps([record], indent=1),
        "csv": "title_number,a,when:efective_at\nTN1,1,2020-01-01\n",
    }[form]
    with pytest.raises(InvalidError, match=r"no member 'effective'|'efective_at' is no kind"):
        drafts(text, Columns() if form == "csv" else None)


# -- A file that changes -------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["]", ',{"title_number":"TN9"}]', "x", ""])
@pytest.mark.parametrize("columns", [None, Columns()])
def test_a_change_between_the_two_readings_is_found(columns: Columns | None, change: str) -> None:
    text = (
        "title_number,a\nTN1,1\nTN2,2\n"
        if columns
        else '[{"title_number":"TN1"},\n{"title_number":"TN2"}]'
    )
    source = io.BytesIO(text.encode())
    lines = Lines(source, "deeds", columns=columns)
    assert list(lines.check()) == []
    source.seek(len(text) - 1)
    source.truncate()
    source.write((change or "\n\n").encode())
    if change == text[-1]:
        source.write(b" ")
    with pytest.raises(InvalidError, match=r"changed while it was read|after it was checked"):
        list(lines.drafts())


@pytest.mark.parametrize("size", range(1, 20))
def test_no_item_is_cut_where_a_piece_ends(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CHUNK", size)
    text = '[12, 2.50 ,-3.25e2,1E2,"é\\"]",{"a":[1,{}]} ,true,null]'
    found = [record.read() for record in records.read_array(io.BytesIO(text.encode()))]
    assert found == json.loads(text)


def test_a_place_is_where_the_record_begins() -> None:
    assert str(Place(7)) == "line 7"
    assert str(Place(7, 3)) == "item 3 (line 7)"

"""``--schema``, and the schema that a project file names: what doesn't fit is not appended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.test_schema import BAD, DEED, GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


def schema_file(folder: Path, schema: Any = DEED) -> Path:
    path = folder / "deed.schema.json"
    path.write_text(json.dumps(schema))
    return path


def test_the_shell_refuses_what_does_not_fit(shell: Shell) -> None:
    schema_file(shell.folder)
    before = shell.listing()
    document = json.dumps(BAD).encode()
    said = shell.fails(65, "append TN1 - --schema deed.schema.json", stdin=document)
    assert "the document doesn't fit deed.schema.json: the document: 'proprietor' is" in said
    assert "; /price_paid: \"oops\" is not of type 'integer'; /sold: " in said
    assert shell.fails(65, "append TN1 - --dry-run --schema deed.schema.json", stdin=document)
    lines = [{"title_number": "TN1", **GOOD}, {"title_number": "TN2", "document": BAD}]
    (shell.folder / "deeds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for more in ("", " --dry-run"):
        said = shell.fails(65, f"append --batch deeds.jsonl --schema deed.schema.json{more}")
        assert "line 2: the document doesn't fit deed.schema.json: " in said
        assert "1 of 2 lines can't be appended" in said
    said = shell.fails(65, "register deeds.jsonl --reference A-1 --schema deed.schema.json")
    assert "line 2: the document doesn't fit deed.schema.json: " in said
    assert shell.listing() == before


def test_a_schema_that_the_project_file_names_binds_whatever_is_appended_there(
    shell: Shell,
) -> None:
    schema_file(shell.folder)
    (shell.folder / "ledger.toml").write_text('schema = "deed.schema.json"\n')
    (shell.folder / "below").mkdir()
    shell("append TN1 - ", stdin=json.dumps(GOOD).encode())
    below = type(shell)(shell.folder / "below", shell.home)
    there = f"--store {shell.store}"
    assert "fit" in below.fails(65, f"append TN1 --set price_paid:=0 {there}")
    assert "fit" in shell.fails(65, "append TN1 --set prize=1")
    (shell.folder / "any.json").write_text("{}")
    shell("append TN1 --set prize=1 --schema any.json")
    assert "broken at /requird" in _with(shell, {"requird": []})
    (shell.folder / "deed.schema.json").unlink()
    said = shell.fails(10, "append TN1 --set proprietor=Eve")
    assert f"cannot read the schema {shell.folder}/deed.schema.json: no such file" in said
    shell("erase TN1 1 --reference C-1 -m order")  # it registers no new document
    assert len(shell.addresses("TN1")) == 3


def _with(shell: Shell, schema: Any) -> str:
    schema_file(shell.folder, schema)
    return shell.fails(65, "append TN1 --set proprietor=Eve")


def test_your_own_settings_may_name_one_and_serve_refuses_a_broken_one(
    shell: Shell,
) -> None:
    path = schema_file(shell.folder)
    config = shell.config / "config.toml"
    config.write_text(f'schema = "{path}"\n')
    assert "fit" in shell.fails(65, "append TN1 --new --set prize=1")
    config.unlink()
    schema_file(shell.folder, {"requird": []})
    said = shell.fails(65, "serve --port 0 --schema deed.schema.json")
    assert "deed.schema.json is broken at /requird" in said

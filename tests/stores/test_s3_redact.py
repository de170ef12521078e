"""What botocore logs of credentials and objects is hidden, and the rest is left."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from ledger.stores.s3.redact import Unlogged, hide_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    hide_credentials()
    with caplog.at_level(logging.DEBUG, "botocore.parsers"):
        yield caplog


@pytest.mark.parametrize(
    "text",
    [
        "x-amz-security-token:SECRET/1+2==\nx-amz-date:1",
        "headers={'X-Amz-Security-Token': b'SECRET', 'X-Amz-Date': b'1'}",
        "Response body:\nb'<SecretAccessKey>SECRET/+=</SecretAccessKey><Date>1</Date>'",
        "<SessionToken>SECRET</SessionToken> 1",
        '{"AccessKeyId": "1", "SecretAccessKey" : "SECRET", "Token": 1}',
        '{"sessionToken":"SECRET","expiration":1}',
        "https://host/?X-Amz-Security-Token=SECRET%2F&X-Amz-Date=1",
    ],
)
def test_a_credential_is_left_out_of_the_line_and_nothing_else(
    said: pytest.LogCaptureFixture, text: str
) -> None:
    logging.getLogger("botocore.parsers").debug("%s", text)
    (line,) = said.messages
    assert "SECRET" not in line
    assert "..." in line
    assert "1" in line


def test_other_lines_are_as_they_are(said: pytest.LogCaptureFixture) -> None:
    logging.getLogger("botocore.parsers").debug("Response headers: %r", {"ETag": "1"})
    assert said.messages == ["Response headers: {'ETag': '1'}"]


def test_bytes_to_be_stored_say_only_how_many_they_are() -> None:
    data = Unlogged(b"a document")
    assert (repr(data), f"{data}", data) == ("<10 bytes>", "<10 bytes>", b"a document")

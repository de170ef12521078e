"""``python -m tests.verifier.sign`` puts the hashes of script and style into the page's policy."""

from __future__ import annotations

import re
from pathlib import Path

from tests.verifier.page import HTML, hash_of

FILE = Path(__file__).parents[2] / "ledger" / "verifier.html"

if __name__ == "__main__":
    text = HTML.decode()
    for element in ("script", "style"):
        text = re.sub(rf"({element}-src ')[^']*'", rf"\g<1>{hash_of(element)}'", text)
    FILE.write_text(text)

"""Changes that no test can notice, and why: what is accepted and refused stays the same."""

from __future__ import annotations

_SHORT_CUT = "a short cut: what follows comes to the same"
_ALSO_BELOW = "what it refuses is refused below, too"
_NEVER_LESS = "the one is never less than the other"

HARMLESS: dict[tuple[str, str], str] = {
    ("keyring", "if len(kept) == len(self._keys):"): _NEVER_LESS,
    ("entry", 'if b"+" not in spelled:  # canonical JSON spells every one of them with an e+'): (
        _SHORT_CUT
    ),
    ("entry", "if isinstance(key_id, str) and layout.is_address(key_id):"): _ALSO_BELOW,
    ("entry", 'raise MalformedError("the signature is not the base64 of 64 bytes")'): _ALSO_BELOW,
    ("entry", "if type(text) is not str or len(text) != SIGNATURE_CHARS:"): _ALSO_BELOW,
    ("tlog/note", 'raise MalformedError(f"not a note\'s key (name+hash+key): {text!a:.160}")'): (
        _ALSO_BELOW
    ),
    (
        "tlog/note",
        r'return text.isascii() or all(not "\ud800" <= char <= "\udfff" for char in text)',
    ): _SHORT_CUT,
    (
        "tlog/proof",
        "if len(data) > MAX_RECEIPT_BYTES or not blank or not head.isascii():",
    ): _ALSO_BELOW,
    ("tlog/merkle", "holds = 0 < old_size < new_size and _are_hashes(*proof)"): _ALSO_BELOW,
    ("tlog/merkle", "while here and not here & 1:"): "here is never 0 where it is called",
    ("tlog/tiles", "if end > len(data) or at + 2 > len(data):"): _ALSO_BELOW,
    ("tlog/tiles", "while at < len(data) and len(leaves) < tile.width:"): _ALSO_BELOW,
    (
        "tlog/witness",
        'raise MalformedError(f"not an age: {found[1]}{found[2]}") from None',
    ): "the largest age that can be written is one that Python can hold",
}
"""By module and line, without what is around it. The line's other changes have to be noticed still:
those that survive are counted as harmless, not left out."""

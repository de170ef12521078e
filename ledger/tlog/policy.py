"""Which witnesses have to have cosigned a checkpoint: a policy file, and its judgement.

The file is that of c2sp.org/tlog-policy::

    # Two of the three, and lately.
    # max-age: 1d
    witness city   witness.city.example/w+5d4e3c2b+BA...  https://witness.city.example
    witness bank   bank.example/witness+00c0ffee+BA...
    witness paper  paper.example/w+0badcafe+BA...
    group   most   2 city bank paper
    quorum  most

``log VKEY`` lines say which logs may have signed it; without one, the keyring alone does. How old a
cosignature may be is a comment to other readers of the format, as that has no word for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import IntegrityError, InvalidError, MalformedError, TrustError
from ledger.format import layout, times
from ledger.format.report import Finding
from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey, parse_log_key, parse_witness_key
from ledger.tlog.note import NoteKey, open_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ledger.format.keyring import Keyring

MAX_POLICY_BYTES = 100_000
NONE = "none"
"""The quorum that is always there, and the one name that nobody can have."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
BLANKS = re.compile(r"[ \t]+")
MAX_AGE = re.compile(r"max-age:[ \t]*([1-9][0-9]{0,8})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COUNT = re.compile(r"[1-9][0-9]{0,3}")


class Group(NamedTuple):
    """Witnesses, or groups of them, of which some are as good as all."""

    name: str
    threshold: int
    """How many have to have cosigned."""
    members: tuple[str, ...]


@dataclass(frozen=True)
class WitnessPolicy:
    """Who has to have cosigned a checkpoint, and how lately."""

    keys: Mapping[str, WitnessKey]
    """The witnesses by the policy's own names for them."""
    groups: tuple[Group, ...]
    """Each after those that are its members."""
    quorum: str
    """The witness, or the group, that has to have cosigned; ``none``: nobody has to."""
    logs: tuple[NoteKey, ...] = ()
    """The logs one of which has to have signed it; none: that is not for the policy to say."""
    max_age: timedelta | None = None
    """How old a cosignature may be to count; None: any age."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Where a witness is asked, by the policy's name for it; not every line has a URL."""

    @classmethod
    def parse(cls, data: bytes | str) -> WitnessPolicy:
        """Read a policy file; raises MalformedError, naming the line, for all that is not one."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        if len(data) > MAX_POLICY_BYTES:
            raise MalformedError(f"a policy of {len(data)} bytes; at most {MAX_POLICY_BYTES}")
        # Names are octets to the format: what is no UTF-8 has to come through as it is.
        *lines, rest = data.decode("utf-8", "surrogateescape").split("\n")
        if rest:
            raise MalformedError("not a policy: no newline at the end; was it cut off?")
        parsed = _Parser()
        for number, line in enumerate(lines, 1):
            try:
                parsed.add(line)
            except MalformedError as error:
                raise MalformedError(f"line {number} of the policy: {error}") from error
        return parsed.policy()

    @property
    def witnesses(self) -> tuple[WitnessKey, ...]:
        """The keys of all witnesses, to open a checkpoint with."""
        return tuple(self.keys.values())

    def check_roles(self, keyring: Keyring) -> None:
        """Refuse a witness whose key is a registrar's or a log's; raises InvalidError.

        Its word would be that of those whom a witness is there to watch.
        """
        for trusted in keyring:
            for witness in self.witnesses:
                if trusted.role != "witness" and witness.key == trusted.key:
                    raise InvalidError(
                        f"the witness {witness.name} has the key of a {trusted.role} of"
                        f" {trusted.origin}, and can't be independent of it",
                        hint="take the line out of the policy, or ask the witness for its own key",
                    )

    def judge(
        self, signed: SignedCheckpoint, now: datetime, object_key: str = layout.LOG_CHECKPOINT
    ) -> Finding | None:
        """What the checkpoint lacks; None: it is cosigned as the policy asks.

        It has to have been opened with the witnesses of this policy. Cosignatures from the future,
        beyond what clocks differ, do not count, nor those that are older than ``max_age``.
        """
        lacks = self._check_log(signed) or self._check_quorum(signed, now)
        if not lacks:
            return None
        size = signed.checkpoint.size
        message = f"{object_key}: the checkpoint of {size:,} leaves {lacks}"
        return Finding("unchecked", "not-witnessed", object_key, message)

    def _check_log(self, signed: SignedCheckpoint) -> str:
        if not self.logs:
            return ""
        try:
            open_note(signed.note, self.logs)
        except (IntegrityError, TrustError):
            return "is signed by no log that the policy lists"
        return ""

    def _check_quorum(self, signed: SignedCheckpoint, now: datetime) -> str:
        counted = self.counted(signed, now)
        if self.quorum == NONE or self.quorum in self._witnessing(counted):
            return ""
        said = [f"{_shown(name)}: {self._why(key, signed, now)}" for name, key in self.keys.items()]
        return f"is not cosigned as the policy asks ({self._asked()}); {'; '.join(said)}"

    def counted(self, signed: SignedCheckpoint, now: datetime) -> dict[str, datetime]:
        """The witnesses, by the policy's names, whose cosignatures count, and when they signed."""
        newest = {name: self._newest(key, signed, now) for name, key in self.keys.items()}
        return {
            name: moment
            for name, moment in newest.items()
            if moment and (self.max_age is None or now - moment <= self.max_age)
        }

    def _newest(self, key: WitnessKey, signed: SignedCheckpoint, now: datetime) -> datetime | None:
        """When a witness signed last, of the times that can be.

        One that says no time (0) does not say that it saw no larger checkpoint either.
        """
        latest = int((now + times.CLOCK_SKEW).timestamp())
        stamps = [each.timestamp for each in signed.cosignatures if each.witness == key]
        past = [stamp for stamp in stamps if 0 < stamp <= latest]
        return datetime.fromtimestamp(max(past), UTC) if past else None

    def _why(self, key: WitnessKey, signed: SignedCheckpoint, now: datetime) -> str:
        moment = self._newest(key, signed, now)
        if moment is not None:
            late = self.max_age is not None and now - moment > self.max_age
            return f"cosigned {moment:%Y-%m-%dT%H:%M:%SZ}" + (", too long ago" if late else "")
        stamps = [each.timestamp for each in signed.cosignatures if each.witness == key]
        if stamps:
            return "cosigned in the future by this clock" if any(stamps) else "cosigned at no time"
        return "no cosignature"

    def _asked(self) -> str:
        for group in self.groups:
            if group.name == self.quorum:
                members = ", ".join(map(_shown, group.members))
                return f"{group.threshold} of {members}"
        return _shown(self.quorum)

    def _witnessing(self, counted: Mapping[str, datetime]) -> set[str]:
        """The names of all witnesses and groups that have cosigned."""
        witnessing = set(counted)
        for group in self.groups:
            have = [member for member in group.members if member in witnessing]
            if len(_voices(have, self.keys)) >= group.threshold:
                witnessing.add(group.name)
        return witnessing


def _voices(members: list[str] | tuple[str, ...], keys: Mapping[str, WitnessKey]) -> set[str]:
    """Who speaks through these members: two keys of one witness are one voice."""
    return {f"witness {keys[name].name}" if name in keys else f"group {name}" for name in members}


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Parser:
    """What the lines read so far have defined."""

    def __init__(self) -> None:
        self.keys: dict[str, WitnessKey] = {}
        self.groups: dict[str, Group] = {}
        self.logs: list[NoteKey] = []
        self.quorum: str | None = None
        self.max_age: timedelta | None = None
        self.urls: dict[str, str] = {}
        self._grouped: dict[str, str] = {}
        """The group that each name is a member of."""
        self._homes: dict[str, str] = {}
        """The group that has the keys of a witness, by the witness's own name."""

    def policy(self) -> WitnessPolicy:
        if self.quorum is None:
            raise MalformedError("not a policy: no line says what the quorum is")
        groups = tuple(self.groups.values())
        logs = tuple(self.logs)
        return WitnessPolicy(self.keys, groups, self.quorum, logs, self.max_age, self.urls)

    def add(self, line: str) -> None:
        if CONTROL.search(line):
            raise MalformedError("control characters (write plain lines, without returns)")
        words = [word for word in BLANKS.split(line) if word]
        if not words:
            return
        if words[0].startswith("#"):
            self._add_comment(line.strip(" \t").lstrip("#").strip(" \t"))
            return
        kinds: dict[str, Callable[[list[str]], None]] = {
            "log": self._add_log,
            "witness": self._add_witness,
            "group": self._add_group,
            "quorum": self._set_quorum,
        }
        add = kinds.get(words[0])
        if add is None:
            raise MalformedError(f"not a log, witness, group or quorum: {words[0]!a:.40}")
        add(words[1:])

    def _add_comment(self, text: str) -> None:
        # What looks like a limit has to be one: read as a mere comment, it would not hold.
        if not re.match(r"max[-_ ]?age\b", text, re.IGNORECASE):
            return
        found = MAX_AGE.fullmatch(text)
        if not found:
            raise MalformedError("not an age: write '# max-age: 90s', 30m, 12h or 7d")
        if self.max_age is not None:
            raise MalformedError("a second max-age")
        try:
            self.max_age = timedelta(**{UNITS[found[2]]: int(found[1])})
        except OverflowError:
            raise MalformedError(f"not an age: {found[1]}{found[2]}") from None

    def _add_log(self, words: list[str]) -> None:
        if len(words) not in {1, 2}:
            raise MalformedError("expected: log VKEY [URL]")
        key = parse_log_key(_as_text(words[0]))
        self._check_new_key(key)
        self.logs.append(key)

    def _add_witness(self, words: list[str]) -> None:
        if len(words) not in {2, 3}:
            raise MalformedError("expected: witness NAME VKEY [URL]")
        name, vkey = words[0], _as_text(words[1])
        self._check_new_name(name)
        key = parse_witness_key(vkey)
        self._check_new_key(key)
        self.keys[name] = key
        if len(words) == 3:
            self.urls[name] = words[2]

    def _check_new_key(self, key: NoteKey) -> None:
        """One key, one voice: a name more would let it count twice."""
        for other in (*self.logs, *self.keys.values()):
            if other.key == key.key:
                raise InvalidError(f"the key of {other.name} again, as that of {key.name}")

    def _check_new_name(self, name: str) -> None:
        if name == NONE or name in self.keys or name in self.groups:
            raise InvalidError(f"the name {_shown(name)!a:.80} is taken")

    def _add_group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise MalformedError("expected: group NAME all|any|NUMBER NAME...")
        name, count, *members = words
        self._check_new_name(name)
        for member in members:
            self._check_known(member)
            if self._grouped.setdefault(member, name) != name or members.count(member) > 1:
                raise InvalidError(f"{_shown(member)!a:.80} is a member already")
            self._keep_together(member, name)
        voices = len(_voices(members, self.keys))
        self.groups[name] = Group(name, _threshold(count, voices), tuple(members))

    def _keep_together(self, member: str, group: str) -> None:
        """Let all keys of a witness be in one group: from two, it would speak twice."""
        key = self.keys.get(member)
        if key and self._homes.setdefault(key.name, group) != group:
            raise InvalidError(f"another key of {key.name} is in the group {self._homes[key.name]}")

    def _check_known(self, name: str) -> None:
        if name not in self.keys and name not in self.groups:
            raise MalformedError(f"no witness or group above is called {_shown(name)!a:.80}")

    def _set_quorum(self, words: list[str]) -> None:
        if len(words) != 1:
            raise MalformedError("expected: quorum NAME")
        if self.quorum is not None:
            raise MalformedError("a second quorum")
        if words[0] != NONE:
            self._check_known(words[0])
        self.quorum = words[0]


def _as_text(vkey: str) -> str:
    """A key's text; in the names of keys, unlike in the policy's own, there is only UTF-8."""
    try:
        vkey.encode()
    except UnicodeEncodeError:
        raise MalformedError("a key whose name is no UTF-8") from None
    return vkey


def _threshold(count: str, voices: int) -> int:
    if count in {"all", "any"}:
        return voices if count == "all" else 1
    if not COUNT.fullmatch(count) or int(count) > voices:
        raise InvalidError(f"not a number of witnesses, of {voices} that there are: {count!a:.40}")
    return int(count)

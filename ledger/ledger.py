"""The ledger: append to it, read it, verify it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, NoReturn, Self

from ledger.errors import InvalidError, KeyUnavailable, LedgerError, TrustError
from ledger.format import layout
from ledger.format.entry import KINDS, STATUSES, Entry, as_address
from ledger.format.given import check_given
from ledger.format.keyring import Keyring, check_keyring
from ledger.format.law import is_future, recorded_within
from ledger.format.report import Finding, Report, finding_of
from ledger.format.standing import FALLEN, Stand
from ledger.format.times import Question, format_time
from ledger.local.files import Named, reading, writing
from ledger.sealing.positions import LogPositions
from ledger.stores import EXPECTED, Store, open_store
from ledger.stores.base import ClosedStore
from ledger.titles.draft import ANY, Anything, Appended, Draft, Guards, Pen
from ledger.titles.history import Answer, History
from ledger.titles.identity import (
    check_pinned,
    create_identity,
    find_origin,
    other_ledger,
    read_origin,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from ledger.bundles.copying import Pulled
    from ledger.bundles.importing import Imported
    from ledger.format.blame import Blame
    from ledger.format.canonical import JSONValue
    from ledger.format.diff import Change
    from ledger.format.keys import Signer
    from ledger.packs.writer import Packed
    from ledger.registrations.registration import Registration
    from ledger.sealing.reader import LogReader
    from ledger.titles.batch import Outcome
    from ledger.titles.erase import Edit, Erasure
    from ledger.titles.settle import Fallen
    from ledger.tlog.objects import Leaf
    from ledger.verification.prefetch import Wanted
    from ledger.verification.run import Verification


def _now() -> datetime:
    return datetime.now(UTC).astimezone()  # with the machine's offset


class Ledger:
    """A ledger in a store: append, read, verify.

    Safe to use from many threads. What it hands out has been checked, down to the signature, or it
    raises. It reads no environment and no configuration: the store, the keyring, the signer, the
    clock (a callable that returns an aware datetime) and the source of random bytes (a callable
    that takes how many) are passed in. So is ``check``, which is called with each document that is
    about to be registered, and raises InvalidError to refuse it: see ``ledger.schema``.
    """

    def __init__(
        self,
        history: History,
        signer: Signer | None,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        check: Callable[[JSONValue], None] | None = None,
    ) -> None:
        """Use ``Ledger.open`` or ``Ledger.create``."""
        self._check = check
        self.history = history
        """The checked reading of titles, on which all of this is built."""
        self.clock = clock
        """What time it is: called without arguments, it returns an aware datetime.

        Its offset is that of the place where "today" is told.
        """
        self._random_bytes = random_bytes
        _check_signer(signer)
        self._signer = signer
        self._store = history.store
        self._leaves = LogPositions()

    @classmethod
    def create(
        cls,
        store: str | os.PathLike[str] | Store,
        *,
        origin: str,
        keyring: Keyring | None = None,
        signer: Signer | None = None,
        clock: Callable[[], datetime] = _now,
        random_bytes: Callable[[int], bytes] = os.urandom,
        check: Callable[[JSONValue], None] | None = None,
    ) -> Self:
        """Make a ledger in a store, or open the one of this origin that is there.

        Without a keyring, the signer is the one registrar. Raises StoreUnsafe
        for a store that ignores conditions, LedgerExists for a ledger of another origin.
        """
        store = _open(store)
        if keyring is None:
            if signer is None:
                raise KeyUnavailable("a ledger without a keyring needs a signer")
            _check_signer(signer)
            keyring = Keyring().trust(origin, signer.public_key)
        check_pinned(origin, keyring, "the caller")
        create_identity(store, origin)
        history = History(store, origin, keyring, LogPositions())
        history.follow_trust()
        return cls(history, signer, clock, random_bytes, check)

    @classmethod
    def open(
        cls,
        store: str | os.PathLike[str] | Store,
        *,
        keyring: Keyring,
        origin: str | None = None,
        signer: Signer | None = None,
        clock: Callable[[], datetime] = _now,
        random_bytes: Callable[[int], bytes] = os.urandom,
        check: Callable[[JSONValue], None] | None = None,
    ) -> Self:
        """Open the ledger in a store.

        The origin that the store claims has to be in the keyring, and to be ``origin`` if that is
        given: pass it if the keyring knows several. Raises StoreUnavailable if there is no
        ledger, OriginNotPinned, or TrustError if the store holds another one.
        """
        store = _open(store)
        check_keyring(keyring)
        claimed = read_origin(store, origin)
        check_pinned(claimed, keyring, store.url)
        history = History(store, claimed, keyring, LogPositions())
        history.follow_trust()
        return cls(history, signer, clock, random_bytes, check)

    @classmethod
    def for_import(
        cls, store: str | os.PathLike[str] | Store, *, origin: str, keyring: Keyring
    ) -> Self:
        """Prepare to import a bundle into a store that lacks its ledger; this writes nothing.

        It may lack all of it, or the trust files that the keyring's root asks for: such a store
        can't be opened. ``import_bundle`` makes what is missing once it has verified the bundle.
        Raises OriginNotPinned, or TrustError if the store holds another ledger.
        """
        store = _open(store)
        check_pinned(origin, keyring, "the bundle")
        found = find_origin(store)
        if found is not None and found != origin:
            raise other_ledger(store, found, origin)
        history = History(store, origin, keyring, LogPositions())
        return cls(history, None, _now, os.urandom)

    def __repr__(self) -> str:
        return f"<Ledger {self.origin} in {self.store.url}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidError(
            f"a ledger can't be pickled: {self.origin}",
            hint="open it in each process; for verify_all there is Processes",
        )

    def __contains__(self, title_number: object) -> bool:
        """Whether there is such a title."""
        found = self.history.find_head(layout.check_title_number(title_number))
        if found is None:
            self.history.check_there()
        return found is not None

    def __iter__(self) -> Iterator[str]:
        """The title numbers: see ``titles``."""
        return self.titles()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what the store holds open. After that, whatever needs it is StoreUnavailable."""
        self.store.close()
        self.history.store = ClosedStore(self.store.url)

    @property
    def origin(self) -> str:
        """The ledger's name, which is in every entry."""
        return self.history.origin

    @property
    def store(self) -> Store:
        """The store it is kept in. What you read there directly has not been checked."""
        return self._store

    @property
    def keyring(self) -> Keyring:
        """Whose signatures count."""
        return self.history.keyring

    def use_signer(self, signer: Signer) -> None:
        """Sign with this from the next append on."""
        _check_signer(signer)
        self._signer = signer

    # -- Write ---------------------------------------------------------------------------------

    def append(
        self,
        title_number: str,
        document: Mapping[str, object],
        *,
        message: str = "",
        author: str = "",
        effective_at: Question | None = None,
        effective_until: Question | None = None,
        reference: str = "",
        kind: str = KINDS[0],
        status: str | None = None,
        parent: str | Entry | Anything | None = ANY,
        guards: Guards = Guards(),  # noqa: B008 -- frozen
    ) -> Entry:
        """Register a new version of a title and return its entry: it is durable then.

        ``parent``: ANY, on top of whatever is there; an address or an entry, which has to be the
        head; None: this has to be version 1. ``reference`` makes it repeatable: if the title's
        chain has it already with the same members, that entry is returned, and nothing is written.
        ``effective_at`` and ``effective_until`` are when it holds in law (a date, or a time with
        its offset; a text may name a year or a month), ``kind`` is ``registration``,
        ``rectification`` or ``migration``, ``status`` is ``open`` or ``closed`` (None: as before),
        ``author`` is who asks for it.

        Raises InvalidError for what can't be registered, HeadMoved, HeadMissing, ReferenceConflict,
        TitleClosed, Supersedes or ClockBehind (see ``Guards``) if it doesn't fit what is there,
        StoreError if nothing was written, OutcomeUnknown if nobody can tell: ask again with a
        reference.
        """
        draft = Draft(
            title_number,
            document,
            message,
            effective_at,
            reference,
            effective_until=effective_until,
            author=author,
            kind=kind,
            status=status,
        )
        return self.submit(draft, parent=parent, guards=guards).entry

    def submit(
        self,
        draft: Draft,
        *,
        parent: str | Entry | Anything | None = ANY,
        guards: Guards = Guards(),  # noqa: B008 -- frozen
    ) -> Appended:
        """Do what ``append`` does, and tell whether the entry was there already."""
        import ledger.titles.append as titles  # in half the time of "from"

        return titles.append(
            self.history, self._pen(), draft, parent=_parent(parent), guards=guards
        )

    def append_many(
        self,
        drafts: Iterable[Draft],
        *,
        guards: Guards = Guards(),  # noqa: B008 -- frozen
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Outcome]:
        """Append every draft on top of what is there, and yield the outcomes, in their order.

        Titles are written side by side, the drafts of one title in the order given. An outcome has
        what ``submit`` would return, durable by then, or the LedgerError it would raise. After an
        error the later drafts of the same title are not appended: their error is Skipped. Drafts
        are taken a little ahead of the outcomes, and are to be left unchanged by then; what taking
        them raises is raised when those before it have had their outcomes.

        Closing the iterator starts nothing new and waits for what is being written; so does
        ``stop``, asked between appends, but those outcomes are still yielded.
        """
        from ledger.titles.batch import append_many

        check_given(drafts, Iterable, "a list of drafts")
        return append_many(self.history, self._pen(), drafts, guards=guards, stop=stop)

    def register(
        self,
        drafts: Iterable[Draft],
        *,
        reference: str,
        parents: Mapping[str, str | Entry | Anything | None] = MappingProxyType({}),
        guards: Guards = Guards(),  # noqa: B008 -- frozen
        dry_run: bool = False,
    ) -> list[Appended]:
        """Append the drafts, of several titles, as the parts of one registration.

        Parts are numbered by title number; several of one title come in the order given. All heads
        are read first, and if one part doesn't fit, nothing is written. ``parents`` says of a title
        what its head has to be, as ``append`` does. The same call again is safe: parts that stand
        are returned as ``repeated``. ``dry_run``: return what would be appended, and write nothing.

        Raises RegistrationIncomplete if some parts stand and one could not follow: the same call
        again does what is left, and ``give_up`` ends it. Else it raises what ``append`` does, and
        ReferenceConflict for the reference of another registration.
        """
        from ledger.registrations.register import register

        check_given(parents, Mapping, "the parents by title number, in a dict")
        return register(
            self.history,
            self._pen(),
            drafts,
            reference=reference,
            parents={title: _parent(parent) for title, parent in parents.items()},
            guards=guards,
            dry_run=dry_run,
        )

    def give_up(
        self,
        reference: str,
        *,
        message: str = "",
        author: str = "",
        guards: Guards = Guards(),  # noqa: B008 -- frozen
    ) -> list[Appended]:
        """Complete a registration of which some parts stand, without the parts that are missing.

        In the place of each, a rectification is appended to a title that the registration has
        changed. It says what the title says already: to take back what stands is another entry.
        Return what was appended; nothing if no part is missing. Raises NotFoundError if no part
        stands, and what ``append`` does.
        """
        from ledger.registrations.register import give_up

        return give_up(
            self.history, self._pen(), reference, message=message, author=author, guards=guards
        )

    def preview(
        self,
        draft: Draft,
        *,
        parent: str | Entry | Anything | None = ANY,
        guards: Guards = Guards(),  # noqa: B008 -- frozen
    ) -> Appended:
        """Return what ``submit`` would return now, or raise what it would raise. Write nothing."""
        from ledger.titles.append import preview

        return preview(self.history, self._pen(), draft, parent=_parent(parent), guards=guards)

    def erase(
        self,
        title_number: str,
        versions: Iterable[int],
        *,
        reference: str,
        message: str,
        author: str = "",
        change: Edit | None = None,
        lost: bool = False,
        clamp_time: bool = False,
    ) -> Erasure:
        """Order the texts of versions erased, erase what can be by now, and say what is left.

        ``reference`` is that of the order, ``message`` the reason: both stay. The entry that orders
        it has the newest document, or what ``change`` makes of it. If there is a log, the texts are
        erased once it has that entry: seal it, then call ``finish_erasure``. Everything can be
        repeated; what is owed follows from the chain.

        Raises IntegrityError for a text that doesn't verify, as nobody could tell any more whose it
        was; ``lost``: erase one that is gone, and of which there is no copy. Raises InvalidError
        for versions that are not there, what ``append`` does, and what ``finish_erasure`` does.
        """
        from ledger.titles.erase import order_erasure

        pen = self._pen()
        self._log_has()  # if the log can't be checked, nothing is ordered
        order_erasure(
            self.history,
            pen,
            title_number,
            versions,
            reference=reference,
            message=message,
            author=author,
            change=change,
            lost=lost,
            clamp_time=clamp_time,
        )
        return self.finish_erasure(title_number)

    def finish_erasure(self, title_number: str) -> Erasure:
        """Erase the texts that the title's chain orders erased, and say what is left.

        That is their objects, the older versions that a bucket keeps of them and of the head, and
        the packs that hold them. Raises OriginNotPinned if there is a log and the keyring has no
        key of it, IntegrityError for a chain that doesn't hold, OutcomeUnknown if nobody can tell.
        """
        self.store.check_writable()
        return self._erase_texts(title_number, self._log_has() or (lambda _: True))

    def _erase_texts(self, title_number: str, log_has: Callable[[Entry], bool]) -> Erasure:
        from ledger.packs.writer import expel
        from ledger.titles.erase import erase_texts

        erasure = erase_texts(self.history, title_number, log_has)
        if not erasure.erased:
            return erasure
        left = expel(self.history, title_number, erasure.erased)
        return erasure._replace(left=(*erasure.left, *left))

    def fallen(
        self,
        key_id: str,
        titles: Iterable[str] | None = None,
        *,
        each: Callable[[Report], None] | None = None,
        jobs: int | None = None,
        executor: Executor | None = None,
    ) -> tuple[list[Fallen], Report]:
        """List what no longer stands because of a registrar's key, and is not settled yet.

        ``key_id``: the key's id, or its first digits. Listed are the entries that the key signed,
        and those that only an entry that fell with it had confirmed or voided. Of a title, the
        newest comes first. These titles are verified, or all that the store lists; the report says
        what else was found, and may have kept entries from being seen.
        """
        from ledger.titles.settle import find_fallen, find_registrar

        key_id = find_registrar(self.history, key_id)
        touched: dict[str, None] = {}

        def hear(report: Report) -> None:
            named = (finding.object_key for finding in report.findings if finding.slug in FALLEN)
            touched.update(dict.fromkeys(key.partition("/")[0] for key in named))
            if each is not None:
                each(report)

        report = self.verify_all(titles, each=hear, jobs=jobs, executor=executor)
        found: list[Fallen] = []
        failures: list[Finding] = []
        for title_number in touched:
            try:
                found += find_fallen(self.history, title_number, key_id)
            except LedgerError as error:
                failures.append(finding_of(error, layout.head_key(title_number)))
        findings = [each for each in report.findings if each.slug not in FALLEN]
        return found, replace(report, findings=tuple(dict.fromkeys([*findings, *failures])))

    def settle(
        self,
        title_number: str,
        *,
        confirms: Iterable[int] = (),
        voids: Iterable[int] = (),
        reference: str = "",
        message: str = "",
        author: str = "",
        change: Edit | None = None,
        lost: bool = False,
        clamp_time: bool = False,
    ) -> Appended:
        """Confirm or void versions that do not count, by an entry on top of the title's head.

        What it confirms stands; what it voids never was. The head itself need not stand: this is
        the only way to write on top of one that doesn't. The new entry restates the newest document
        that stands then, or what ``change`` makes of it. If there is none, it closes the title,
        with an empty document, unless ``change`` makes one. ``lost``: the newest text is gone, and
        there is no copy of it, so begin with an empty document as well. If entries that stand say
        all of it already, the newest of them is returned, and nothing is written.

        Raises InvalidError for a version that is not there, or that counts, NotStanding if nobody
        can tell, IntegrityError if the chain lacks what the log has of the title (``recover`` puts
        the head back), or for the newest text if that is gone, and what ``append`` does.
        """
        from ledger.titles.settle import settle

        return settle(
            self.history,
            self._pen(),
            title_number,
            confirms=confirms,
            voids=voids,
            logged=lambda title: self._leaves.newest(self.history, title),
            reference=reference,
            message=message,
            author=author,
            change=change,
            lost=lost,
            clamp_time=clamp_time,
        )

    def _log_has(self) -> Callable[[Entry], bool] | None:
        """Return what tells whether the published log has an entry; None: there is no log."""
        from ledger.bundles.log_part import published_log
        from ledger.sealing.reader import LogReader

        signed = published_log(self.history)
        if signed is None:
            begun = self.store.get(layout.LOG_STATE) is not None
            return (lambda _: False) if begun else None
        reader = LogReader(self.history)
        return cache(lambda entry: reader.has(entry, signed))

    def recover(
        self,
        title_number: str,
        *,
        to: str | Entry | None = None,
        expect: str | Entry | None = None,
    ) -> Entry:
        """Mend a head that is missing or unreadable, and return the entry it points at now.

        If several entries have no successor, ConflictError lists them, and ``to`` chooses one.
        ``expect`` is an address, remembered from before, that has to be in the chain. So has what
        the log has of the title: all its leaves are read if its record does not tell. Entries that
        the store lost and a pack has are put back.
        """
        from ledger.packs.reader import entries_in_packs
        from ledger.titles.recover import recover

        self.store.check_writable()
        return recover(
            self.history,
            title_number,
            to=_pin(to),
            expect=_pin(expect),
            logged=self._log().logged_leaf,
            packed=lambda title: entries_in_packs(self.store, self.origin, title),
        )

    def import_bundle(self, source: Named) -> Imported:
        """Bring every title of a bundle (a path or a seekable file) to where the bundle has it.

        All of it is verified before anything is written; repeating it changes nothing. A text that
        a chain orders erased is never brought back; if the log has the order, or there is no log,
        it is erased here, too. Raises
        IntegrityError, Forked if the histories part, TrustError for another ledger's bundle,
        NotFoundError for an incremental one whose earlier bundles are not in the store yet.

        With a root in the keyring, the bundle's trust files come first, and titles are judged by
        them: raises NotStanding for a head that does not stand, NotProven if nobody can tell,
        TrustError if the store has another trust file.
        """
        from ledger.bundles.importing import import_bundle

        self.store.check_writable()
        with reading(source) as file:
            return import_bundle(self.history, file, self.clock(), self.finish_erasure)

    def pull(
        self,
        source: Ledger,
        *,
        each: Callable[[Report], None] = lambda _: None,
    ) -> Pulled:
        """Bring what is new in another store of this ledger, as far as its log goes, and verify it.

        ``Ledger.for_import`` prepares a store for its first pull. Each title is verified before
        anything of it is written, and compared with the log of the source, which has to continue
        the log that is here. What the log's leaves name is read, so the source need not be listed;
        without a log, it must be. Erasures are carried out. ``each`` hears of every title that was
        looked at. A pull that was cut off is finished by the next one.

        Raises IntegrityError, with nothing changed, if the source's log is older than what is here
        (reason ``log-set-back``) or forked (``not-consistent``). Raises IntegrityError or NotProven
        at the end, if titles were refused: these and the log stay as they were. Raises
        OriginNotPinned if the keyring has no key of the log, TrustError for another ledger.
        """
        from ledger.bundles.copying import pull

        self.store.check_writable()
        if source.origin != self.origin:
            raise other_ledger(source.store, source.origin, self.origin)
        return pull(
            self.history,
            source.history,
            self.clock(),
            finish=self._erase_texts,
            list_titles=source.titles,
            each=each,
        )

    def pack(
        self,
        *,
        rebuild: bool = False,
        each: Callable[[str], None] | None = None,
        jobs: int | None = None,
        executor: Executor | None = None,
    ) -> Packed:
        """Put entries that are in no pack yet, or all, into packs, to be read hundreds at once.

        Only what verifies is packed; ``each`` hears of every title that was looked at. ``jobs`` and
        ``executor`` are those of ``verification``: an executor reads and checks, and this writes.
        """
        from ledger.packs.writer import pack

        self.store.check_writable()
        return pack(self.history, rebuild=rebuild, each=each, jobs=jobs, executor=executor)

    def _pen(self) -> Pen:
        self._store.check_writable()
        if self._signer is None:
            raise KeyUnavailable(
                "no key to sign with", hint="open the ledger with a signer; see 'ledger key list'"
            )
        key_id = self._signer.public_key.key_id
        if not self.keyring.may_sign(self.origin, key_id):
            raise TrustError(
                f"key {key_id[:16]}… is not a registrar of {self.origin}:"
                " nobody would accept what it signs",
                hint="if it is to sign there: ledger key show --key FILE > new.pub, then"
                f" ledger key trust new.pub --origin {self.origin}",
            )

        return Pen(self._signer, self.clock, self._random_bytes, self._logged, self._check)

    def _logged(self, title_number: str) -> Leaf | None:  # asked for few titles, and slow to load
        return self._log().claimed_leaf(title_number)

    def _log(self) -> LogReader:
        from ledger.sealing.reader import LogReader

        return LogReader(self.history)

    # -- Read ----------------------------------------------------------------------------------

    def head(self, title_number: str) -> Entry:
        """The newest entry of a title: one read. Raises NotFoundError."""
        return self.history.head(title_number)

    def entry(self, title_number: str, revision: str | Entry = "HEAD") -> Entry:
        """The entry that a revision names: ``HEAD~2``, ``v3``, ``81be04aa``, ``@{2026-01-31}``.

        Reads every entry from the head down to it. If its text is erased, ``is_withheld`` says so,
        and ``document`` raises Erased.
        """
        return self.history.resolve(title_number, revision)

    def log(
        self,
        title_number: str,
        revision: str | Entry = "HEAD",
        *,
        since: Question | None = None,
        until: Question | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        """The history of a title from a revision down, newest first, one read an entry.

        ``since`` and ``until``: only what was recorded from a day on (00:00 UTC), or an instant,
        and by the end of one. ``limit``: at most so many, the newest. ``reverse``: the oldest of
        these first, once all of them are read.
        """
        most = _check_limit(limit)
        many = 1 if most is None or since is not None else most
        entries = self.history.log(title_number, revision, many=many)
        within = recorded_within(entries, lambda entry: entry, since, until)
        chosen = islice(within, most)
        return reversed(list(chosen)) if reverse else chosen

    def at(
        self,
        title_number: str,
        *,
        effective: Question | None = None,
        recorded: Question | None = None,
    ) -> Entry:
        """The version in law on a day, ``effective``, as it was known on another, ``recorded``.

        Both are a date, or an instant with its offset; a text is one of these in RFC 3339, or
        ``today``: this moment, by the ledger's clock. Without ``effective``: the version that was
        the newest then. Raises NotInLaw if no version covers the day, Erased if the text of the one
        that does is erased, InvalidError for no date.
        """
        answer = self.answer(title_number, effective=effective, recorded=recorded)
        return self.history.read_text(answer.entry)

    def answer(
        self,
        title_number: str,
        *,
        effective: Question | None = None,
        recorded: Question | None = None,
    ) -> Answer:
        """Answer as ``at`` does, and name the versions that were passed over, and why.

        ``passed_over`` has each newer entry that would be the answer if it stood, and its
        ``Stand``; ``is_future`` says that the answer may still change. The text of ``entry`` may be
        erased; ``is_withheld`` says so.
        """
        now = self.clock()
        day, known = (now if asked == "today" else asked for asked in (effective, recorded))
        answer = self.history.answer(title_number, effective=day, recorded=known)
        return answer._replace(is_future=is_future(now, day, known))

    def registration(self, reference: str) -> Registration:
        """What a reference changed: its entries, of all titles, and which parts are missing.

        Names in the store lead to the titles, and their chains decide. So what is shown stands; an
        entry whose name is missing is not found, until ``fsck`` has mended it. Raises NotStanding
        if nobody can tell whether an entry stands, IntegrityError for a chain that doesn't hold.
        """
        from ledger.registrations.registration import find_registration

        return find_registration(self.history, reference)

    def diff(
        self, title_number: str, old: str | Entry = "HEAD~1", new: str | Entry = "HEAD"
    ) -> list[Change]:
        """The fields that differ between two revisions of a title."""
        from ledger.format.diff import changes

        head = self.head(title_number)  # once: both revisions are seen from the same state
        before = self.history.read_text(self.history.resolve(title_number, old, head))
        after = self.history.read_text(self.history.resolve(title_number, new, head))
        return changes(before.document, after.document)

    def blame(self, title_number: str, path: str = "", *, limit: int | None = None) -> list[Blame]:
        """Which version gave each field of the newest document its value.

        ``path`` is a JSON pointer to those wanted. Reads each entry that it needs once, the newest
        first. ``limit``: how many bytes the paths and values may take, about. Raises NotFoundError
        if the document has no such place, InvalidError beyond the limit.
        """
        from ledger.format.blame import blame

        check_given(path, str, "a JSON pointer")
        head = self.head(title_number)
        self.history.check_stands(head)
        return blame(self.history.standing_entries(head), path, limit=_check_limit(limit))

    def find(self, prefix: str) -> Entry:
        """The entry whose address begins so, whatever its title: 4 or more hex digits.

        Lists the whole store. Raises NotFoundError, and InvalidError if there are several.
        """
        return self.history.find(prefix)

    def titles(
        self, *, prefix: str = "", after: str = "", limit: int | None = None, status: str = ""
    ) -> Iterator[str]:
        """The title numbers, in order, as the store lists them: a listing can't be verified.

        Those of a store that can't be listed are the ones that the log has, which is proved.
        ``status``: only those that are ``open`` or ``closed``, by their newest entry that stands.
        Then each head is read.
        """
        if status not in ("", *STATUSES):
            raise InvalidError(f"not a status: {status!a:.40}", hint="open or closed")
        chosen = self._titles(prefix, after)
        if status:
            chosen = self.history.with_status(chosen, status)
        return islice(chosen, _check_limit(limit))

    def _titles(self, prefix: str, after: str) -> Iterator[str]:
        check_given(prefix, str, "the beginning of a title number")
        if not self.store.is_listable:
            from ledger.verification.leaf_index import logged_titles

            return (
                title
                for title in logged_titles(self._log())
                if title.startswith(prefix) and f"{title}/" > (f"{after}/" if after else "")
            )
        start = f"{layout.check_title_number(after)}/" if after else ""
        found = self.history.store.list(prefix, after=start, delimiter="/")
        titles = filter(layout.is_title_number, (key.removesuffix("/") for key in found))
        return self._present(titles)

    def _present(self, titles: Iterator[str]) -> Iterator[str]:
        """Yield the titles; an empty listing raises StoreUnavailable if the ledger is gone."""
        title_number = ""
        for title_number in titles:
            yield title_number
        if not title_number:
            self.history.check_there()

    # -- Verify --------------------------------------------------------------------------------

    def verify(
        self,
        title_number: str,
        *,
        expect: str | Entry | None = None,
        since: str | Entry | None = None,
        each: Callable[[Entry, Stand], None] | None = None,
        jobs: int | None = None,
    ) -> Report:
        """Verify one title from its head to its root, or down to ``since``.

        Both are an address or an entry. ``expect`` is a pin, remembered from before, which has to
        be in the chain.
        ``each`` gets the entries that are walked, the newest first, and how each stands: they mean
        what the report says of the whole. ``jobs``: how many threads check signatures; all cores,
        if not given. Raises NotFoundError for a title of which nothing is known.
        """
        from ledger.local.parallel import cores
        from ledger.verification.walk import verify_title

        return verify_title(
            self.history,
            title_number,
            self.clock(),
            expect=_pin(expect),
            since=_pin(since),
            each=each,
            jobs=jobs or cores(),
        )

    def verify_all(
        self,
        titles: Iterable[str] | None = None,
        *,
        each: Callable[[Report], None] | None = None,
        state: str | os.PathLike[str] | None = None,
        jobs: int | None = None,
        executor: Executor | None = None,
    ) -> Report:
        """Verify these titles, or all that the store lists; ``each`` gets one report at a time.

        The parameters are those of ``verification``, and so are the errors.
        """
        return self.verification(titles, state=state, jobs=jobs, executor=executor).run(each)

    def verification(
        self,
        titles: Iterable[str] | None = None,
        *,
        listed: bool = False,
        state: str | os.PathLike[str] | None = None,
        jobs: int | None = None,
        executor: Executor | None = None,
    ) -> Verification:
        """Prepare what ``verify_all`` does, to be run and stopped; this reads no title yet.

        ``listed``: the titles were chosen from the store's own listing. ``state`` is a file that
        remembers what verified, from one run to the next: what lies below is taken on trust, and a
        title that is gone or was set back is found. ``jobs``: how many tasks run at once; as many
        as there are cores, if not given. They run on threads, or on ``executor``, of
        ``concurrent.futures``: ``Processes`` pays from about a thousand titles in a folder on.

        Raises MalformedError for a damaged state, TrustError for the state of another ledger or one
        that others can write, InvalidError for one inside the store, ConflictError if another
        verification uses it, StoreUnavailable if it can't be written.
        """
        from ledger.local.parallel import cores
        from ledger.verification.run import Verification

        return Verification(
            self.history,
            None if titles is None else _check_titles(titles),
            self.clock(),
            listing=self.titles,
            listed=listed,
            state=state,
            jobs=jobs or cores(),
            executor=executor,
        )

    def fsck(
        self,
        *,
        each: Callable[[Report], None] | None = None,
        prune_losers: timedelta | None = None,
    ) -> Report:
        """Verify all titles, and check every other object, including those in no chain.

        Creates the objects of references that are missing. ``prune_losers``: delete the entries of
        this age, or older, that lost a race for their version, with their names: they hold texts.
        """
        from ledger.local.parallel import cores
        from ledger.verification.fsck import Prune, fsck
        from ledger.verification.walk import FROM_A_LISTING

        check_given(prune_losers, (timedelta, NoneType), "a timedelta")
        now, prune = self.clock(), None
        if prune_losers is not None:
            prune = Prune(format_time(now - prune_losers), self._log_has() or (lambda _: False))

        def heard() -> Iterator[Report]:
            yield Report(self.origin, not_shown=(FROM_A_LISTING,))
            for report in fsck(self.history, now, jobs=cores(), prune=prune):
                if each is not None:
                    each(report)
                yield report

        return Report.merge(self.origin, heard())

    # -- Bundles -------------------------------------------------------------------------------

    def export(
        self,
        out: Named,
        titles: Iterable[str] | None = None,
        *,
        since: Iterable[Named] = (),
        left_out: Callable[[str, LedgerError], None] | None = None,
    ) -> int:
        """Write a bundle of these titles, or of all, and return how many it holds.

        ``out``: a file, or the path of a new one, which is there once it is whole and durable.
        ``since``: earlier bundles; only what came after them is written. A title that does not
        hold raises; with ``left_out`` it is left out, the function hears of it, and the bundle
        names it.
        """
        from ledger.bundles.exporting import export, lacking_in

        known: dict[str, Wanted] | None = None
        check_given(since, Iterable, "a list of bundles, such as [FILE]")
        for earlier in since:
            with reading(earlier) as file:
                known = (known or {}) | lacking_in(file, self.origin, self.keyring)
        chosen = (
            self.titles()
            if titles is None
            else sorted(set(_check_titles(titles)), key=layout.head_key)
        )
        with writing(out) as new:
            return export(
                self.history, new, chosen, known, listed=titles is None, left_out=left_out
            )

    def strip_bundle(self, source: Named, out: Named) -> int:
        """Write an old bundle again, without the texts that are ordered erased.

        Return how many entries have lost their texts. A title of which some are erased goes as far
        as it does in the store by now: the entry that orders it is in the new bundle. Raises
        IntegrityError for a bundle that doesn't verify, Forked if the histories part.
        """
        from ledger.bundles.stripping import strip_bundle

        log_has = self._log_has()
        counts = log_has or (lambda _: True)
        with reading(source) as old, writing(out) as new:
            return strip_bundle(self.history, old, new, self.clock(), counts)


def _open(store: str | os.PathLike[str] | Store) -> Store:
    """Open a store that was named. A wrong type ends here, and not as an AttributeError inside."""
    if isinstance(store, (str, os.PathLike)):
        return open_store(store)
    if not hasattr(store, "create_many"):
        raise InvalidError(f"not a store: a {type(store).__name__}", hint=EXPECTED)
    return store


def _check_signer(signer: object) -> None:
    if signer is not None and not hasattr(signer, "public_key"):
        raise InvalidError(
            f"expected a signer, not a {type(signer).__name__}", hint="load_key(FILE) reads a key"
        )


def _pin(named: str | Entry | None) -> str | None:
    return None if named is None else as_address(named)


def _parent(named: str | Entry | Anything | None) -> str | Anything | None:
    return named if isinstance(named, Anything) else _pin(named)


def _check_titles(titles: Iterable[str]) -> Iterable[str]:
    """Refuse one title number, the letters of which could be taken for many."""
    check_given(titles, Iterable, "a list of titles")
    if isinstance(titles, str):
        raise InvalidError(f"not a list of titles: {titles!a:.40}", hint="pass [TITLE]")
    return titles


def _check_limit(limit: int | None) -> int | None:
    check_given(limit, (int, NoneType), "a limit: an integer")
    if limit is not None and limit < 0:
        raise InvalidError(f"not a limit: {limit}")
    return limit

"""``ledger serve``: serve the ledger over HTTP."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.config import Config, load_config
from cli.keys import is_missing, log_signers, memory_file, own_key, reread
from cli.serve.access import CannotServeError, hosts_to_answer_to, is_loopback, listen, read_tokens
from cli.serve.logs import LogFormat, configure_log
from cli.serve.workers import Crew
from cli.session import check_place
from cli.terminal.output import print_json
from cli.terminal.text import printable
from cli.witnesses import read_policy
from ledger import Ledger
from ledger.format.entry import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from ledger.service import Access, Sealer

NEEDED = ("fastapi", "uvicorn", "h11", "jinja2", "prometheus_client")

HostOption = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")
]
PortOption = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", min=0, max=65535, help="The port; 0 takes any free one."
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", metavar="N", min=1, max=64, help="How many processes answer."),
]
PublicUrlOption = Annotated[
    str,
    typer.Option(
        "--public-url", metavar="URL", help="The URL that clients use, such as https://example.org."
    ),
]
TrustedProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy",
        metavar="ADDRESS",
        help="A proxy whose X-Forwarded-For and X-Forwarded-Proto to trust.",
    ),
]
UserHeaderOption = Annotated[
    str,
    typer.Option(
        "--user-header",
        metavar="NAME",
        help="The header in which the trusted proxy names who has signed in, and may read.",
    ),
]
AllowedHostOption = Annotated[
    list[str] | None,
    typer.Option("--allowed-host", metavar="NAME", help="A host name to answer to; default: any."),
]
PublicReadOption = Annotated[
    bool, typer.Option("--public-read", help="Let anybody read without a token.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Let other machines in, even without tokens.")
]
RequireMatchOption = Annotated[
    bool, typer.Option("--require-match", help="Refuse writes without If-Match or If-None-Match.")
]
MaxBodyOption = Annotated[
    int, typer.Option("--max-body", metavar="BYTES", min=1, help="The largest request body.")
]
TimeoutOption = Annotated[
    str,
    typer.Option(
        "--timeout", metavar="TIME", help="How long a request waits for the store, such as 30s."
    ),
]
CorsOriginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--cors-origin", metavar="ORIGIN", help="A site whose scripts may call the service."
    ),
]
PresignOption = Annotated[
    int | None,
    typer.Option(
        "--presign",
        metavar="SECONDS",
        min=1,
        help="List titles as presigned S3 URLs, valid for SECONDS; each is a credential.",
    ),
]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone",
        metavar="NAME",
        help='Where "today" is told, such as Europe/London; default: here.',
    ),
]
SealEveryOption = Annotated[
    str | None,
    typer.Option(
        "--seal-every",
        metavar="TIME",
        help="Seal the log this often, such as 5s or 1m; begin it before.",
    ),
]
LogKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--log-key", metavar="KEY", help="A key of the log (LEDGER_LOG_KEY); may be repeated."
    ),
]
SealMemoryOption = Annotated[
    Path | None,
    typer.Option("--seal-memory", metavar="FILE", help="The file with what this sealer remembers."),
]
SealWitnessOption = Annotated[
    Path | None,
    typer.Option(
        "--witness", metavar="POLICY", help="Ask the witnesses in this policy to cosign each seal."
    ),
]
IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index", metavar="FILE", help="Search in this index, and keep it up to date; see 'index'."
    ),
]
LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="The format of the service's own log, on stderr.")
]


def serve(
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = 5000,
    workers: WorkersOption = 1,
    public_url: PublicUrlOption = "",
    trusted_proxy: TrustedProxyOption = None,
    user_header: UserHeaderOption = "",
    allowed_host: AllowedHostOption = None,
    public_read: PublicReadOption = False,
    insecure: InsecureOption = False,
    require_match: RequireMatchOption = False,
    max_body: MaxBodyOption = 2 * MAX_BYTES,
    timeout: TimeoutOption = "30s",
    cors_origin: CorsOriginOption = None,
    presign: PresignOption = None,
    zone: ZoneOption = None,
    seal_every: SealEveryOption = None,
    log_key: LogKeyOption = None,
    seal_memory: SealMemoryOption = None,
    witness: SealWitnessOption = None,
    index: IndexOption = None,
    schema: options.SchemaOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Serve the ledger over HTTP: an API, and pages.

    Reads tokens from LEDGER_TOKENS_FILE, and one login from BASIC_AUTH_USERNAME and
    BASIC_AUTH_PASSWORD.
    """
    _check_installed()
    from ledger.service import Indexer, Settings, create_app  # noqa: PLC0415 -- only to serve
    from ledger.service.server import run_server  # noqa: PLC0415
    from ledger.service.workers import Worker  # noqa: PLC0415

    every = _seconds_between_seals(seal_every, log_key, seal_memory, witness)
    config = load_config()
    tokens = read_tokens(config.environment)
    # With a public URL or a proxy, others can come in wherever this listens.
    local = is_loopback(host) and not (public_url or trusted_proxy)
    if not (local or tokens or user_header or insecure):
        raise _open_to_all(public_url or host)
    settings = Settings(
        public_url=public_url.rstrip("/"),
        allowed_hosts=hosts_to_answer_to(allowed_host or [], public_url, local=is_loopback(host)),
        tokens=tokens,
        public_read=public_read or local,
        trusted_proxies=tuple(trusted_proxy or ()),
        user_header=user_header,
        require_match=require_match,
        max_body=max_body,
        timeout=options.parse_duration(timeout),
        cors_origins=tuple(cors_origin or ()),
        presign_seconds=presign,
    )
    with listen(host, port) as listener:
        configure_log(log_format, quiet=quiet)
        crew = Crew(workers) if workers > 1 else None
        worker = Worker(*crew.start()) if crew else None
        seals = worker is None or worker.number == 1
        told = quiet or not seals or (crew is not None and crew.was_ready)
        with _open_ledger(config, store, key, zone, schema, quiet=told) as ledger:
            sealer = None
            if every is not None and seals:
                sealer = _make_sealer(
                    config,
                    ledger,
                    store,
                    key=log_key,
                    memory=seal_memory,
                    witness=witness,
                    every=every,
                )
            indexer = Indexer(ledger, index) if index is not None else None
            read_access = _reread_access(config, key, log_key)
            app = create_app(ledger, settings, sealer, read_access, indexer, worker=worker)

            def ready() -> None:
                if crew:
                    crew.tell_ready()
                if not told:
                    _announce(ledger, listener, as_json=as_json)

            run_server(app, listener, ready)


def _reread_access(
    config: Config, key: str | None, log_key: list[str] | None
) -> Callable[[], Access]:
    """Return what reads the keyring, the tokens and the keys again."""
    from ledger.service import Access  # noqa: PLC0415 -- only needed to serve

    new_key = reread([config.key(key)], lambda: own_key(config, key))
    log_keys = [config.key(each, "log") for each in log_key or ()] or [config.key(None, "log")]
    new_log_keys = reread(log_keys, lambda: log_signers(config, log_key))

    def read_access() -> Access:
        tokens = read_tokens(config.environment)
        return Access(config.keyring(), tokens, new_key(), new_log_keys() or ())

    return read_access


def _check_installed() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CannotServeError(
            f"cannot serve: these packages are not installed: {', '.join(missing)}",
            hint="in the clone of the source: pip install '.[serve]'",
        )


def _open_to_all(place: str) -> CannotServeError:
    return CannotServeError(
        f"cannot serve: there are no tokens, so anybody who reaches {place} could write",
        hint="set LEDGER_TOKENS_FILE to a file of tokens, or add --insecure",
    )


def _seconds_between_seals(every: str | None, *others: object) -> float | None:
    if every is not None:
        return options.parse_duration(every)
    if any(other is not None for other in others):
        raise typer.BadParameter("--log-key, --seal-memory and --witness need --seal-every")
    return None


def _make_sealer(
    config: Config,
    ledger: Ledger,
    store: str | None,
    *,
    key: list[str] | None,
    memory: Path | None,
    witness: Path | None,
    every: float,
) -> Sealer:
    """Make the sealer of the service; raises LedgerError if it could not even begin."""
    from ledger.service import Sealer  # noqa: PLC0415 -- only needed to serve

    check_place(config, ledger, store)
    remembered = memory_file(config, ledger.origin, memory)
    policy = read_policy(witness, ledger.keyring) if witness is not None else None
    return Sealer(ledger, log_signers(config, key), remembered, every=every, policy=policy)


def _open_ledger(
    config: Config,
    store: str | None,
    key: str | None,
    zone: str | None,
    schema: Path | None,
    *,
    quiet: bool,
) -> Ledger:
    """Open the ledger with the user's key if that key may write; otherwise to read only."""
    config.zone(zone)  # a wrong name is to be told now
    has_key = key is not None or not is_missing(config.key())
    signer = own_key(config, key) if has_key else None
    opened = config.open_store(store)
    ledger = Ledger.open(
        opened,
        keyring=config.keyring(),
        origin=config.origin_of(opened),
        signer=signer,
        clock=partial(config.now, zone),
        check=config.check(schema),
    )
    key_id = signer.public_key.key_id if signer else ""
    if not ledger.keyring.may_sign(ledger.origin, key_id):
        why = f"{key_id[:16]} is not a registrar's key" if key_id else "no key"
        if not quiet:
            typer.echo(f"ledger: read-only: {why}", err=True)
    else:
        check_place(config, ledger, store)
    return ledger


def _announce(ledger: Ledger, listener: socket, *, as_json: bool) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if as_json:
        print_json({"url": url, "origin": ledger.origin, "store": ledger.store.url})
    else:
        typer.echo(f"serving {ledger.origin} from {printable(ledger.store.url)} at {url}/titles")
    sys.stdout.flush()

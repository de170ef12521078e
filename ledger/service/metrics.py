"""Count and time for Prometheus, in a registry for each application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ledger.format.layout import head_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ledger.service.sealer import Sealing

WriteOutcome: TypeAlias = Literal["appended", "repeated", "skipped"]

METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class LogFigures(NamedTuple):
    """Figures of the transparency log."""

    size: int | None
    """Leaves; None: the checkpoint is not valid."""
    pending: int
    """Moves of heads that wait for a seal."""
    oldest_seconds: float
    """How long the oldest of them has waited; 0: none waits."""


class _Log(Collector):
    """Exports what is known of the log, and no series for what is not."""

    figures: LogFigures | None = None
    sealing: Sealing | None = None
    contradicted: Callable[[], Collection[str]] = tuple

    def collect(self) -> Iterator[Metric]:
        if self.figures:
            size, pending, oldest = self.figures
            if size is not None:
                yield GaugeMetricFamily("ledger_log_size", "Leaves of the published log", size)
            yield GaugeMetricFamily(
                "ledger_log_pending", "Moves of heads that wait for a seal", pending
            )
            yield GaugeMetricFamily(
                "ledger_log_oldest_pending_seconds", "How long the oldest has waited", oldest
            )
        if self.sealing:
            yield GaugeMetricFamily(
                "ledger_log_sealed_timestamp_seconds",
                "When this service last sealed successfully; 0: not yet",
                self.sealing.sealed_at or 0,
            )
            yield CounterMetricFamily(
                "ledger_log_seal_failures",
                "Seals of this service that failed",
                self.sealing.failures,
            )
            if self.sealing.witnessed is not None:
                yield GaugeMetricFamily(
                    "ledger_log_witnessed",
                    "1: the log is cosigned as the policy of this service asks; 0: it is not",
                    int(self.sealing.witnessed),
                )
        seen = {head_key(title_number) for title_number in self.contradicted()}
        if self.sealing or self.figures or seen:
            found = self.sealing.findings if self.sealing else frozenset()
            yield GaugeMetricFamily(
                "ledger_log_findings",
                "Objects that the last seal of this service left out of the log, and titles that"
                " it found not to be as logged",
                len(seen | found),
            )


class Metrics:
    """Counts requests, appends and conflicts, and times the work on the store."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ledger_http_requests",
            "Requests answered, by route template, method and status",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._appends = Counter(
            "ledger_appends",
            "Appends that succeeded; repeated: an Idempotency-Key found its entry again",
            ("outcome",),
            registry=self._registry,
        )
        self._conflicts = Counter(
            "ledger_conflicts",
            "Appends refused because another writer was first",
            ("slug",),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "ledger_store_seconds",
            "Time on the store and on checking what it gave, without waiting for a turn",
            ("operation",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._in_use = Gauge(
            "ledger_store_in_use", "Calls that use the store now", registry=self._registry
        )

        self._log = _Log()
        self._registry.register(self._log)

    def watch_titles(self, contradicted: Callable[[], Collection[str]]) -> None:
        """Export how many titles were found not to be as logged."""
        self._log.contradicted = contradicted

    def watch_sealing(self, sealing: Sealing) -> None:
        """Export how sealing is going."""
        self._log.sealing = sealing

    def log_is(self, figures: LogFigures | None) -> None:
        """Set the figures of the log; None: there is no log, or it can't be read."""
        self._log.figures = figures

    def watch_work(self, in_use: Callable[[], float]) -> None:
        """Export how many calls use the store, which ``in_use`` tells."""
        self._in_use.set_function(in_use)

    def answered(self, route: str, method: str, status: int) -> None:
        """Count a request. ``route`` is a template, so that callers can't create new series."""
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()

    def appended(self, outcome: WriteOutcome) -> None:
        """Count an append."""
        self._appends.labels(outcome).inc()

    def conflicted(self, slug: str) -> None:
        """Count an append that was refused because another writer was first."""
        self._conflicts.labels(slug).inc()

    def worked(self, operation: str, seconds: float) -> None:
        """Time a call."""
        self._seconds.labels(operation).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

"""Count and time for Prometheus, in a registry for each application."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ledger import __version__
from ledger.format.layout import head_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger.service.workers import State, Worker

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


class _States(Collector):
    """Exports what the processes of the service say, and no series for what nobody knows."""

    def __init__(self) -> None:
        self.figures: LogFigures | None = None
        self.states: Callable[[], list[State]] = list

    def collect(self) -> Iterator[Metric]:
        states = self.states()
        version = GaugeMetricFamily(
            "ledger_build_info", "The version, as a label", labels=["version"]
        )
        version.add_metric([__version__], 1)
        yield version
        yield GaugeMetricFamily(
            "ledger_store_in_use",
            "Calls that use the store now",
            sum(state.in_use for state in states),
        )
        yield from _processes(states)
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
        sealing = next((state.sealing for state in states if state.sealing), None)
        if sealing:
            yield GaugeMetricFamily(
                "ledger_log_sealed_timestamp_seconds",
                "When this service last sealed successfully; 0: not yet",
                sealing.sealed_at or 0,
            )
            yield CounterMetricFamily(
                "ledger_log_seal_failures",
                "Seals of this service that failed",
                sealing.failures,
            )
            if sealing.witnessed is not None:
                yield GaugeMetricFamily(
                    "ledger_log_witnessed",
                    "1: the log is cosigned as the policy of this service asks; 0: it is not",
                    int(sealing.witnessed),
                )
        seen = {head_key(title_number) for state in states for title_number in state.contradicted}
        if sealing or self.figures or seen:
            found = sealing.findings if sealing else frozenset()
            yield GaugeMetricFamily(
                "ledger_log_findings",
                "Objects that the last seal of this service left out of the log, and titles that"
                " it found not to be as logged",
                len(seen | found),
            )


def _processes(states: list[State]) -> Iterable[Metric]:
    """Tell the time, memory and files of each process, under the names that Prometheus gives them.

    Added up, they would fall whenever one is started again.
    """
    families: dict[str, Metric] = {}
    for state in states:
        collector = ProcessCollector(pid=partial(str, state.pid), registry=None)
        for found in collector.collect():
            made = Metric(found.name, found.documentation, found.type)
            family = families.setdefault(found.name, made)
            for sample in found.samples:
                family.add_sample(sample.name, {"worker": str(state.worker)}, sample.value)
    return families.values()


class Metrics:
    """Counts requests, appends and conflicts, and times the work on the store."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, worker: Worker | None = None) -> None:
        """``worker``: its counts are added to those of the other processes."""
        if worker is not None:
            # The files of PROMETHEUS_MULTIPROC_DIR go by the number, not by the process: what one
            # has counted goes on in the one that takes its place.
            values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
                lambda: worker.number
            )
        self._worker = worker
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
        self._latency = Histogram(
            "ledger_http_seconds",
            "Time until the answer was sent, by route template and method",
            ("route", "method"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._failures = Counter(
            "ledger_store_failures",
            "Calls that the store failed; outcome-unknown: a write that may have happened",
            ("slug",),
            registry=self._registry,
        )
        self._states = _States()

    def watch(self, states: Callable[[], list[State]]) -> None:
        """Export what the processes say of themselves."""
        self._states.states = states

    def log_is(self, figures: LogFigures | None) -> None:
        """Set the figures of the log; None: there is no log, or it can't be read."""
        self._states.figures = figures

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. ``route`` is a template, so that callers can't create new series."""
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._latency.labels(route, known).observe(seconds)

    def store_failed(self, slug: str) -> None:
        """Count a call that the store failed."""
        self._failures.labels(slug).inc()

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
        """Return all metrics of all processes in the text format of Prometheus."""
        counted = CollectorRegistry()
        if self._worker is None:
            counted.register(self._registry)
        else:
            MultiProcessCollector(counted, str(self._worker.folder))  # type: ignore[no-untyped-call]
        counted.register(self._states)
        return generate_latest(counted)

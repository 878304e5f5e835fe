"""Metrics for Prometheus: rows published, applied, quarantined and compared, by tenant and table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from runtime.reporting import (
    BatchesApplied,
    BatchesPublished,
    GenerationEnded,
    GenerationStarted,
    PartitionFreed,
    PartitionStopped,
    Report,
    RowsCompared,
)
from schemas.errors import ConfigurationError

_LABELS = ("tenant", "table")


class Metrics:
    """Counts facts; in a registry of its own, so that two in one process do not meet."""

    def __init__(self, tenant: str) -> None:
        self.registry = CollectorRegistry()
        self._tenant = tenant

        def counter(name: str, text: str) -> Counter:
            return Counter(f"replicator_{name}", text, _LABELS, registry=self.registry)

        self._published = counter("rows_published", "Rows committed in the log.")
        self._bytes = counter("bytes_published", "Bytes committed in the log.")
        self._applied = counter("rows_applied", "Rows committed in the target.")
        self._quarantined = counter("rows_quarantined", "Rows put into quarantine.")
        self._compared = counter("rows_compared", "Rows looked at on both sides.")
        self._stopped = Gauge(
            "replicator_partition_stopped",
            "1 while a partition stands at a record that cannot be understood.",
            (*_LABELS, "partition"),
            registry=self.registry,
        )
        self._generation = Gauge("replicator_generation", "Generation begun last.", _LABELS[:1], registry=self.registry)
        self._ended = Gauge(
            "replicator_generation_ended", "Generation ended last.", _LABELS[:1], registry=self.registry
        )

    def __call__(self, fact: object) -> None:
        """Count one fact."""
        match fact:
            case BatchesPublished(table, rows, size):
                self._published.labels(self._tenant, table).inc(rows)
                self._bytes.labels(self._tenant, table).inc(size)
            case BatchesApplied(table, rows, quarantined):
                self._applied.labels(self._tenant, table).inc(rows)
                self._quarantined.labels(self._tenant, table).inc(quarantined)
            case RowsCompared(table, rows):
                self._compared.labels(self._tenant, table).inc(rows)
            case PartitionStopped(table, partition):
                self._stopped.labels(self._tenant, table, str(partition)).set(1)
            case PartitionFreed(table, partition):
                self._stopped.labels(self._tenant, table, str(partition)).set(0)
            case GenerationStarted(generation):
                self._generation.labels(self._tenant).set(generation)
            case GenerationEnded(generation):
                self._ended.labels(self._tenant).set(generation)


@contextmanager
def open_metrics(address: str, tenant: str) -> Iterator[Report]:
    """Serve metrics on [HOST:]PORT (host: the loopback) while the command runs."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"--metrics {address}: no address", hint="say PORT, or HOST:PORT (0.0.0.0:9100)")
    metrics = Metrics(tenant)
    try:
        server, thread = start_http_server(int(port), host or "127.0.0.1", metrics.registry)
    except OSError as error:
        raise ConfigurationError(
            f"--metrics {address}: cannot listen there ({error.strerror})", hint="choose another port"
        ) from None
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

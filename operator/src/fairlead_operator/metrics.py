"""What an operator counts; the names are those that Prometheus sees."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

__all__ = ["LEADING", "RECONCILED", "SECONDS", "WAITING", "WRITTEN"]

RECONCILED: Final = Counter("fairlead_operator_reconciled", "Passes over one InferenceService, by result", ["result"])
SECONDS: Final = Histogram(
    "fairlead_operator_reconcile_seconds",
    "How long a pass takes",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WAITING: Final = Gauge("fairlead_operator_waiting", "InferenceServices that wait for a pass")
LEADING: Final = Gauge("fairlead_operator_leading", "1 while this operator is the one that writes")
WRITTEN: Final = Counter(
    "fairlead_operator_written", "Objects that were written, by kind and what was done", ["kind", "deed"]
)

"""Operators of tests, and a cluster in which no others run."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kopf.testing import KopfRunner

from fairlead.api import crds
from fairlead.plugins import Plugins
from fairlead_operator.catalogues import Installed
from fairlead_operator.options import Options
from fairlead_operator.process import prepared
from fairlead_operator_tests.running.services import HOME, Services, runtime

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead_apiserver import ApiServer, Cluster
    from fairlead_apiserver.requests import Record

__all__ = ["Alone", "operating", "prepare"]


@contextlib.contextmanager
def operating(kubeconfig: Path, installed: Installed | None = None, **options: Any) -> Iterator[KopfRunner]:
    """An operator, run by kopf as its command would; with the plugins that are installed if no others are given."""
    settled: dict[str, Any] = {"elects": False, "webhooks": False, "namespace": HOME, **options}
    registry, settings = prepared(
        Options(kubeconfig=kubeconfig, **settled), installed or Installed.discover(Plugins.discover())
    )
    settings.networking.error_backoffs = Soon()
    where = [f"--namespace={each}" for each in settled.get("namespaces", ())] or ["--all-namespaces"]
    arguments = ["run", *where, "--standalone", "--log-format=plain"]
    with KopfRunner(arguments, registry=registry, settings=settings, timeout=60) as runner:
        yield runner


def prepare(cluster: Cluster) -> Cluster:
    """Make in a cluster what an operator needs."""
    for each in crds.definitions():
        cluster.install(each)
    for each in ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}, runtime("tests-sklearn")):
        cluster.apply(each, force=True)
    return cluster


@dataclasses.dataclass(frozen=True)
class Alone:
    """A cluster in memory in which only the operators of one test run.

    Attributes:
        server: the API server.
        cluster: its administrator.
        folder: for files.
        namespace: the test's own.
    """

    server: ApiServer
    cluster: Cluster
    folder: Path
    namespace: str = ""

    @property
    def services(self) -> Services:
        """What the test declares."""
        return Services(self.cluster, self.namespace)

    def operate(self, **options: Any) -> contextlib.AbstractContextManager[KopfRunner]:
        """Run an operator."""
        return operating(self.cluster.kubeconfig, **options)

    def writes(self, *verbs: str) -> list[Record]:
        """What operators have written so far."""
        wanted = verbs or ("create", "update", "patch", "delete")
        return [each for each in self.server.requests if each.verb in wanted and not _is_of_test(each)]


def _is_of_test(record: Record) -> bool:
    return record.agent.startswith("fairlead-tests")


class Soon(Iterable[float]):
    """Pauses between attempts to watch: short ones, without end."""

    def __iter__(self) -> Iterator[float]:
        return itertools.repeat(0.05)

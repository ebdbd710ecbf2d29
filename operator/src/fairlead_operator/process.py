"""The operator as a process: kopf runs it, its metrics and its probes answer, and signals end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import kopf
from prometheus_client import start_http_server

from fairlead.plugins import Plugins
from fairlead_operator import handlers, webhooks
from fairlead_operator.catalogues import Installed
from fairlead_operator.running import Operator

if TYPE_CHECKING:
    from fairlead_operator.options import Options

__all__ = ["prepared", "run"]

_LOGS: Final = {"full": kopf.LogFormat.FULL, "json": kopf.LogFormat.JSON, "plain": kopf.LogFormat.PLAIN}


def prepared(options: Options, installed: Installed) -> tuple[kopf.OperatorRegistry, kopf.OperatorSettings]:
    """All that kopf is to call for an operator, and how kopf is set up for it."""
    operator = Operator(options, installed)
    registry, settings = kopf.OperatorRegistry(), handlers.configured()
    handlers.register(registry, operator)
    if options.webhooks:
        webhooks.register(registry, operator.view)
        settings.admission.server = operator.webhooks
    return registry, settings


def run(options: Options, *, metrics_port: int, health_port: int, log_format: str, verbose: bool) -> None:
    """Run an operator until a signal ends it.

    Args:
        options: how it is started.
        metrics_port: where Prometheus asks; 0 for nowhere.
        health_port: where probes ask; 0 for nowhere.
        log_format: ``full``, ``json`` or ``plain``.
        verbose: whether more is logged.
    """
    kopf.configure(verbose=verbose, log_format=_LOGS[log_format], log_prefix=False)
    if metrics_port:
        start_http_server(metrics_port)
    registry, settings = prepared(options, Installed.discover(Plugins.discover()))
    kopf.run(
        registry=registry,
        settings=settings,
        clusterwide=not options.namespaces,
        namespaces=options.namespaces,
        standalone=True,
        liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz" if health_port else None,
    )

"""The operator as a process: kopf runs it, its metrics and its probes answer, and signals end it."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Final

import kopf
from prometheus_client import start_http_server

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead_operator import handlers, webhooks
from fairlead_operator.catalogues import Installed
from fairlead_operator.cluster.client import credentials
from fairlead_operator.running import Operator

if TYPE_CHECKING:
    from fairlead_operator.options import Options

__all__ = ["prepared", "run"]

_log = logging.getLogger("fairlead.operator")

_WITHDRAWN: Final = "APINotFoundError"
"""What kopf raises when there is nothing to watch at a path; the class is not one of its public names."""

_LOGS: Final = {"full": kopf.LogFormat.FULL, "json": kopf.LogFormat.JSON, "plain": kopf.LogFormat.PLAIN}


def prepared(options: Options, installed: Installed) -> tuple[kopf.OperatorRegistry, kopf.OperatorSettings]:
    """All that kopf is to call for an operator, and how kopf is set up for it."""
    operator = Operator(options, installed)
    registry, settings = kopf.OperatorRegistry(), handlers.configured(operator.kinds)
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

    Raises:
        ConfigurationError: there is no API server to connect to, or a port that cannot be listened on.
    """
    asyncio.run(credentials(options.kubeconfig))  # kopf would go on asking for what is not there
    kopf.configure(verbose=verbose, log_format=_LOGS[log_format], log_prefix=False)
    installed = Installed.discover(Plugins.discover())
    try:
        if metrics_port:
            start_http_server(metrics_port)
        while _ends_early(options, installed, health_port):
            pass
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise errors.ConfigurationError(
            f"A port cannot be listened on: {error}.",
            remedy="Name others with --metrics-port, --health-port and --webhook-port.",
        ) from error


def _ends_early(options: Options, installed: Installed, health_port: int) -> bool:
    """Run an operator; returns whether it ended because a kind that it watched is not served any more.

    Somebody has taken KEDA or the Gateway API off the cluster: kopf gives up then, and another operator finds what
    there is now.
    """
    registry, settings = prepared(options, installed)
    try:
        kopf.run(
            registry=registry,
            settings=settings,
            clusterwide=not options.namespaces,
            namespaces=options.namespaces,
            standalone=True,
            liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz" if health_port else None,
        )
    except Exception as error:
        if type(error).__name__ != _WITHDRAWN:
            raise
        _log.warning("a kind that was watched is not served any more; the operator begins anew: %s", error)
        return True
    return False

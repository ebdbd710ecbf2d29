"""The connection to an API server, by the ``kubernetes`` package, which comes with the extra ``client``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import yaml

from fairlead import errors

__all__ = ["connected"]

_DEFAULT: Final = "default"
_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"
_KUBECONFIG: Final = "KUBECONFIG"
_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def connected(kubeconfig: str | Path | None, context: str | None) -> tuple[Any, str]:
    """A client of the ``kubernetes`` package, and the namespace of the context.

    Args:
        kubeconfig: the file; None for ``KUBECONFIG``, the cluster of this pod, or the file of ``kubectl``.
        context: the context in it; None for the current one.

    Raises:
        ConfigurationError: there is no such file or context, or the package is not installed.
    """
    try:
        from kubernetes import client
        from kubernetes import config as configuration
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "kubernetes":
            raise
        raise errors.ConfigurationError(
            "The client for clusters needs the kubernetes package, which is not installed.",
            remedy="Install it: pip install 'fairlead[client]'",
        ) from error
    config: Any = configuration  # the package has few types
    file = os.environ.get(_KUBECONFIG) or None if kubeconfig is None else str(kubeconfig)
    settings: Any = client.Configuration()
    try:
        if file is None and context is None and _IN_CLUSTER in os.environ:
            config.load_incluster_config(client_configuration=settings)
            namespace = _NAMESPACE.read_text(encoding="utf-8").strip() if _NAMESPACE.exists() else _DEFAULT
        else:
            config.load_kube_config(config_file=file, context=context, client_configuration=settings)
            namespace = _namespace(config.list_kube_config_contexts(config_file=file), context)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        if file is not None and not any(Path(each).expanduser().exists() for each in file.split(os.pathsep)):
            reason = f"there is no file {file}"
        raise errors.ConfigurationError(
            f"There is no cluster to connect to: {reason}.",
            remedy="Give a kubeconfig and a context that are there, or set KUBECONFIG.",
        ) from error
    return client.ApiClient(settings), namespace


def _namespace(contexts: tuple[list[dict[str, Any]], dict[str, Any]], name: str | None) -> str:
    """The namespace of a context."""
    every, current = contexts
    chosen = next((each for each in every if each["name"] == name), current)
    return (chosen.get("context") or {}).get("namespace") or _DEFAULT

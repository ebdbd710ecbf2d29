"""The webhooks: handlers of kopf that ask `fairlead_operator.admission`, and how an API server is told of them.

The configurations are applied by the operator and not by kopf. Kopf would let an API server wait 30 seconds for a
webhook that does not answer, would take the webhooks of all replicas away when one of them ends, and would need the
right to create configurations of any name.

They have ``failurePolicy: Ignore``. The operator fills in defaults and judges what it finds by the same rules, so that
a webhook that is down costs an early answer and nothing else; it must not keep anybody from changing anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import kopf

from fairlead import errors
from fairlead_operator import admission

if TYPE_CHECKING:
    from kopf import OperatorRegistry, WebhookClientConfig

    from fairlead_operator.admission import View
    from fairlead_operator.desired.model import Manifest

__all__ = ["NAME", "configurations", "register"]

NAME: Final = "fairlead-operator"
"""The name of the configurations."""

_GROUP: Final = "serving.kserve.io"
_API: Final = "admissionregistration.k8s.io/v1"
_OPERATIONS: Final = ("CREATE", "UPDATE")
_SECONDS: Final = 5
_MANAGED: Final[Mapping[str, Any]] = {
    "operations": _OPERATIONS,
    "ignore_failures": True,
    "persistent": True,
    "side_effects": False,
}
"""What kopf would write of a webhook, should somebody let it manage them."""
_REFUSED: Final = 422


@dataclasses.dataclass(frozen=True, slots=True)
class _Hook:
    """A question that an API server asks about the objects of a kind."""

    id: str
    plural: str
    version: str

    def manifest(self, client: Mapping[str, Any]) -> dict[str, Any]:
        rule = {"apiGroups": [_GROUP], "apiVersions": [self.version], "resources": [self.plural]}
        return {
            "name": f"{self.id}.{NAME}.{_GROUP}",
            "admissionReviewVersions": ["v1"],
            "clientConfig": _below(client, self.id),
            "failurePolicy": "Ignore",
            "matchPolicy": "Equivalent",
            "rules": [{**rule, "operations": list(_OPERATIONS), "scope": "*"}],
            "sideEffects": "None",
            "timeoutSeconds": _SECONDS,
        }


_MUTATING: Final = (_Hook("default-inferenceservices", "inferenceservices", "v1beta1"),)
_VALIDATING: Final = (
    _Hook("validate-inferenceservices", "inferenceservices", "v1beta1"),
    *(
        _Hook(f"validate-{plural}", plural, "v1alpha1")
        for plural in (
            "servingruntimes",
            "clusterservingruntimes",
            "inferencegraphs",
            "trainedmodels",
            "clusterstoragecontainers",
        )
    ),
)


def register(registry: OperatorRegistry, view: View) -> None:
    """Register the handlers of all webhooks.

    Args:
        registry: where they are registered.
        view: what objects are judged against.
    """

    async def default(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
        manifest = _plain(body)
        try:
            found = admission.defaulted(manifest, view)
        except errors.InvalidManifest:
            return  # the schema, and then the webhook that validates, say what is wrong with it
        if found != manifest:
            patch.fns.append(lambda target: target.update(found))  # type: ignore[typeddict-item]

    async def validate(body: kopf.Body, warnings: list[str], old: kopf.Body | None = None, **_: Any) -> None:
        ruling = admission.review(_plain(body), None if old is None else _plain(old), view)
        if ruling.problems:
            raise kopf.AdmissionError(ruling.message, code=_REFUSED)
        warnings.extend(ruling.warnings)

    for each in _MUTATING:
        kopf.on.mutate(_GROUP, each.version, each.plural, id=each.id, registry=registry, **_MANAGED)(default)
    for each in _VALIDATING:
        kopf.on.validate(_GROUP, each.version, each.plural, id=each.id, registry=registry, **_MANAGED)(validate)


def configurations(client: WebhookClientConfig) -> tuple[Manifest, Manifest]:
    """The configurations that tell an API server of the webhooks, to be applied.

    Args:
        client: how it comes to them, as the server yields it.
    """
    head = {"apiVersion": _API, "metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": NAME}}}
    plain: Mapping[str, Any] = {key: value for key, value in client.items() if value is not None}
    mutating = [{**each.manifest(plain), "reinvocationPolicy": "IfNeeded"} for each in _MUTATING]
    validating = [each.manifest(plain) for each in _VALIDATING]
    return (
        {**head, "kind": "MutatingWebhookConfiguration", "webhooks": mutating},
        {**head, "kind": "ValidatingWebhookConfiguration", "webhooks": validating},
    )


def _below(client: Mapping[str, Any], path: str) -> dict[str, Any]:
    """How an API server comes to one webhook: kopf finds the handler by the path."""
    found = dict(client)
    if "url" in found:
        found["url"] = f"{found['url'].rstrip('/')}/{path}"
    if "service" in found:
        found["service"] = {**found["service"], "path": f"{found['service'].get('path') or ''}/{path}"}
    return found


def _plain(body: kopf.Body) -> Manifest:
    """The object of a review as plain data."""
    return dict(body)

"""Services that are routed in several ways, and what the Gateway API asks of an HTTPRoute."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Final

from fairlead_operator.configuration.model import Ingress, OperatorConfig
from fairlead_operator.desired import ways
from fairlead_operator_tests.desired import services

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["CUSTOM", "PREDICTOR", "Case", "case", "legal", "spec"]

PREDICTOR: Final = "model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}"
CUSTOM: Final = "containers: [{name: kserve-container, image: 'example/own:v1'}]"

_DURATION: Final = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_HOST: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclasses.dataclass(frozen=True)
class Case:
    """A service, and what it is rendered in."""

    service: ResolvedService
    around: Surroundings


def spec(predictor: str = PREDICTOR, *, transformer: str = "", explainer: str = "", canary: str = "") -> str:
    """The spec of a service with these components; `canary` has the entries of ``spec.canary``."""
    parts = {"predictor": f"{{{predictor}}}"}
    if transformer:
        parts["transformer"] = f"{{{transformer}}}"
    if explainer:
        parts["explainer"] = f"{{{explainer}}}"
    if canary:
        parts["canary"] = f"[{canary}]"
    return "\n".join(f"{name}: {text}" for name, text in parts.items())


def case(
    declared: str = services.MODEL,
    *,
    gateway: bool = True,
    resolve: dict[str, Any] | None = None,
    ingress: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    headless: bool = False,
    **around: Any,
) -> Case:
    """A service in a cluster with the Gateway API, or with `gateway` False in one without."""
    plain = OperatorConfig()
    config = dataclasses.replace(
        plain,
        resolve=dataclasses.replace(plain.resolve, **(resolve or {})),
        ingress=Ingress(**{"gateway_api": gateway, **(ingress or {})}),
        headless=headless,
    )
    service = services.resolved(services.isvc(declared, **(metadata or {})), config)
    apis = frozenset({ways.HTTP_ROUTE} if gateway else ())
    return Case(service, services.surroundings(service, config=config, **{"apis": apis, **around}))


def legal(route: Manifest) -> None:
    """Hold an HTTPRoute to the rules of the Gateway API that a schema and its expressions check."""
    spec = route["spec"]
    assert 1 <= len(spec["hostnames"]) <= 16
    assert all(_HOST.fullmatch(each) for each in spec["hostnames"])
    assert 1 <= len(spec["rules"]) <= 16
    for rule in spec["rules"]:
        assert _DURATION.fullmatch(rule.get("timeouts", {}).get("request", "1s"))
        assert all(
            1 <= each["port"] <= 65535 and 0 <= each.get("weight", 1) <= 1_000_000 for each in rule["backendRefs"]
        )
        rewrites = [each["urlRewrite"]["path"]["type"] for each in rule["filters"] if each["type"] == "URLRewrite"]
        assert len({each["type"] for each in rule["filters"]}) == len(rule["filters"])
        paths = [each["path"] for each in rule["matches"]]
        assert all(each["value"].startswith("/") for each in paths if each["type"] != "RegularExpression")
        assert all(re.compile(each["value"]) for each in paths if each["type"] == "RegularExpression")
        if "ReplacePrefixMatch" in rewrites:
            assert [each["type"] for each in paths] == ["PathPrefix"]

"""Canaries of a predictor, from their start to their end.

What KServe tests, and where that is tested here:

- separate Deployments; weights 80 and 20: test_a_canary_has_objects_of_its_own_and_its_weight_once_it_is_ready
- a bump of its traffic changes replicas: test_a_canary_has_its_part_of_the_replicas_and_the_stable_predictor_the_rest
- promotion does not redeploy: test_a_promoted_canary_keeps_its_pods_and_takes_all_requests
- removal deletes and restores: test_a_canary_that_is_taken_out_leaves_nothing_behind
- several canaries: test_several_canaries_have_a_weight_each
- owner of its autoscaler: test_a_canary_has_objects_of_its_own_and_its_weight_once_it_is_ready
- force stop: test_a_stopped_service_has_no_canaries_either
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead_operator_tests.running import shapes

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

OBJECTS = ("Deployment", "Service", "HorizontalPodAutoscaler")
ROUTES = ("flowers", "flowers-predictor")
SHARES = tuple[tuple[str, int | None], ...]


def weights(route: dict[str, Any]) -> SHARES:
    [rule] = route["spec"]["rules"]
    return tuple((each["name"], each.get("weight")) for each in rule["backendRefs"])


def split(services: Services, *wanted: tuple[str, int | None]) -> None:
    """Wait until both routes split requests so."""
    for each in ROUTES:
        services.becomes("HTTPRoute", each, lambda it: weights(it) == wanted)


def fewest(services: Services, name: str, count: int) -> None:
    services.becomes("HorizontalPodAutoscaler", name, lambda each: each["spec"]["minReplicas"] == count)


def follow(services: Services) -> None:
    for each in ROUTES:
        services.follow(each)


def running(services: Services, *canaries: dict[str, Any], replicas: int = 1) -> None:
    """A service whose stable predictor answers, and then its canaries."""
    services.declare(shapes.canaried("flowers", *canaries, minReplicas=replicas))
    services.roll_out("flowers-v1-predictor")
    split(services, ("flowers-v1-predictor", None))
    for each in canaries:
        services.roll_out(f"flowers-{each['predictor']['name']}-predictor")


def test_a_canary_has_objects_of_its_own_and_its_weight_once_it_is_ready(gateway: Services) -> None:
    made = gateway.declare(shapes.canaried("flowers", shapes.canary("v2", 20)))
    for name in ("flowers-v1-predictor", "flowers-v2-predictor"):
        for kind in OBJECTS:
            [owner] = gateway.appears(kind, name)["metadata"]["ownerReferences"]
            assert owner["uid"] == made["metadata"]["uid"]
    assert "s3://bucket/v2" in str(gateway.pod("flowers-v2-predictor"))
    gateway.roll_out("flowers-v1-predictor")
    follow(gateway)
    gateway.condition("flowers", "Ready", "True")
    gateway.condition("flowers", "CanaryPredictorReady", "False")
    split(gateway, ("flowers-v1-predictor", None))
    gateway.roll_out("flowers-v2-predictor")
    gateway.condition("flowers", "CanaryPredictorReady", "True")
    split(gateway, ("flowers-v1-predictor", 80), ("flowers-v2-predictor", 20))
    [status] = gateway.status("flowers", lambda each: each["canaryStatuses"][0]["ready"])["canaryStatuses"]
    assert (status["name"], status["trafficPercent"]) == ("v2", 20)


def test_a_canary_has_its_part_of_the_replicas_and_the_stable_predictor_the_rest(gateway: Services) -> None:
    running(gateway, shapes.canary("v2", 20), replicas=5)
    for percent, own, rest in ((20, 1, 4), (50, 3, 2), (100, 5, 1)):
        gateway.change("flowers", {"spec": {"canary": [shapes.canary("v2", percent)]}})
        fewest(gateway, "flowers-v2-predictor", own)
        fewest(gateway, "flowers-v1-predictor", rest)
        split(gateway, ("flowers-v1-predictor", 100 - percent), ("flowers-v2-predictor", percent))


def test_a_canary_that_is_taken_out_leaves_nothing_behind(gateway: Services) -> None:
    running(gateway, shapes.canary("v2", 50), replicas=2)
    fewest(gateway, "flowers-v1-predictor", 1)
    gateway.change("flowers", {"spec": {"canary": None}})
    fewest(gateway, "flowers-v1-predictor", 2)
    split(gateway, ("flowers-v1-predictor", None))
    follow(gateway)
    for kind in OBJECTS:
        gateway.disappears(kind, "flowers-v2-predictor")
    found = gateway.status("flowers", lambda each: not each.get("canaryStatuses"))
    assert "CanaryPredictorReady" not in {each["type"] for each in found["conditions"]}


def test_a_promoted_canary_keeps_its_pods_and_takes_all_requests(gateway: Services) -> None:
    running(gateway, shapes.canary("v2", 20))
    split(gateway, ("flowers-v1-predictor", 80), ("flowers-v2-predictor", 20))
    follow(gateway)
    before = gateway.appears("Deployment", "flowers-v2-predictor")
    promoted = shapes.canary("v2", 20)["predictor"]
    gateway.change("flowers", {"spec": {"canary": None, "predictor": promoted}})
    split(gateway, ("flowers-v2-predictor", None))
    assert gateway.get("Deployment", "flowers-v1-predictor")
    follow(gateway)
    for kind in OBJECTS:
        gateway.disappears(kind, "flowers-v1-predictor")
    gateway.condition("flowers", "Ready", "True")
    after = gateway.appears("Deployment", "flowers-v2-predictor")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["template"] == before["spec"]["template"]
    assert {each["metadata"]["labels"]["app"] for each in gateway.list("Pod")} >= {"isvc.flowers-v2-predictor"}


def test_several_canaries_have_a_weight_each(gateway: Services) -> None:
    running(gateway, shapes.canary("v2", 20), shapes.canary("v3", 30))
    split(gateway, ("flowers-v1-predictor", 50), ("flowers-v2-predictor", 20), ("flowers-v3-predictor", 30))
    gateway.change("flowers", {"spec": {"canary": [shapes.canary("v3", 30)]}})
    split(gateway, ("flowers-v1-predictor", 70), ("flowers-v3-predictor", 30))


def test_a_stopped_service_has_no_canaries_either(gateway: Services) -> None:
    running(gateway, shapes.canary("v2", 20))
    gateway.condition("flowers", "CanaryPredictorReady", "True")
    gateway.annotate("flowers", stop="true")
    gateway.cluster.eventually(lambda: not any(gateway.names(kind) for kind in (*OBJECTS, "HTTPRoute")))
    gateway.condition("flowers", "CanaryPredictorReady", "False", "Stopped")
    gateway.annotate("flowers", stop=None)
    for each in ("flowers-v1-predictor", "flowers-v2-predictor"):
        gateway.roll_out(each)
    split(gateway, ("flowers-v1-predictor", 80), ("flowers-v2-predictor", 20))


def test_a_canary_that_an_ingress_cannot_weigh_is_told_with_a_remedy(services: Services) -> None:
    services.declare(shapes.canaried("flowers", shapes.canary("v2", 20)))
    said = services.condition("flowers", "CanaryTrafficExact", "False", "GatewayAPINeeded")
    assert "enableGatewayApi" in said["message"]
    for each in ("flowers-v1-predictor", "flowers-v2-predictor"):
        services.roll_out(each)
    services.condition("flowers", "Ready", "True")


def test_behind_a_transformer_canaries_share_the_service_of_the_predictor(gateway: Services) -> None:
    manifest = shapes.canaried("flowers", shapes.canary("v2", 20), minReplicas=5)
    manifest["spec"]["transformer"] = shapes.custom()
    gateway.declare(manifest)
    said = gateway.condition("flowers", "CanaryTrafficExact", "False", "SharedByReplicas")
    assert "v2 about 20 for 20" in said["message"]
    shared = gateway.appears("Service", "flowers-v1-predictor")["spec"]["selector"]
    assert "app" not in shared
    assert gateway.appears("Service", "flowers-v1-predictor-stable")["spec"]["selector"] == {
        "app": "isvc.flowers-v1-predictor"
    }
    [rule] = gateway.appears("HTTPRoute", "flowers")["spec"]["rules"]
    assert [each["name"] for each in rule["backendRefs"]] == ["flowers-transformer"]

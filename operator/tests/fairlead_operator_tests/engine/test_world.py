"""The world: the newest of what was told, and which services each change bears on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator.cluster.kinds import SELECTOR
from fairlead_operator.world import CONFIG_MAP, World

if TYPE_CHECKING:
    from fairlead_operator.queue import Key

IRIS: Key = ("default", "iris")


def an_object(
    kind: str, name: str, version: int, *, namespace: str = "default", uid: str = "", **more: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": uid or name, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": kind, "metadata": {**metadata, **more.pop("metadata", {})}, **more}


def child(kind: str, name: str, version: int, of: str = "iris", **more: Any) -> dict[str, Any]:
    return an_object(kind, name, version, metadata={"labels": {SELECTOR: of}}, **more)


class Watched:
    """A world, and what it told."""

    def __init__(self) -> None:
        self.told: list[Key] = []
        self.world = World("fairlead", self.told.append)

    def since(self) -> set[Key]:
        found, self.told[:] = set(self.told), []
        return found


def test_a_change_of_an_object_bears_on_the_service_that_it_belongs_to() -> None:
    seen = Watched()
    seen.world.put(an_object("InferenceService", "iris", 1))
    assert seen.since() == {IRIS}
    seen.world.put(child("Deployment", "iris-predictor", 2))
    assert seen.since() == {IRIS}
    seen.world.put(child("Pod", "iris-predictor-x", 3))
    assert seen.since() == {IRIS}
    assert set(seen.world.children(IRIS)) == {("Deployment", "iris-predictor")}
    assert [each["metadata"]["name"] for each in seen.world.pods(IRIS)] == ["iris-predictor-x"]


def test_what_is_older_than_what_is_known_is_no_news() -> None:
    seen = Watched()
    seen.world.put(child("Deployment", "iris-predictor", 7, spec={"replicas": 2}))
    seen.since()
    assert not seen.world.put(child("Deployment", "iris-predictor", 6, spec={"replicas": 1}))
    assert not seen.world.put(child("Deployment", "iris-predictor", 7, spec={"replicas": 2}))
    assert seen.since() == set()
    assert seen.world.children(IRIS)["Deployment", "iris-predictor"]["spec"] == {"replicas": 2}


def test_an_answer_to_a_write_tells_nobody_what_the_writer_knows() -> None:
    seen = Watched()
    seen.world.put(an_object("InferenceService", "iris", 1, spec={"a": 1}))
    seen.world.put(child("Deployment", "iris-predictor", 2, spec={"replicas": 1}, status={"replicas": 1}))
    seen.since()
    seen.world.wrote(an_object("InferenceService", "iris", 3, spec={"a": 1}, status={"url": "http://iris"}))
    seen.world.wrote(child("Deployment", "iris-predictor", 4, spec={"replicas": 2}, status={"replicas": 1}))
    seen.world.wrote(child("Service", "iris-predictor", 5, spec={}, status={"loadBalancer": {}}))
    assert seen.since() == set()


@pytest.mark.parametrize(
    "answer",
    [
        an_object("InferenceService", "iris", 9, spec={"a": 2}, status={"url": "http://iris"}),
        an_object("InferenceService", "iris", 9, spec={"a": 1}, metadata={"annotations": {"a": "b"}}),
        an_object("Deployment", "iris-predictor", 9, spec={"replicas": 1}, status={"replicas": 2}),
        an_object("Deployment", "iris-predictor", 9, status={"replicas": 1}, metadata={"deletionTimestamp": "now"}),
    ],
)
def test_what_others_changed_before_a_write_is_told_because_the_watch_is_behind_by_then(answer: dict[str, Any]) -> None:
    seen = Watched()
    seen.world.put(an_object("InferenceService", "iris", 1, spec={"a": 1}))
    seen.world.put(child("Deployment", "iris-predictor", 2, spec={"replicas": 1}, status={"replicas": 1}))
    seen.since()
    labels = {SELECTOR: "iris"} if answer["kind"] == "Deployment" else {}
    seen.world.wrote({**answer, "metadata": {**answer["metadata"], "labels": labels}})
    assert seen.since() == {IRIS}


def test_another_object_of_the_same_name_is_news_and_the_end_of_the_first_is_not_its_end() -> None:
    seen = Watched()
    first, second = (child("Deployment", "iris-predictor", version, uid=uid) for version, uid in ((5, "1"), (9, "2")))
    seen.world.put(first)
    seen.world.put(second)
    assert not seen.world.drop(first)
    assert seen.world.drop(second)
    assert seen.world.children(IRIS) == {}


def test_an_object_whose_label_was_taken_off_is_not_the_services_any_more() -> None:
    seen = Watched()
    seen.world.put(child("Service", "iris-predictor", 1))
    seen.world.put(child("Service", "iris-predictor", 2, of="other"))
    assert seen.world.children(IRIS) == {}
    assert set(seen.world.children(("default", "other"))) == {("Service", "iris-predictor")}


def test_a_list_shows_what_went_away_but_not_what_came_after_it() -> None:
    seen = Watched()
    for name, version in (("gone", 1), ("stays", 2), ("newer", 12)):
        seen.world.put(child("Service", name, version, of=name))
    seen.since()
    seen.world.replace("Service", [child("Service", "stays", 2, of="stays")], "10")
    assert seen.since() == {("default", "gone")}
    assert seen.world.children(("default", "newer"))


def test_an_answer_that_comes_after_the_word_of_the_end_brings_nothing_back() -> None:
    seen = Watched()
    seen.world.put(an_object("InferenceService", "iris", 5))
    seen.world.drop(an_object("InferenceService", "iris", 8))
    seen.since()
    assert not seen.world.put(an_object("InferenceService", "iris", 7))
    seen.world.replace("InferenceService", [an_object("InferenceService", "iris", 5)], "6")
    assert seen.since() == set()
    assert seen.world.services() == []
    assert seen.world.put(an_object("InferenceService", "iris", 9, uid="another"))


def test_an_object_that_a_list_has_lost_does_not_come_back_with_an_older_list() -> None:
    seen = Watched()
    seen.world.put(child("Deployment", "iris-predictor", 5))
    seen.world.replace("Deployment", [], "9")
    seen.world.replace("Deployment", [child("Deployment", "iris-predictor", 5)], "7")
    assert seen.world.children(IRIS) == {}


def test_an_object_whose_label_comes_back_is_known_again() -> None:
    seen = Watched()
    seen.world.put(child("Deployment", "iris-predictor", 5))
    seen.world.drop(an_object("Deployment", "iris-predictor", 6))
    assert seen.since() == {IRIS}
    assert seen.world.put(child("Deployment", "iris-predictor", 7))
    assert set(seen.world.children(IRIS)) == {("Deployment", "iris-predictor")}


def test_runtimes_and_settings_bear_on_all_services_that_they_count_for() -> None:
    seen = Watched()
    for namespace in ("default", "other"):
        seen.world.put(an_object("InferenceService", "iris", 1, namespace=namespace))
    both = {("default", "iris"), ("other", "iris")}
    seen.since()
    seen.world.put(an_object("ClusterServingRuntime", "r", 2, namespace=""))
    assert seen.since() == both
    seen.world.put(an_object("ServingRuntime", "r", 3))
    assert seen.since() == {IRIS}
    seen.world.put(an_object("ConfigMap", CONFIG_MAP, 4, namespace="fairlead", data={"deploy": "{}"}))
    assert seen.since() == both
    seen.world.put(an_object("ConfigMap", CONFIG_MAP, 5, namespace="other", data={"ingress": "{}"}))
    assert seen.since() == {("other", "iris")}
    assert seen.world.settings("other") == ({"deploy": "{}"}, {"ingress": "{}"})
    assert seen.world.settings("fairlead") == ({"deploy": "{}"}, None)


def test_definitions_are_known_by_group_and_kind_without_their_schemas() -> None:
    seen = Watched()
    spec = {"group": "keda.sh", "names": {"kind": "ScaledObject"}, "versions": [{"schema": "x" * 10_000}]}
    seen.world.put(an_object("CustomResourceDefinition", "scaledobjects.keda.sh", 1, namespace="", spec=spec))
    assert seen.world.apis() == {"keda.sh/ScaledObject"}
    (kept,) = seen.world.every("CustomResourceDefinition")
    assert "versions" not in kept["spec"]

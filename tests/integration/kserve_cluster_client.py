"""Does with a cluster what KServe's own client can do; run by the Python of an environment that has it.

Takes a kubeconfig and a namespace. Prints one JSON object: what each call answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from kserve import (
    KServeClient,
    V1alpha1InferenceGraph,
    V1alpha1InferenceGraphSpec,
    V1alpha1InferenceRouter,
    V1alpha1InferenceStep,
    V1alpha1ModelSpec,
    V1alpha1TrainedModel,
    V1alpha1TrainedModelSpec,
    V1beta1InferenceService,
    V1beta1InferenceServiceSpec,
    V1beta1ModelFormat,
    V1beta1ModelSpec,
    V1beta1PredictorSpec,
)
from kubernetes.client import V1ObjectMeta

PATIENCE = {"timeout_seconds": 30, "polling_interval": 0.1}


def main(kubeconfig: str, namespace: str) -> dict[str, Any]:
    client = KServeClient(config_file=kubeconfig)
    answers: dict[str, Any] = {}
    answers["create"] = client.create(service(namespace, "gs://first"))
    client.wait_isvc_ready("iris", namespace=namespace, **PATIENCE)
    answers["get"] = client.get("iris", namespace=namespace)
    answers["ready"] = client.is_isvc_ready("iris", namespace=namespace)
    answers["list"] = client.get(namespace=namespace)["items"]
    answers["patch"] = client.patch("iris", service(namespace, "gs://second"), namespace=namespace)
    wait(client, namespace, answers["patch"])  # so that nobody writes between the read and the write of the next
    answers["replace"] = client.replace("iris", service(namespace, "gs://third"), namespace=namespace)
    wait(client, namespace, answers["replace"])
    refused: dict[str, Callable[[], Any]] = {
        "create again": lambda: client.create(service(namespace, "gs://first")),
        "get another": lambda: client.get("another", namespace=namespace),
        "create one that is wrong": lambda: client.create(service(namespace, "gs://first", name="Iris")),
    }
    for name, call in refused.items():
        try:
            call()
        except RuntimeError as error:
            answers[name] = str(error)
    client.create_trained_model(model(namespace), namespace)
    client.delete_trained_model("flowers", namespace=namespace)
    client.create_inference_graph(graph(namespace), namespace=namespace)
    client.wait_ig_ready("both", namespace=namespace, **PATIENCE)
    answers["graph"] = client.get_inference_graph("both", namespace=namespace)
    client.delete_inference_graph("both", namespace=namespace)
    client.delete("iris", namespace=namespace)
    answers["left"] = client.get(namespace=namespace)["items"]
    return answers


def wait(client: KServeClient, namespace: str, written: dict[str, Any]) -> None:
    generation = written["metadata"]["generation"]
    client.wait_isvc_ready("iris", namespace=namespace, expected_generation=generation, **PATIENCE)


def service(namespace: str, uri: str, name: str = "iris") -> V1beta1InferenceService:
    return V1beta1InferenceService(
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        metadata=V1ObjectMeta(name=name, namespace=namespace),
        spec=V1beta1InferenceServiceSpec(
            predictor=V1beta1PredictorSpec(
                min_replicas=1,
                model=V1beta1ModelSpec(model_format=V1beta1ModelFormat(name="sklearn"), storage_uri=uri),
            )
        ),
    )


def model(namespace: str) -> V1alpha1TrainedModel:
    return V1alpha1TrainedModel(
        api_version="serving.kserve.io/v1alpha1",
        kind="TrainedModel",
        metadata=V1ObjectMeta(name="flowers", namespace=namespace),
        spec=V1alpha1TrainedModelSpec(
            inference_service="iris",
            model=V1alpha1ModelSpec(storage_uri="gs://flowers", framework="sklearn", memory="1Gi"),
        ),
    )


def graph(namespace: str) -> V1alpha1InferenceGraph:
    steps = [V1alpha1InferenceStep(service_name="iris", data="$request")]
    return V1alpha1InferenceGraph(
        api_version="serving.kserve.io/v1alpha1",
        kind="InferenceGraph",
        metadata=V1ObjectMeta(name="both", namespace=namespace),
        spec=V1alpha1InferenceGraphSpec(nodes={"root": V1alpha1InferenceRouter(router_type="Sequence", steps=steps)}),
    )


print(json.dumps(main(*sys.argv[1:])))

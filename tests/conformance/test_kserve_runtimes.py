"""The runtimes that KServe comes with, beside those that are installed here: who serves what they serve.

The table is that of KServe's built-in ClusterServingRuntimes, as far as a runtime of ours serves the format.
"""

from __future__ import annotations

from typing import Final

import pytest

from fairlead.api.inferenceservice import InferenceService
from fairlead.api.servingruntime import ClusterServingRuntime
from fairlead.local import catalogues
from fairlead.local.config import CONFIG
from fairlead.plugins import Plugins
from fairlead.resolve import defaults, resolve, runtimes

BUILT_IN: Final = {
    "kserve-lgbserver": (("v1", "v2"), {"lightgbm": ["4"]}),
    "kserve-mlserver": (
        ("v2",),
        {"sklearn": ["0", "1"], "xgboost": ["1", "2"], "lightgbm": ["3", "4"], "mlflow": ["1", "2"]},
    ),
    "kserve-openvino": (("v1", "v2", "grpc-v2"), {"onnx": ["1"]}),
    "kserve-paddleserver": (("v1", "v2"), {"paddle": ["2"]}),
    "kserve-pmmlserver": (("v1", "v2"), {"pmml": ["3", "4"]}),
    "kserve-predictiveserver": (("v1", "v2"), {"sklearn": ["1"], "xgboost": ["2"], "lightgbm": ["4"]}),
    "kserve-sklearnserver": (("v1", "v2"), {"sklearn": ["1"]}),
    "kserve-tensorflow-serving": (("v1",), {"tensorflow": ["1", "2"]}),
    "kserve-torchserve": (("v1", "v2", "grpc-v2"), {"pytorch": ["1"]}),
    "kserve-tritonserver": (("v2", "grpc-v2"), {"onnx": ["1"], "pytorch": ["1"]}),
    "kserve-xgbserver": (("v1", "v2"), {"xgboost": ["2"]}),
}
"""Protocols and formats, by the name of the runtime."""
PLUGINS: Final = {"pytorch": "torch"}
"""Runtimes of ours that are not named as the format is."""

ASKED: Final = [
    (runtime, name, version, protocol)
    for runtime, (protocols, formats) in BUILT_IN.items()
    for name, versions in formats.items()
    for version in (*versions, None)
    for protocol in protocols
]
CATALOGUE: Final = catalogues.installed(Plugins.discover())


def chosen(name: str, version: str | None, protocol: str | None, runtime: str | None = None) -> str | None:
    """The plugin that serves a model."""
    plugin = PLUGINS.get(name, name)
    if plugin not in CATALOGUE.plugins:
        pytest.skip(f"the runtime {plugin} is not installed")
    model_format = {"name": name} if version is None else {"name": name, "version": version}
    model = {"modelFormat": model_format, "storageUri": "file:///models/m"}
    model |= {key: value for key, value in (("protocolVersion", protocol), ("runtime", runtime)) if value}
    service = InferenceService.parse(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "m", "namespace": "default"},
            "spec": {"predictor": {"model": model}},
        }
    )
    resolved = resolve(defaults.default(service, CONFIG), CATALOGUE, CONFIG)
    assert resolved.predictor.model is not None
    return resolved.predictor.model.runtime.plugin


@pytest.mark.parametrize(("runtime", "name", "version", "protocol"), ASKED)
def test_a_service_that_names_a_runtime_of_kserves_is_served(
    runtime: str, name: str, version: str | None, protocol: str
) -> None:
    assert chosen(name, version, protocol, runtime) == PLUGINS.get(name, name)


@pytest.mark.parametrize(("name", "version", "protocol"), sorted({asked[1:] for asked in ASKED}, key=str))
def test_a_service_that_names_none_is_served_too(name: str, version: str | None, protocol: str) -> None:
    assert chosen(name, version, protocol) == PLUGINS.get(name, name)


@pytest.mark.parametrize(
    "framework", ["lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "xgboost"]
)
def test_the_field_that_is_named_for_a_framework_chooses_its_runtime(framework: str) -> None:
    plugin = PLUGINS.get(framework, framework)
    if plugin not in CATALOGUE.plugins:
        pytest.skip(f"the runtime {plugin} is not installed")
    service = InferenceService.parse(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "m", "namespace": "default"},
            "spec": {"predictor": {framework: {"storageUri": "file:///models/m"}}},
        }
    )
    resolved = resolve(defaults.default(service, CONFIG), CATALOGUE, CONFIG)
    assert resolved.predictor.model is not None
    assert resolved.predictor.model.runtime.plugin == plugin


@pytest.mark.parametrize("plugin", CATALOGUE.plugins)
def test_the_manifest_of_a_runtime_is_one_that_kserve_takes(plugin: str) -> None:
    rendered = runtimes.cluster_runtime(CATALOGUE.plugins[plugin], "1.2.3")
    assert ClusterServingRuntime.parse(rendered.manifest()) == rendered
    assert rendered.metadata.name == f"fairlead-{plugin}"

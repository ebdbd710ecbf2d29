"""Who serves a model where all runtimes are applied: as with KServe, and never by chance."""

from __future__ import annotations

import itertools
from typing import Final

import pytest

from fairlead.api.predictor import ModelFormat, ModelSpec
from fairlead.api.servingruntime import ClusterServingRuntime
from fairlead.plugins import Plugins
from fairlead.resolve import selection
from fairlead.resolve.catalogue import Catalogue
from fairlead_operator.runtimes import images, rendering

ALL: Final = tuple(ClusterServingRuntime.parse(each) for each in rendering.render(Plugins.discover()))
DEFAULT: Final = tuple(each for each in ALL if each.metadata.name != "kserve-openvino")
FORMATS: Final = {
    "kserve-mlserver": {"sklearn": ("0", "1"), "xgboost": ("1", "2"), "lightgbm": ("3", "4"), "mlflow": ("1", "2")},
    "kserve-openvino": {"openvino": ("10",), "onnx": ("1",), "tensorflow": ("1",), "huggingface": (None,)},
    "kserve-tensorflow-serving": {"tensorflow": ("1", "2")},
    "kserve-torchserve": {"pytorch": ("1",)},
    "kserve-tritonserver": {
        "tensorrt": ("8",),
        "tensorflow": ("1", "2"),
        "onnx": ("1",),
        "triton": ("2",),
        "pytorch": ("1",),
    },
    "kserve-vllmserver": {"vLLM": ("1",)},
}
PROTOCOLS: Final = {
    "kserve-mlserver": ["v2"],
    "kserve-openvino": ["v1", "v2", "grpc-v2"],
    "kserve-tensorflow-serving": ["v1", "grpc-v1"],
    "kserve-torchserve": ["v1", "v2", "grpc-v2"],
    "kserve-tritonserver": ["v2", "grpc-v2"],
    "kserve-vllmserver": None,
}


def chosen(
    name: str,
    protocol: str | None,
    version: str | None = None,
    runtime: str | None = None,
    among: tuple[ClusterServingRuntime, ...] = DEFAULT,
) -> str:
    model = ModelSpec(
        model_format=ModelFormat(name=name, version=version),
        protocol_version=protocol,
        runtime=runtime,
        storage_uri="s3://m",
    )
    found = selection.select(model, namespace="default", catalogue=Catalogue(cluster_runtimes=among))
    return found.runtime.metadata.name


@pytest.mark.parametrize("name", images.texts())
def test_a_runtime_serves_the_formats_and_protocols_that_it_serves_with_kserve(name: str) -> None:
    (runtime,) = (each for each in ALL if each.metadata.name == name)
    by_name = itertools.groupby(runtime.spec.supported_model_formats or (), key=lambda each: each.name)
    assert {key: tuple(each.version for each in group) for key, group in by_name} == FORMATS[name]
    assert runtime.spec.protocol_versions == PROTOCOLS[name]


@pytest.mark.parametrize(
    ("name", "protocol", "expected"),
    [
        ("sklearn", None, "fairlead-sklearn"),
        ("sklearn", "v1", "fairlead-sklearn"),
        ("sklearn", "v2", "kserve-mlserver"),
        ("sklearn", "grpc-v2", "fairlead-sklearn"),
        ("xgboost", "v1", "fairlead-xgboost"),
        ("xgboost", "v2", "kserve-mlserver"),
        ("lightgbm", "v1", "fairlead-lightgbm"),
        ("lightgbm", "v2", "kserve-mlserver"),
        ("mlflow", "v1", "fairlead-mlflow"),
        ("mlflow", "v2", "fairlead-mlflow"),
        ("catboost", "v2", "fairlead-catboost"),
        ("paddle", "v2", "fairlead-paddle"),
        ("pmml", "v2", "fairlead-pmml"),
        ("onnx", "v1", "fairlead-onnx"),
        ("onnx", "v2", "kserve-tritonserver"),
        ("onnx", "grpc-v2", "kserve-tritonserver"),
        ("tensorflow", None, "kserve-tensorflow-serving"),
        ("tensorflow", "v1", "kserve-tensorflow-serving"),
        ("tensorflow", "grpc-v1", "kserve-tensorflow-serving"),
        ("tensorflow", "v2", "kserve-tritonserver"),
        ("tensorrt", "v2", "kserve-tritonserver"),
        ("triton", "v2", "kserve-tritonserver"),
        ("pytorch", "v1", "kserve-torchserve"),
        ("pytorch", "v2", "kserve-torchserve"),
        ("vLLM", None, "kserve-vllmserver"),
        ("vLLM", "v2", "kserve-vllmserver"),
        ("python", "v2", "fairlead-python"),
    ],
)
def test_a_model_that_names_no_runtime_is_served_by(name: str, protocol: str | None, expected: str) -> None:
    if expected not in {each.metadata.name for each in DEFAULT}:
        pytest.skip(f"the plugin of {expected} is not installed")
    assert chosen(name, protocol) == expected


@pytest.mark.parametrize(
    ("name", "protocol"), [("onnx", "v1"), ("onnx", "v2"), ("tensorflow", "v1"), ("tensorflow", "v2")]
)
def test_openvino_comes_first_once_it_is_applied(name: str, protocol: str) -> None:
    assert chosen(name, protocol, among=ALL) == "kserve-openvino"


@pytest.mark.parametrize(("name", "runtime"), [("pytorch", "kserve-tritonserver"), ("huggingface", "kserve-openvino")])
def test_a_format_that_is_not_chosen_automatically_is_served_by_a_runtime_that_is_named(
    name: str, runtime: str
) -> None:
    assert chosen(name, "v2", runtime=runtime, among=ALL) == runtime


def test_no_two_runtimes_have_one_priority_for_a_format_and_a_protocol() -> None:
    claims = [
        (each.name, each.version, protocol, each.priority)
        for runtime in ALL
        for each in runtime.spec.supported_model_formats or ()
        for protocol in runtime.spec.protocol_versions or ("v1", "v2", "grpc-v1", "grpc-v2")
        if each.auto_select
    ]
    assert sorted({claim for claim in claims if claims.count(claim) > 1}, key=str) == []

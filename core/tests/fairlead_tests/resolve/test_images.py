"""The image of a model's container."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.resolve import images


def image(name: str, version: str | None = None, server: str | None = None, *, gpu: bool = False) -> str:
    return images.chosen(name, runtime_version=version, server_type=server, gpu=gpu)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kserve/sklearnserver:v0.1", "kserve/sklearnserver:2.0"),
        ("kserve/sklearnserver", "kserve/sklearnserver:2.0"),
        ("localhost:5000/sklearnserver", "localhost:5000/sklearnserver:2.0"),
        ("localhost:5000/sklearnserver:latest", "localhost:5000/sklearnserver:2.0"),
    ],
)
def test_the_runtime_version_replaces_or_adds_the_tag(name: str, expected: str) -> None:
    assert image(name, "2.0") == expected


def test_an_image_by_its_digest_is_left_alone() -> None:
    name = f"kserve/torchserve@sha256:{'0' * 64}"
    assert image(name, "2.0", "torchserve", gpu=True) == name


@pytest.mark.parametrize("server", ["tensorflow-serving", "torchserve", "huggingfaceserver"])
def test_servers_with_an_image_for_gpus_get_its_tag(server: str) -> None:
    assert image("x/y:1", None, server, gpu=True) == "x/y:1-gpu"
    assert image("x/y:1", None, server) == "x/y:1"


def test_a_runtime_version_ends_the_rules_for_gpus() -> None:
    assert image("x/y:1", "2", "torchserve", gpu=True) == "x/y:2"


def test_other_servers_have_one_image_for_both() -> None:
    assert image("x/y:1", None, "mlserver", gpu=True) == "x/y:1"
    assert image("x/y:1", None, None, gpu=True) == "x/y:1"


def test_a_tag_for_gpus_is_not_added_twice() -> None:
    assert image("x/y:1-gpu", None, "torchserve", gpu=True) == "x/y:1-gpu"


def test_the_server_of_vllm_without_a_gpu_has_another_repository() -> None:
    assert image("localhost:5000/vllm:1", None, "vllmserver") == "localhost:5000/vllm-cpu:1"
    assert image("vllm/vllm", None, "vllmserver") == "vllm/vllm-cpu"
    assert image("vllm/vllm:1", None, "vllmserver", gpu=True) == "vllm/vllm:1"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"nvidia.com/gpu": 1}, True),
        ({"nvidia.com/gpu": "2"}, True),
        ({"nvidia.com/mig-1g.5gb": 1}, True),
        ({"nvidia.com/gpu": 0}, False),
        ({"nvidia.com/gpu": "0"}, False),
        ({"amd.com/gpu": 1}, False),
        ({"cpu": 1}, False),
        (None, False),
    ],
)
def test_a_gpu_is_asked_for_by_limits(limits: dict[str, Any] | None, expected: bool) -> None:
    assert images.asks_for_gpu({"resources": {"limits": limits}}) is expected
    assert not images.asks_for_gpu({"resources": {"requests": limits}})
    assert not images.asks_for_gpu({})

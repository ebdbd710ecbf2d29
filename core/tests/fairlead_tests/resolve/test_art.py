"""The explainer of the Adversarial Robustness Toolbox as a container."""

from __future__ import annotations

from typing import Any

from fairlead.resolve.config import Config
from fairlead.resolve.service import MODEL_PATH, ComponentKind, ResolvedComponent
from fairlead_tests.resolve import worlds

PREDICTOR = "predictor: {sklearn: {storageUri: /m}}"


def explainer(text: str, config: Config | None = None) -> ResolvedComponent:
    return worlds.resolved(f"{{{PREDICTOR}, explainer: {text}}}", config=config).components[ComponentKind.EXPLAINER]


def container(text: str, config: Config | None = None) -> dict[str, Any]:
    [found] = explainer(text, config).pod["containers"]
    return dict(found)


def test_it_is_told_what_every_explainer_is_and_its_own_options_in_order() -> None:
    found = container(
        "{containerConcurrency: 3, art: {type: SquareAttack, storageUri: 's3://b/e', config: {nb_classes: '10', a: x}}}"
    )
    assert found["name"] == "kserve-container"
    assert found["image"] == "kserve/art-explainer:latest"
    assert found["args"] == [
        *("--model_name", "iris"),
        *("--predictor_host", "iris-predictor.default"),
        *("--http_port", "8080"),
        *("--workers", "3"),
        *("--storage_uri", MODEL_PATH),
        *("--adversary_type", "SquareAttack"),
        *("--a", "x"),
        *("--nb_classes", "10"),
    ]


def test_arguments_of_its_user_are_there_once_and_win() -> None:
    found = container("{art: {type: SquareAttack, args: [--http_port, '9', --max_iter, '5'], config: {max-iter: '7'}}}")
    assert found["args"][:4] == ["--http_port", "9", "--max_iter", "5"]
    assert found["args"].count("--http_port") == 1
    assert "7" not in found["args"]


def test_its_image_is_the_configured_one_with_the_version_as_its_tag() -> None:
    config = Config(art_image="example/art:1")
    assert container("{art: {type: SquareAttack}}", config)["image"] == "example/art:1"
    assert container("{art: {type: SquareAttack, runtimeVersion: v2}}", config)["image"] == "example/art:v2"
    assert container("{art: {type: SquareAttack, image: mine:3}}", config)["image"] == "mine:3"


def test_its_artefact_and_the_rest_of_its_pod_are_those_that_it_names() -> None:
    found = explainer("{serviceAccountName: reader, art: {type: SquareAttack, storageUri: 's3://b/e'}}")
    assert [each.uri for each in found.sources] == ["s3://b/e"]
    assert found.pod["serviceAccountName"] == "reader"

"""The ConfigMap that is shipped says what counts without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import kubernetes_validate
import yaml

from fairlead_operator.configuration import reading, shipping
from fairlead_operator.configuration.fields import FIELDS
from fairlead_operator.configuration.model import OperatorConfig
from fairlead_operator_tests import golden

MANIFEST: Final = Path(__file__).parents[3] / "manifests/configuration/inferenceservice-config.yaml"


def test_the_manifest_is_made_of_the_table() -> None:
    if os.environ.get("FAIRLEAD_GOLDEN") == "write":
        MANIFEST.write_text(shipping.manifest(), encoding="utf-8")
    assert MANIFEST.read_text(encoding="utf-8") == shipping.manifest(), "run the test with FAIRLEAD_GOLDEN=write"


def test_the_manifest_is_a_config_map_that_changes_nothing() -> None:
    manifest = yaml.safe_load(shipping.manifest())
    kubernetes_validate.validate(manifest, golden.VERSION, strict=True)
    assert reading.read(manifest["data"], None, {}) == reading.Configured(OperatorConfig())


def test_the_manifest_explains_every_field_with_an_effect() -> None:
    text = shipping.manifest()
    for field in FIELDS:
        assert (f"# {field.name}: {field.meaning}" in text) == field.effect, field.path

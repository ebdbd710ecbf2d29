"""What is made of code is what is in the files: with ``FAIRLEAD_GOLDEN=write`` they are written anew."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from fairlead.api import crds
from fairlead_operator_tests.manifests import charts, folders, generated


def check(made: Mapping[Path, str]) -> None:
    if os.environ.get("FAIRLEAD_GOLDEN") == "write":
        for path, text in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run FAIRLEAD_GOLDEN=write pytest {__file__}"


def test_the_definitions_of_the_kinds_are_those_of_the_code() -> None:
    made = generated.definitions()
    check(made)
    assert set((folders.MANIFESTS / "crd").iterdir()) == set(made)


def test_a_definition_is_small_enough_for_any_client() -> None:
    sizes = [len(json.dumps(each)) for each in crds.definitions()]
    assert max(sizes) < 262_144  # what the annotation of a client-side apply holds


def test_the_runtimes_are_those_of_the_plugins() -> None:
    made = generated.runtimes()
    check(made)
    plugins = {path.name for path in (folders.OPERATOR.parent / "plugins" / "runtimes").iterdir()}
    left = set((folders.MANIFESTS / "runtimes").iterdir()) - set(made)
    assert {path.stem for path in left} <= {"storage-container", *(f"fairlead-{name}" for name in plugins)}


def test_the_chart_is_made_of_the_manifests() -> None:
    made = charts.files()
    check(made)
    written = {path for path in folders.CHART.rglob("*") if path.is_file()}
    assert written - set(made) == {folders.CHART / "values.yaml", folders.CHART / "values.schema.json"}

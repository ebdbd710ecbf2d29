"""``fairlead-operator config``: every field, its value, who decided it, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead import errors
from fairlead_operator import cli
from fairlead_operator.configuration import explaining, files
from fairlead_operator.configuration.fields import FIELDS
from fairlead_operator_tests.configuration.kserve import SHIPPED


def written(folder: Path, **data: str) -> Path:
    """A file that declares a ConfigMap."""
    file = folder / f"{len(list(folder.iterdir()))}.json"
    metadata = {"name": "inferenceservice-config"}
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))
    return file


def test_every_field_is_printed_with_the_level_that_decided_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = written(tmp_path, agent='{"image": "a", "cpuLimit": "2"}')
    own = written(tmp_path, agent='{"cpuLimit": "3"}')
    assert cli.main(["config", str(whole), "--namespace-file", str(own)]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert [each[0] for each in lines] == [field.path for field in FIELDS if field.effect]
    assert ["agent.image", "cluster", '"a"'] in lines
    assert ["agent.cpuLimit", "namespace", '"3"'] in lines
    assert ["agent.memoryLimit", "default", '"1Gi"'] in lines


def test_what_is_wrong_and_what_has_no_effect_is_printed_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert explaining.show({**SHIPPED, "agent": '{"image": ""}'}) == 2
    printed = capsys.readouterr().out
    wrong, _, without = printed.partition("\nWhat is wrong:\n")[2].partition("\nWhat has no effect:\n")
    assert "  agent.image in the ConfigMap inferenceservice-config of the cluster" in wrong
    assert "  router of the cluster has fields without an effect" in without
    assert explaining.show(SHIPPED) == 0


@pytest.mark.parametrize(("mode", "told"), [("Serverless", True), ("RawDeployment", False), ("Standard", False)])
def test_a_mode_in_which_nothing_runs_is_told(mode: str, told: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert explaining.show({"deploy": json.dumps({"defaultDeploymentMode": mode})}) == 0
    assert ("deploy.defaultDeploymentMode is Knative, so that" in capsys.readouterr().out) is told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("", "declares nothing, and not one ConfigMap"),
        ("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n", "declares ServiceAccount, and not one"),
        ("kind: ConfigMap", "it needs apiVersion"),
    ],
)
def test_a_file_that_declares_no_config_map_is_an_error(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(errors.ConfigurationError, match=told):
        files.data(file)

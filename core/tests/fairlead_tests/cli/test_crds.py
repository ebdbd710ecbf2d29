"""``fairlead crds``: the definitions as YAML, printed or in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from fairlead.api import crds

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command


def test_the_definitions_are_printed_as_documents(fairlead: Command) -> None:
    ran = fairlead("crds")
    assert (ran.status, ran.errors) == (0, "")
    assert list(yaml.safe_load_all(ran.output)) == crds.definitions()


def test_no_alias_is_printed(fairlead: Command) -> None:
    events = yaml.parse(fairlead("crds", "--output", "-").output, Loader=yaml.CSafeLoader)
    assert not any(isinstance(event, yaml.AliasEvent) for event in events)


def test_each_definition_gets_a_file(fairlead: Command, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    ran = fairlead("crds", "--output", str(folder))
    assert ran.status == 0
    expected = {f"{each['metadata']['name']}.yaml": each for each in crds.definitions()}
    assert {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.iterdir()} == expected
    assert ran.output.splitlines() == [str(folder / name) for name in expected]


def test_a_folder_that_cannot_be_made_is_an_error(fairlead: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = fairlead("crds", "--output", str(tmp_path / "file"))
    assert (ran.status, ran.output) == (2, "")
    assert (
        ran.errors
        == f"error: {tmp_path / 'file'} cannot be written: File exists.\nName another folder with --output.\n"
    )

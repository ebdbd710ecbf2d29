"""The file that images are built of: what can be told without building one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import Final

import pytest

from fairlead.resolve import runtimes
from fairlead_operator_tests.manifests import folders

FILE: Final = folders.IMAGES / "Containerfile"
SCRIPT: Final = folders.IMAGES / "assemble.sh"
TARGETS: Final = ("server", "storage-initializer", "operator")
COMMANDS: Final = {
    "server": '["fairlead", "serve"]',
    "storage-initializer": '["fairlead-storage-initializer"]',
    "operator": '["fairlead-operator"]',
}

every_target = pytest.mark.parametrize("target", TARGETS)


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its argument, with lines that are continued joined."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """What each stage begins with, and its instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    here: list[tuple[str, str]] = []
    for word, rest in instructions():
        if word == "FROM":
            image, _, name = rest.split()
            here = []
            found[name] = (image, here)
        else:
            here.append((word, rest))
    return found


def test_every_instruction_is_one_of_a_containerfile() -> None:
    known = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "USER", "WORKDIR"}
    assert {word for word, _ in instructions()} <= known


def test_every_stage_begins_with_an_earlier_one_or_with_pythons_image() -> None:
    known: set[str] = set()
    for name, (image, _) in stages().items():
        assert image in {*known, "python:${PYTHON}-slim"}
        known.add(name)


@every_target
def test_an_image_is_a_target_that_runs_as_a_number_other_than_root(target: str) -> None:
    _, steps = stages()[target]
    assert dict(steps)["USER"] == "1000:1000"
    assert dict(steps)["ENTRYPOINT"] == COMMANDS[target]
    assert [rest for word, rest in steps if word == "COPY"] == [
        f"--from={target}-environment /opt/fairlead /opt/fairlead"
    ]


def test_no_host_is_named() -> None:
    assert "://" not in FILE.read_text(encoding="utf-8") + SCRIPT.read_text(encoding="utf-8")


def test_what_is_copied_from_the_tree_is_there() -> None:
    copied = [rest.split()[0] for _, steps in stages().values() for word, rest in steps if word == "COPY"]
    inside = [each for each in copied if not each.startswith("--from=")]
    assert inside == ["constraints.txt", "operator/images/assemble.sh", "core", "operator", "plugins"]
    assert all((folders.OPERATOR.parent / each).exists() for each in inside)


@every_target
def test_an_environment_is_made_by_the_script(target: str) -> None:
    _, steps = stages()[f"{target}-environment"]
    assert ("ARG", "PLUGINS") in steps
    (run,) = (rest for word, rest in steps if word == "RUN")
    *_, assembled = run.partition("&& ")
    expected = ["sh", "assemble.sh", "install", "/opt/fairlead/bin/python", "/wheels", target, "$PLUGINS"]
    assert shlex.split(assembled) == expected


def test_the_plugins_that_are_installed_where_none_are_named_are_there() -> None:
    (named,) = (rest for _, rest in instructions() if rest.startswith("PLUGINS="))
    for plugin in shlex.split(named.removeprefix("PLUGINS="))[0].split():
        assert (folders.OPERATOR.parent / "plugins" / plugin / "pyproject.toml").exists()


def test_a_runtime_runs_what_is_in_the_image_of_a_server() -> None:
    (manifest,) = folders.documents(folders.MANIFESTS / "runtimes" / "fairlead-sklearn.yaml")
    (container,) = manifest["spec"]["containers"]
    assert shlex.join(container["command"]) == "fairlead serve"
    assert container["securityContext"]["runAsNonRoot"] is True
    assert manifest["metadata"]["name"] == runtimes.runtime_name("sklearn")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say wheels or install"),
        (["build", "python", "wheels"], "build is neither wheels nor install"),
        (["wheels", "python", "wheels", "runtimes/nothing"], "there is no plugin runtimes/nothing"),
        (["install", "python", ".", "server"], "there is not one wheel of fairlead in ."),
    ],
)
def test_a_mistake_is_told_before_anything_is_built(arguments: list[str], said: str) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    done = subprocess.run(
        [shell, str(SCRIPT), *arguments], cwd=folders.IMAGES, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr

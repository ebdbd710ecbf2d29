from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import packaging
import pytest
from packaging.requirements import Requirement

from fairlead import errors
from fairlead.contracts.unpickling import UnpicklingPolicy
from fairlead.custom._plugin import SPEC
from fairlead.local.replicas import commands, distributions
from fairlead.local.replicas.needs import Need, Needs
from fairlead.plugins import Plugins
from fairlead.resolve.observation import ReplicaStage
from fairlead.resolve.service import ResolvedModel, ResolvedRuntime
from fairlead_tests.local.replicas.making import order, running, serving, tools
from fairlead_tests.plugins.distributions import Site, planted

ALLOW = UnpicklingPolicy()
EXPLAINER = """
from fairlead import ExplainerSpec, hookimpl

@hookimpl
def fairlead_explainers():
    asked = ("absent-package==1.0", "packaging")
    return [ExplainerSpec(
        name={name!r}, explains=("tabular",), factory="{package}.work:Work", requirements=asked, in_process=False
    )]
"""

ASKING = """
from fairlead import ExplainerSpec, hookimpl

@hookimpl
def fairlead_explainers():
    return [ExplainerSpec(
        name={name!r}, explains=("tabular",), factory="{package}.work:Work", requirements=("packaging",),
        asks="{package}.work:asks", in_process=False
    )]
"""

OLDER = """
from fairlead import Library, ModelFormat, RuntimeSpec, hookimpl

@hookimpl
def fairlead_runtimes():
    return [RuntimeSpec(
        name={name!r}, formats=(ModelFormat({name!r}),), factory="{package}.work:Work", artifacts=("*.x",),
        libraries=(Library("packaging", "packaging", reads_older=True),), recorded="{package}.work:recorded",
    )]
"""


@pytest.fixture
def needs() -> Needs:
    return Needs(Plugins.discover())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = planted(tmp_path, monkeypatch)
    yield made
    made.forget()


def folder(parent: Path, requirements: str | None) -> Path:
    """The folder of a model in Python."""
    made = parent / "model"
    made.mkdir()
    (made / "model.py").write_text("")
    if requirements is not None:
        (made / "requirements.txt").write_text(requirements)
    return made


@pytest.mark.parametrize(
    ("line", "met"),
    [
        ("packaging", True),
        ("packaging>=20", True),
        (f"packaging=={packaging.__version__}", True),
        ("Packaging<20", False),
        ("absent-package", False),
        ("absent-package; python_version < '3'", True),
        ("absent-package; python_version > '3'", False),
        ("fairlead[local]", True),
        ("fairlead[no-such-extra]", True),
    ],
)
def test_a_requirement_is_met_by_what_is_installed_where_its_marker_holds(line: str, met: bool) -> None:
    assert distributions.is_met(Requirement(line)) is met


def test_a_requirement_of_an_extra_needs_what_the_extra_needs(site: Site) -> None:
    lines = ['Requires-Dist: packaging; extra == "good"', 'Requires-Dist: absent; extra == "bad"']
    lines += ['Requires-Dist: half[good,all,bad]; extra == "all"']
    metadata = "\n".join(["Metadata-Version: 2.1", "Name: half", "Version: 1.0", *lines, ""])
    site.install("half", plugin=None, distribution="half", version="1.0", entry_points="", metadata=metadata)
    assert distributions.is_met(Requirement("half[good]"))
    assert not distributions.is_met(Requirement("half[good,bad]"))
    assert not distributions.is_met(Requirement("half[all]"))


def test_a_model_whose_packages_are_installed_needs_nothing(needs: Needs, tmp_path: Path) -> None:
    made = folder(tmp_path, "packaging>=20\n")
    assert needs.of_artefact(SPEC, made, ALLOW) is None
    assert needs.of_artefact(SPEC, made, UnpicklingPolicy.parse("deny")) is None
    assert needs.of_artefact(SPEC, made / "model.py", ALLOW) is None
    assert needs.of_artefact(SPEC, None, ALLOW) is None
    (made / "requirements.txt").unlink()
    assert needs.of_artefact(SPEC, made, ALLOW) is None


def test_a_model_whose_packages_are_missing_needs_all_that_it_asks_for(needs: Needs, tmp_path: Path) -> None:
    asked = "packaging>=20\nabsent-a\nabsent-b==1\nabsent-c\nabsent-d\nabsent-e\n"
    found = needs.of_artefact(SPEC, folder(tmp_path, asked), ALLOW)
    assert found is not None
    assert found.requirements == tuple(asked.split())
    assert found.distributions == ("fairlead",)
    assert found.what == "absent-a, absent-b==1, absent-c, absent-d and 1 more (asked for by the model)"
    assert found.wheels_only
    assert not found.without


@pytest.mark.parametrize("policy", ["deny", f"sha256:{'0' * 64}"])
def test_packages_run_code_and_are_subject_to_the_unpickling_policy(needs: Needs, tmp_path: Path, policy: str) -> None:
    made = folder(tmp_path, "absent-package\n")
    with pytest.raises(errors.UnpicklingRefused, match=r"asks for absent-package.*pip install 'absent-package'"):
        needs.of_artefact(SPEC, made, UnpicklingPolicy.parse(policy))


@pytest.mark.parametrize(
    ("fields", "environ", "mode"),
    [
        ({}, {}, "allow"),
        ({"args": ["--unpickling=deny"]}, {"FAIRLEAD_UNPICKLING": "allow"}, "deny"),
        ({"args": ["--unpickling", "deny"]}, {}, "deny"),
        ({"env": [{"name": "FAIRLEAD_UNPICKLING", "value": "deny"}]}, {"FAIRLEAD_UNPICKLING": "allow"}, "deny"),
        ({}, {"FAIRLEAD_UNPICKLING": "deny"}, "deny"),
    ],
)
def test_the_policy_of_a_replica_is_that_of_its_server(
    tmp_path: Path, fields: dict[str, Any], environ: Mapping[str, str], mode: str
) -> None:
    assert commands.unpickling(order(tmp_path, **fields), environ).mode == mode


def test_a_process_in_an_environment_of_its_own_is_told_so_and_no_other() -> None:
    given = {"FAIRLEAD_ISOLATED": "1", "PYTHONPATH": "/somewhere"}
    assert commands.base_environ({}, isolated=True)["FAIRLEAD_ISOLATED"] == "1"
    assert "PYTHONPATH" not in commands.base_environ(given, isolated=True)
    assert "FAIRLEAD_ISOLATED" not in commands.base_environ(given)


def test_a_component_with_an_explainer_needs_what_that_asks_for(site: Site) -> None:
    site.install("odd", plugin=EXPLAINER, group="fairlead.explainers", distribution="fairlead-explainer-odd")
    needs = Needs(Plugins.discover())
    found = needs.of_explainer("odd", "rows.csv", in_process=False)
    assert found is not None
    assert found.requirements == ("absent-package==1.0", "packaging")
    assert found.distributions == ("fairlead-explainer-odd",)
    assert found.what == "absent-package==1.0 (asked for by the explainer odd)"
    assert needs.of_explainer("odd", None, in_process=True) is None
    assert needs.of_explainer("none", None, in_process=False) is None
    assert needs.of_explainer(None, None, in_process=False) is None


def test_the_files_of_an_explainer_may_need_more(site: Site, tmp_path: Path) -> None:
    work = "def asks(artifact):\n    return ('absent-package>=2',) if artifact.matching(('*.big',)) else ()\n"
    site.install("asking", plugin=ASKING, group="fairlead.explainers", distribution="asking", work=work)
    needs = Needs(Plugins.discover())
    made = tmp_path / "files"
    made.mkdir()
    for files in (None, str(made), str(made / "none"), "far://bucket/a.big"):
        assert needs.of_explainer("asking", files, in_process=False) is None
    (made / "a.big").touch()
    for files in (str(made), f"file://{made}", str(made / "a.big")):
        found = needs.of_explainer("asking", files, in_process=False)
        assert found is not None
        assert found.requirements == ("packaging", "absent-package>=2")
        assert found.what == "absent-package>=2 (asked for by the explainer asking)"


def test_an_explainer_that_cannot_tell_what_its_files_need_is_an_error_that_says_so(site: Site, tmp_path: Path) -> None:
    work = "def asks(artifact):\n    raise OSError('cannot be read')\n"
    site.install("asking", plugin=ASKING, group="fairlead.explainers", distribution="asking", work=work)
    with pytest.raises(errors.ModelLoadError, match=r"explainer asking cannot tell the packages.*cannot be read"):
        Needs(Plugins.discover()).of_explainer("asking", str(tmp_path), in_process=False)


def test_what_is_fetched_from_elsewhere_needs_the_plugins_that_fetch(site: Site, tmp_path: Path) -> None:
    storage = "from fairlead import StorageSpec, hookimpl\n"
    site.install("far", plugin=storage, group="fairlead.storage", distribution="fairlead-storage-far")
    site.install("odd", plugin=EXPLAINER, group="fairlead.explainers", distribution="fairlead-explainer-odd")
    needs = Needs(Plugins.discover())
    for path in (None, "rows.csv", str(tmp_path), f"file://{tmp_path}"):
        assert needs.of_address(path) == ()
    assert set(needs.of_address("far://bucket/rows.csv")) >= {"fairlead", "fairlead-storage-far"}
    found = needs.of_explainer("odd", "far://bucket/rows.csv", in_process=False)
    assert found is not None
    assert set(found.distributions) >= {"fairlead-explainer-odd", "fairlead", "fairlead-storage-far"}


@pytest.mark.parametrize(("version", "needed"), [("0.0.1", False), ("999.0", True)])
def test_a_library_that_reads_what_its_older_versions_saved_is_not_made_older(
    site: Site, tmp_path: Path, version: str, needed: bool
) -> None:
    site.install("older", plugin=OLDER, work=f"def recorded(artifact):\n    return {{'packaging': {version!r}}}\n")
    runtime = ResolvedRuntime(name="fairlead-older", kind="ClusterServingRuntime", plugin="older")
    model = ResolvedModel(format="older", format_version=None, protocol="v2", runtime=runtime, runtime_version=None)
    found = Needs(Plugins.discover()).recorded(model, tmp_path)
    assert (found is not None) is needed


def test_several_needs_become_one_environment(needs: Needs, tmp_path: Path) -> None:
    made = folder(tmp_path, "absent-package\n")
    of_model = needs.of_artefact(SPEC, made, ALLOW)
    version, _ = needs.of_version(serving(tmp_path, "file:///m", runtime_version="1.0.0").model)
    joined = Need.joined((None, version, of_model))
    assert joined is not None
    assert joined.requirements == ("scikit-learn==1.0.0", "absent-package")
    assert joined.distributions == ("fairlead-runtime-sklearn", "fairlead")
    assert joined.what == "scikit-learn 1.0.0 and absent-package (asked for by the model)"
    assert joined.wheels_only
    assert Need.joined((None, None)) is None
    assert Need.joined((None, of_model)) is of_model


def test_a_replica_whose_model_says_where_packages_come_from_fails_and_says_why(tmp_path: Path) -> None:
    made = folder(tmp_path, "--index-url https://example.org/simple\nabsent-package\n")
    wanted = serving(tmp_path, str(made))
    assert wanted.model is not None
    runtime = dataclasses.replace(wanted.model.runtime, plugin="python")
    wanted = dataclasses.replace(wanted, model=dataclasses.replace(wanted.model, runtime=runtime))

    async def scenario() -> None:
        async with running(wanted, tools(backoff=60, max_backoff=60)) as (replica, changes):
            await changes.until(lambda: replica.observation.stage is ReplicaStage.FAILED)
            assert replica.observation.reason == "EnvironmentFailed"
            assert "requirements.txt:1:" in replica.observation.message
            assert "option" in replica.observation.message

    asyncio.run(scenario())

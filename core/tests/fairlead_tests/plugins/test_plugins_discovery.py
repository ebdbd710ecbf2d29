"""Finding plugins: entry points and metadata decide, and nothing is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
import sys

import pytest

from fairlead import errors
from fairlead.plugins import Kind, Plugins, PluginState
from fairlead_tests.plugins.distributions import EXPLAINER, Site, is_imported


def state(plugins: Plugins, name: str, kind: Kind = Kind.RUNTIME) -> PluginState:
    return plugins.info(kind, name).state


def test_a_plugin_is_found_with_its_distribution_and_not_imported(site: Site) -> None:
    module = site.install("good")
    info = Plugins.discover().info(Kind.RUNTIME, "good")
    assert (info.distribution, info.version, info.module) == ("fairlead-runtime-good", "1.2.3", module)
    assert info.state is PluginState.AVAILABLE
    assert not is_imported(module)


@pytest.mark.usefixtures("site")
def test_built_in_plugins_come_through_the_same_door() -> None:
    found = {info.id: info.distribution for info in Plugins.discover().infos()}
    assert found["storage:file"] == found["storage:http"] == found["runtime:python"] == "fairlead"


def test_a_plugin_that_needs_another_core_is_incompatible_before_it_is_imported(site: Site) -> None:
    module = site.install("newer", requires=("fairlead>=99",))
    plugins = Plugins.discover()
    with pytest.raises(errors.PluginIncompatible, match=r"needs fairlead>=99, and .* is installed") as caught:
        plugins.specs(Kind.RUNTIME, "newer")
    assert caught.value.remedy == "Try: pip install --upgrade fairlead-runtime-newer fairlead"
    assert not is_imported(module)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("fairlead>=0.1,<99", PluginState.AVAILABLE),
        ("Fairlead[testing]>=99", PluginState.INCOMPATIBLE),
        ('fairlead>=99; python_version >= "3"', PluginState.INCOMPATIBLE),
        ('fairlead>=99; python_version < "3"', PluginState.AVAILABLE),
        ('fairlead>=99; extra == "test"', PluginState.AVAILABLE),
        ("fairlead >= what", PluginState.INCOMPATIBLE),
        ("fairlead-operator>=99", PluginState.AVAILABLE),
        ("what is this", PluginState.AVAILABLE),
    ],
)
def test_only_a_requirement_of_the_core_that_applies_decides(
    site: Site, requirement: str, expected: PluginState
) -> None:
    site.install("picky", requires=("numpy>=1", requirement))
    assert state(Plugins.discover(), "picky") is expected


def test_two_distributions_that_claim_one_name_are_both_named_and_the_rest_live(site: Site) -> None:
    first = site.install("twice", distribution="one")
    second = site.install("twice", distribution="two")
    site.install("good")
    plugins = Plugins.discover()
    with pytest.raises(errors.PluginDuplicate, match=r"claimed by one 1\.2\.3 \(.*\) and two 1\.2\.3"):
        plugins.specs(Kind.RUNTIME, "twice")
    assert [info.state for info in plugins.infos() if info.name == "twice"] == [PluginState.DUPLICATE] * 2
    assert "good" in plugins.runtimes()
    assert not is_imported(first)
    assert not is_imported(second)


@pytest.mark.parametrize("owner", ["one", "Two_Parts"])
def test_the_allow_list_picks_one_of_two_claimants(site: Site, owner: str) -> None:
    modules = {
        "one": site.install("twice", distribution="one"),
        "Two_Parts": site.install("twice", distribution="two-parts"),
    }
    plugins = Plugins.discover(allow=f"twice@{owner}")
    assert plugins.info(Kind.RUNTIME, "twice").module == modules[owner]
    assert list(plugins.runtimes()) == ["twice"]
    states = {info.module: info.state for info in plugins.infos() if info.name == "twice"}
    assert states.pop(modules[owner]) is PluginState.AVAILABLE
    assert list(states.values()) == [PluginState.BLOCKED]


def test_one_name_in_two_kinds_is_two_plugins(site: Site) -> None:
    site.install("graphs")
    site.install("graphs", plugin=EXPLAINER, group="fairlead.explainers", distribution="fairlead-explainer-graphs")
    plugins = Plugins.discover()
    assert plugins.runtimes()["graphs"].name == "graphs"
    assert plugins.explainers()["graphs"].explains == ("tabular",)


def test_an_installation_further_down_the_path_is_shadowed(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path_factory.mktemp("old")
    shutil.copytree(site.folder, old, dirs_exist_ok=True)
    old_site = Site(old)
    old_site.install("good", version="0.9")
    monkeypatch.setattr(sys, "path", [*sys.path, str(old)])
    site.install("good", version="1.0")
    importlib.invalidate_caches()
    (info,) = [info for info in Plugins.discover().infos() if info.name == "good"]
    assert (info.version, info.state) == ("1.0", PluginState.AVAILABLE)


# -- the allow-list -------------------------------------------------------------------------------------


def test_without_an_allow_list_all_are_allowed(site: Site) -> None:
    site.install("good")
    plugins = Plugins.discover()
    assert plugins.allowed is None
    assert state(plugins, "good") is PluginState.AVAILABLE


def test_an_empty_allow_list_allows_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    module = site.install("good")
    monkeypatch.setenv("FAIRLEAD_PLUGINS", "")
    plugins = Plugins.discover()
    assert {info.state for info in plugins.infos()} == {PluginState.BLOCKED}
    assert not plugins.runtimes()
    assert not is_imported(module)


@pytest.mark.parametrize("word", ["good", "runtime:good", "good@fairlead-runtime-good", " runtime:good@x-y , file"])
def test_the_allow_list_takes_names_ids_and_distributions(
    site: Site, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    site.install("good", distribution="x-y" if "x-y" in word else None)
    site.install("other")
    monkeypatch.setenv("FAIRLEAD_PLUGINS", word)
    plugins = Plugins.discover()
    assert state(plugins, "good") is PluginState.AVAILABLE
    with pytest.raises(errors.PluginBlocked, match="not allowed") as caught:
        plugins.specs(Kind.RUNTIME, "other")
    assert caught.value.remedy == "Add other to FAIRLEAD_PLUGINS, or unset it to allow all."


def test_a_name_of_another_distribution_is_not_what_the_allow_list_means(site: Site) -> None:
    site.install("good", distribution="impostor")
    plugins = Plugins.discover(allow="good@fairlead-runtime-good")
    assert state(plugins, "good") is PluginState.BLOCKED
    assert plugins.missing == ("good@fairlead-runtime-good",)


# -- plugins that are not there -------------------------------------------------------------------------


def test_a_plugin_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(errors.PluginNotInstalled, match="no explainer plugin 'shap'") as caught:
        Plugins([]).info(Kind.EXPLAINER, "shap")
    assert caught.value.remedy == (
        "If a wheel provides it, it is named fairlead-explainer-shap by convention; install it beside fairlead."
    )


def test_a_misspelt_name_is_guessed(site: Site) -> None:
    site.install("hyperlogs")
    with pytest.raises(errors.PluginNotInstalled) as caught:
        Plugins.discover().info(Kind.RUNTIME, "hyperlog")
    assert caught.value.remedy == "Did you mean hyperlogs?"


# -- damaged metadata -----------------------------------------------------------------------------------


def test_entry_points_that_cannot_be_parsed_hide_their_distribution_only(site: Site) -> None:
    site.install("damaged", entry_points="[fairlead.runtimes]\nthis line has no equals sign\n")
    site.install("good")
    plugins = Plugins.discover()
    assert "good" in plugins.runtimes()
    (error,) = plugins.unreadable
    assert "The entry points of fairlead-runtime-damaged cannot be read" in error.reason


def test_entry_points_that_are_not_text_hide_their_distribution_only(site: Site) -> None:
    site.install("damaged")
    (site.folder / "fairlead_runtime_damaged-1.2.3.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe\x00")
    site.install("good")
    plugins = Plugins.discover()
    assert "good" in plugins.runtimes()
    assert len(plugins.unreadable) == 1


@pytest.mark.parametrize("metadata", ["", "Version: 1\n", "Name: nameless\n"])
def test_a_distribution_without_name_or_version_is_broken_and_the_rest_live(site: Site, metadata: str) -> None:
    module = site.install("damaged", metadata=metadata)
    site.install("good")
    plugins = Plugins.discover()
    with pytest.raises(errors.PluginBroken, match="has no readable metadata"):
        plugins.specs(Kind.RUNTIME, "damaged")
    assert "good" in plugins.runtimes()
    assert not is_imported(module)


def test_a_distribution_whose_metadata_file_is_missing_is_broken_and_the_rest_live(site: Site) -> None:
    site.install("damaged")
    (site.folder / "fairlead_runtime_damaged-1.2.3.dist-info" / "METADATA").unlink()
    site.install("good")
    plugins = Plugins.discover()
    assert state(plugins, "damaged") is PluginState.BROKEN
    assert "good" in plugins.runtimes()


@pytest.mark.parametrize("value", ["{package}._plugin:plugin", "{package}._plugin [extra]", "not a module"])
def test_an_entry_point_that_names_no_module_is_broken(site: Site, value: str) -> None:
    site.install("odd", entry_points=f"[fairlead.runtimes]\nodd = {value}\n")
    with pytest.raises(errors.PluginBroken, match="not the name of a module"):
        Plugins.discover().specs(Kind.RUNTIME, "odd")


# -- strictness -----------------------------------------------------------------------------------------


def only(site: Site) -> list[importlib.metadata.EntryPoint]:
    """The entry points of the site alone: the built-in plugins would be blocked or not, which is another matter."""
    return [
        entry
        for distribution in importlib.metadata.distributions(path=[str(site.folder)])
        for entry in distribution.entry_points
    ]


def strict(site: Site, allow: str | None = None) -> Plugins:
    return Plugins.discover(
        allow=allow, strict=True, entry_points=lambda group: [entry for entry in only(site) if entry.group == group]
    )


def test_strict_accepts_plugins_that_can_all_be_used(site: Site) -> None:
    site.install("good")
    assert list(strict(site).runtimes()) == ["good"]


@pytest.mark.parametrize(
    ("plugin", "requires", "expected"),
    [
        ("raise RuntimeError('no')", (), errors.PluginBroken),
        (None, ("fairlead>=99",), errors.PluginIncompatible),
    ],
)
def test_strict_makes_a_plugin_that_cannot_be_used_fatal(
    site: Site, plugin: str | None, requires: tuple[str, ...], expected: type[errors.PluginError]
) -> None:
    site.install("bad", plugin=plugin, requires=requires)
    site.install("good")
    with pytest.raises(expected):
        strict(site)


def test_strict_makes_an_unlisted_plugin_fatal(site: Site) -> None:
    site.install("good")
    site.install("other")
    with pytest.raises(errors.PluginBlocked, match="'other'"):
        strict(site, allow="good")


def test_strict_makes_a_listed_plugin_that_is_not_installed_fatal(site: Site) -> None:
    site.install("good")
    with pytest.raises(errors.ConfigurationError, match="names absent, and no such plugin"):
        strict(site, allow="good,absent")


def test_strict_lets_the_allow_list_settle_a_duplicate(site: Site) -> None:
    site.install("twice", distribution="one")
    site.install("twice", distribution="two")
    with pytest.raises(errors.PluginDuplicate):
        strict(site)
    assert list(strict(site, allow="twice@two").runtimes()) == ["twice"]


def test_strictness_is_read_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("bad", plugin="raise RuntimeError('no')")
    monkeypatch.setenv("FAIRLEAD_PLUGINS_STRICT", "off")
    assert state(Plugins.discover(), "bad") is PluginState.AVAILABLE
    monkeypatch.setenv("FAIRLEAD_PLUGINS_STRICT", "true")
    monkeypatch.setenv("FAIRLEAD_PLUGINS", "bad@fairlead-runtime-bad")
    with pytest.raises(errors.PluginError):
        Plugins.discover()


def test_a_strictness_that_is_no_truth_value_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_PLUGINS_STRICT", "perhaps")
    with pytest.raises(errors.ConfigurationError, match="FAIRLEAD_PLUGINS_STRICT is 'perhaps'"):
        Plugins.discover()


# -- what is imported -----------------------------------------------------------------------------------


def test_a_process_that_discovers_imports_no_plugin_and_no_library(site: Site) -> None:
    module = site.install("good")
    script = (
        "import sys; from fairlead.plugins import Plugins; Plugins.discover().infos(); "
        f"print([name for name in ({module!r}, 'fairlead.storage', 'numpy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=site.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

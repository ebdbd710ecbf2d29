"""Every plugin that is installed is held to the public kit of its kind, and describes itself at no cost."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from architecture import workspace
from fairlead.plugins import Kind, PluginInfo, Plugins, PluginState

KITS: Final = {
    Kind.RUNTIME: "RuntimeContract",
    Kind.STORAGE: "StorageContract",
    Kind.EXPLAINER: "ExplainerContract",
    Kind.AUTOSCALER: "AutoscalerContract",
}
BUILT_IN: Final = {
    "runtime:python": "core/tests/fairlead_tests/custom/test_contract.py",
    "storage:file": "core/tests/fairlead_tests/storage/test_contract.py",
    "storage:http": "core/tests/fairlead_tests/storage/test_contract.py",
}
FRAMEWORKS: Final = (
    *(
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "joblib",
        "xgboost",
        "lightgbm",
        "catboost",
        "onnx",
        "onnxruntime",
        "torch",
    ),
    *("tensorflow", "keras", "paddle", "mlflow", "jpype", "shap", "captum", "alibi", "numba", "matplotlib"),
)
DESCRIBE: Final = """
import json, sys
from fairlead.plugins import Kind, Plugins
plugins = Plugins.discover()
named = [spec.name for info in plugins.infos() for spec in plugins.specs(info.kind, info.name)]
print(json.dumps([len(named), [name for name in sys.argv[1:] if name in sys.modules]]))
"""

INSTALLED: Final = Plugins.discover().infos()


def contract_of(plugin: PluginInfo) -> Path:
    """The file that holds a plugin's tests against the kit."""
    if plugin.id in BUILT_IN:
        return workspace.ROOT / BUILT_IN[plugin.id]
    folder = next(each for each, kind in workspace.KIND_FOLDERS.items() if kind is plugin.kind)
    package = f"{plugin.distribution.replace('-', '_')}_tests"
    tests = workspace.ROOT / "plugins" / folder / plugin.name / "tests" / package
    return next(iter(sorted(tests.rglob("test_contract.py"))), tests / "test_contract.py")


def held_to(tree: ast.Module, kit: str) -> Iterator[str]:
    """The test classes of a file that descend from a kit."""
    descended = {kit}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id in descended for base in node.bases
        ):
            descended.add(node.name)
            if node.name.startswith("Test"):
                yield node.name


@pytest.mark.parametrize("plugin", INSTALLED, ids=lambda plugin: plugin.id)
def test_a_plugin_can_be_used(plugin: PluginInfo) -> None:
    assert plugin.state is PluginState.AVAILABLE, str(plugin.error)


@pytest.mark.parametrize("plugin", INSTALLED, ids=lambda plugin: plugin.id)
def test_a_plugin_is_held_to_the_kit_of_its_kind(plugin: PluginInfo) -> None:
    path = contract_of(plugin)
    assert path.exists(), f"{plugin.id} has no {workspace.shown(path)}"
    assert list(held_to(ast.parse(path.read_text(encoding="utf-8")), KITS[plugin.kind]))


def test_every_plugin_of_the_workspace_is_installed_or_left_out_for_a_reason() -> None:
    names = {workspace.project(folder)["name"] for folder in workspace.plugin_folders()}
    missing = names - {plugin.distribution for plugin in INSTALLED}
    assert missing <= {"fairlead-runtime-torch", "fairlead-explainer-captum"}, "run `make install`"


def test_describing_all_of_them_imports_no_framework() -> None:
    command = [sys.executable, "-c", DESCRIBE, *FRAMEWORKS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [len(INSTALLED), []]


@pytest.mark.parametrize("folder", workspace.plugin_folders(), ids=workspace.shown)
def test_a_plugin_requires_no_other_plugin(folder: Path) -> None:
    (requires,) = [workspace.project(folder)["dependencies"]]
    others = {workspace.project(each)["name"] for each in workspace.plugin_folders() if each != folder}
    assert not [text for text in requires if text.split(">")[0].split("[")[0].strip() in others]

"""The arguments of explainers: what is refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["model.py", "--explainer-dir", "x"],
            "--explainer-dir is given, and no explainer.",
        ),
        (["model.py", "--explainer_set", "a=1"], "--explainer-set is given, and no explainer."),
        (["model.py", "--explainer", "probe", "--explainer-set", "a"], "--explainer-set 'a' has no value."),
        (["--explainer", "probe"], "The explainer probe has nothing to explain."),
        (
            ["--explainer", "probe", "--predictor_host", "h", "--predictor_protocol", "v3"],
            "--predictor_protocol: 'v3' is not one of v1, v2, grpc-v2.",
        ),
        (["--explainer", "probe", "--predictor_host", "h/x"], "--predictor_host: 'h/x' is no host."),
        (
            ["--explainer", "probe", "--predictor_host", "h", "--set", "class=A"],
            "The setting class is one of a model, and there is none.",
        ),
        (["--explainer", "probe", "--predictor_host", "h", "--format", "python"], "--format is the format of a model"),
        (["--explainer", "probe", "--predictor_host", "h", "--name", "a/b"], "--name 'a/b' does not fit in a route."),
        (
            ["--explainer", "probe", "--predictor_host", "h", "--predictor_use_ssl", "perhaps"],
            "--predictor_use_ssl: 'perhaps' is not a truth value.",
        ),
        (
            ["--explainer", "probe", "--predictor_host", "h", "--predictor_request_timeout_seconds", "soon"],
            "--predictor_request_timeout_seconds: 'soon' is not a number of seconds.",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(fairlead: Command, arguments: list[str], problem: str) -> None:
    ran = fairlead("serve", *arguments)
    assert ran.status == 2
    assert problem in " ".join(ran.errors.split())


def test_an_explainer_is_for_one_model(fairlead: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text("")
    ran = fairlead("serve", str(tmp_path), "--explainer", "probe")
    assert ran.status == 2
    assert "is a folder of models, and an explainer is loaded for one." in ran.errors

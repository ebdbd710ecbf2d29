"""A runtime may hand files to another one, which loads them as the server would have asked it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import UnpicklingMode, UnpicklingPolicy, errors
from fairlead.testing import running_server
from fairlead_tests.plugins.distributions import Site, planted

INNER = """
from fairlead import ModelFormat, RuntimeSpec, Setting, hookimpl

@hookimpl
def fairlead_runtimes():
    setting = Setting("factor", 2, "What rows are multiplied by.", env=("FACTOR",))
    yield RuntimeSpec(
        name={name!r},
        formats=(ModelFormat({name!r}),),
        factory="{package}.work:Work",
        artifacts=("*.inner",),
        settings=(setting,),
    )
"""
INNER_WORK = """
from fairlead import InferResponse, Model, ModelMetadata, Runtime, Tensor

class Multiplying(Model):
    def __init__(self, factor, notes):
        self.factor, self.notes, self.metadata_ = factor, notes, ModelMetadata(platform="inner")

    @property
    def metadata(self):
        return self.metadata_

    def predict(self, request):
        array = request.inputs[0].data * self.factor
        return InferResponse(model_name=request.model_name, outputs=[Tensor.from_numpy("output-0", array)])

class Work(Runtime):
    def load(self, artifact, settings):
        with settings.unpickling.open(artifact.path):
            return Multiplying(settings.options["factor"], [f"{settings.model_name}: {[*settings.delegates]}"])
"""
OUTER = INNER.replace("*.inner", "*.outer").replace("settings=(setting,)", "settings=()")
OUTER_WORK = """
from fairlead import Artifact, Runtime

class Work(Runtime):
    def load(self, artifact, settings):
        given = dict(pair.split("=") for pair in artifact.path.read_text().split())
        assert "outer" not in settings.delegates
        inner = settings.delegates["inner"]
        assert inner.spec.artifacts == ("*.inner",)
        return inner.load(Artifact(path=artifact.path.with_suffix(".inner"), uri=artifact.uri), given)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = planted(tmp_path, monkeypatch)
    site.install("inner", plugin=INNER, work=INNER_WORK)
    site.install("outer", plugin=OUTER, work=OUTER_WORK)
    yield site
    site.forget()


@pytest.fixture
def outer(site: Site, tmp_path: Path) -> Path:
    del site  # the runtimes are installed
    (tmp_path / "model.inner").touch()
    path = tmp_path / "model.outer"
    path.touch()
    return path


def answer(path: Path) -> object:
    with running_server({"m": path}) as server:
        return server.client.post("/v1/models/m:predict", json={"instances": [[1.0, 2.0]]}).json()["predictions"]


def test_the_other_runtime_answers_with_its_own_defaults(outer: Path) -> None:
    assert answer(outer) == [[2.0, 4.0]]


def test_settings_that_are_handed_over_are_those_of_the_other_runtime(outer: Path) -> None:
    outer.write_text("factor=5")
    assert answer(outer) == [[5.0, 10.0]]


def test_a_setting_that_the_other_runtime_does_not_have_is_an_error(outer: Path) -> None:
    outer.write_text("divisor=5")
    with pytest.raises(errors.ConfigurationError, match="Runtime inner has no setting 'divisor'"):
        answer(outer)


def test_the_environment_reaches_the_other_runtime(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTOR", "7")
    assert answer(outer) == [[7.0, 14.0]]


def test_the_unpickling_policy_holds_for_the_other_runtime(outer: Path) -> None:
    deny = UnpicklingPolicy(UnpicklingMode.DENY)
    with (
        pytest.raises(errors.UnpicklingRefused, match=r"model\.inner"),
        running_server({"m": outer}, unpickling=deny),
    ):
        pass


def test_the_other_runtime_has_the_name_and_no_runtimes_to_hand_on_to(outer: Path) -> None:
    with running_server({"m": outer}) as server:
        serving = server.engine.registry.get("m").serving
        assert serving is not None
        assert list(serving.model.notes) == ["m: []"]

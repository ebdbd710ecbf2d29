from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead import (
    Artifact,
    AsyncModel,
    Capability,
    InferRequest,
    InferResponse,
    Model,
    ModelMetadata,
    Setting,
    errors,
)
from fairlead.contracts.runtime import SettingValue, parse_bool


def artifact(path: Path) -> Artifact:
    return Artifact(path=path, uri="s3://models/iris")


def files(folder: Path, *names: str) -> Artifact:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return artifact(folder)


# -- artefacts ------------------------------------------------------------------------------------------


def test_an_artefact_that_is_one_file_holds_that_file(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(b"")
    assert artifact(path).entries() == (path,)
    assert artifact(path).only(["*.joblib"]) == path


def test_entries_are_sorted_and_leave_out_hidden_ones(tmp_path: Path) -> None:
    found = files(tmp_path, "b.txt", "a.txt", ".cache", "c/d.txt").entries()
    assert [entry.name for entry in found] == ["a.txt", "b.txt", "c"]


def test_a_pattern_matches_files_and_with_a_slash_folders(tmp_path: Path) -> None:
    found = files(tmp_path, "model.joblib", "saved_model/model.bin", "other.joblib/part")
    assert [entry.name for entry in found.matching(["*.joblib"])] == ["model.joblib"]
    assert [entry.name for entry in found.matching(["*.joblib/", "saved_model/"])] == ["other.joblib", "saved_model"]


def test_a_pattern_is_case_sensitive(tmp_path: Path) -> None:
    assert files(tmp_path, "MODEL.PKL").matching(["*.pkl"]) == ()


def test_folders_below_the_top_are_not_searched(tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactMissing) as caught:
        files(tmp_path, "below/model.pkl").only(["*.pkl", "*.joblib"])
    message = str(caught.value)
    assert message == "There is no model file (*.pkl, *.joblib) in s3://models/iris; it holds below."


def test_an_empty_artefact_says_that_it_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactMissing, match="it holds nothing"):
        artifact(tmp_path).only(["*.pkl"])


def test_several_model_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactAmbiguous) as caught:
        files(tmp_path, "a.pkl", "b.joblib", "c.txt").only(["*.pkl", "*.joblib"])
    assert caught.value.reason == "More than one model file is detected in s3://models/iris: a.pkl, b.joblib."
    assert caught.value.remedy is not None


# -- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        ("predict", "predict_proba", "predict_proba"),
        (0, "4", 4),
        (0.5, "1e-3", 0.001),
        (False, "true", True),
        (True, "off", False),
    ],
)
def test_a_setting_is_read_as_the_type_of_its_default(default: SettingValue, text: str, value: SettingValue) -> None:
    read = Setting("name", default, "Help.").parse(text)
    assert read == value
    assert type(read) is type(default)


@pytest.mark.parametrize(("default", "text"), [(0, "four"), (0, "1.5"), (0.5, "half"), (True, "perhaps"), (True, "")])
def test_a_text_of_another_type_is_refused_and_names_the_setting(default: SettingValue, text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"setting nthread: '{text}' is not of type"):
        Setting("nthread", default, "Help.").parse(text)


def test_a_value_that_is_not_a_choice_is_refused_and_names_the_choices() -> None:
    setting = Setting("method", "predict", "Help.", choices=("predict", "transform"))
    assert setting.parse("transform") == "transform"
    with pytest.raises(errors.ConfigurationError, match="setting method: 'fit' is not one of predict, transform"):
        setting.parse("fit")


@pytest.mark.parametrize("word", ["y", "yes", "t", "true", "on", "1", " TRUE "])
def test_the_words_of_kserve_for_true(word: str) -> None:
    assert parse_bool(word) is True


@pytest.mark.parametrize("word", ["n", "no", "f", "false", "off", "0", "False\n"])
def test_the_words_of_kserve_for_false(word: str) -> None:
    assert parse_bool(word) is False


@pytest.mark.parametrize("word", ["", "2", "ja", "truee"])
def test_other_words_are_neither_true_nor_false(word: str) -> None:
    with pytest.raises(ValueError, match="is not a truth value"):
        parse_bool(word)


# -- models ---------------------------------------------------------------------------------------------


class Silent(Model):
    @property
    def metadata(self) -> ModelMetadata:
        return ModelMetadata(capabilities=frozenset({Capability.BATCHING}))

    def predict(self, request: InferRequest) -> InferResponse:
        return InferResponse(model_name=request.model_name)


class AsyncSilent(AsyncModel):
    @property
    def metadata(self) -> ModelMetadata:
        return ModelMetadata()

    async def predict(self, request: InferRequest) -> InferResponse:
        return InferResponse(model_name=request.model_name)


def test_a_model_supports_what_its_metadata_claims_and_nothing_else() -> None:
    metadata = Silent().metadata
    assert metadata.supports(Capability.BATCHING)
    assert not metadata.supports(Capability.COLUMNS)


def test_a_model_needs_no_more_than_metadata_and_predict() -> None:
    model = Silent()
    assert model.samples() == ()
    assert model.saved_with == {}
    assert model.notes == ()
    model.unload()
    assert model.predict(InferRequest(model_name="m")).model_name == "m"


def test_a_model_that_does_not_explain_says_so() -> None:
    request = InferRequest(model_name="iris")
    with pytest.raises(errors.NotSupported, match="iris does not explain"):
        Silent().explain(request)
    with pytest.raises(errors.NotSupported, match="iris does not explain"):
        asyncio.run(AsyncSilent().explain(request))


def test_importing_the_contract_loads_no_library() -> None:
    code = "import sys, fairlead.contracts.runtime; print({'numpy', 'sklearn', 'fastapi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"

"""Which files are found, and which are opened: the unpickling policy and the errors of a load."""

from __future__ import annotations

import hashlib
import pickle
import sys
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any

import joblib
import pytest
import skops.io
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from fairlead import Artifact, LoadSettings, UnpicklingPolicy, errors
from fairlead_runtime_sklearn.model import SklearnModel
from fairlead_runtime_sklearn.opening import open_file
from fairlead_runtime_sklearn.runtime import SklearnRuntime
from fairlead_runtime_sklearn_tests import estimators
from fairlead_runtime_sklearn_tests.estimators import load, predict, saved


class Payload:
    """Creates a file as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


class Warner:
    """Warns as it is unpickled, and predicts nothing of interest."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for _ in range(2):
            warnings.warn("the moon is\nfull", UserWarning, stacklevel=2)
        self.__dict__.update(state)

    def __getstate__(self) -> dict[str, Any]:
        return {"fitted": True}

    def predict(self, argument: Any) -> Any:
        return argument[:, 0]


def digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def payload(folder: Path, name: str, mark: Path) -> Path:
    path = folder / name
    if name.endswith(".joblib"):
        joblib.dump(Payload(mark), path)
    else:
        path.write_bytes(pickle.dumps(Payload(mark)))
    return path


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.pickle"])
@pytest.mark.parametrize("policy", ["deny", f"sha256:{'0' * 64}"])
def test_a_payload_does_not_run_when_the_policy_refuses_it(tmp_path: Path, name: str, policy: str) -> None:
    mark = tmp_path / "it ran"
    with pytest.raises(errors.UnpicklingRefused, match="can run code as it loads"):
        load(payload(tmp_path, name, mark), policy)
    assert not mark.exists()


def test_the_payload_does_run_when_the_policy_allows_it(tmp_path: Path) -> None:
    """Otherwise, the test above would prove nothing."""
    mark = tmp_path / "it ran"
    with pytest.raises(errors.ModelLoadError, match="holds an object of type NoneType"):
        load(payload(tmp_path, "model.pkl", mark), "allow")
    assert mark.exists()


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.pickle"])
def test_a_pickle_with_a_trusted_digest_loads(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, estimators.classifier(), name)
    assert predict(load(path, digest(path)), estimators.IRIS[:1]) == [0]


def test_a_pickle_that_is_named_skops_is_not_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    path = payload(tmp_path, "model.pkl", mark).rename(tmp_path / "model.skops")
    with pytest.raises(errors.ModelLoadError, match="not a zip file"):
        load(path, "deny")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.skops"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(errors.ModelLoadError, match=rf"^{name} is empty\."):
        load(path, "allow")


@pytest.mark.parametrize(
    ("content", "kind"), [(b"\xff\xff\xff", "KeyError"), (b"Shello\n.", "UnpicklingError")], ids=["opcode", "string"]
)
def test_a_file_that_is_no_pickle_is_doubted_to_be_one(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=rf"does not load: {kind}: .*; is it a pickle at all\?"):
        load(path, "allow")


def test_a_skops_file_of_trusted_types_needs_no_permission(tmp_path: Path) -> None:
    skops.io.dump(estimators.classifier(), tmp_path / "model.skops")
    assert predict(load(tmp_path / "model.skops", "deny"), estimators.IRIS[:1]) == [0]


@pytest.mark.parametrize("policy", ["deny", f"sha256:{'0' * 64}"])
def test_a_skops_file_of_other_types_needs_permission_and_names_them(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(make_pipeline(FunctionTransformer(doubled), SVC()).fit(estimators.IRIS, estimators.SPECIES), path)
    with pytest.raises(errors.UnpicklingRefused, match=r"skops does not trust \([a-z_.]*test_opening.doubled\)"):
        load(path, policy)
    assert predict(load(path, digest(path)), estimators.IRIS[:1]) == [0]
    assert predict(load(path, "allow"), estimators.IRIS[:1]) == [0]


def test_one_file_is_found_at_the_top_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("the model")
    (tmp_path / "below").mkdir()
    saved(tmp_path / "below", estimators.classifier())
    with pytest.raises(errors.ArtifactMissing, match=r"\*\.joblib.*it holds README.txt, below"):
        load(tmp_path)
    saved(tmp_path, estimators.classifier())
    assert predict(load(tmp_path), estimators.IRIS[:1]) == [0]
    saved(tmp_path, estimators.classifier(), "other.pkl")
    with pytest.raises(
        errors.ArtifactAmbiguous, match=r"More than one model file is detected.*model.joblib, other.pkl"
    ):
        load(tmp_path)


@pytest.mark.parametrize("held", [{"model": 1}, [1, 2], SVC])
def test_what_is_no_estimator_is_refused(tmp_path: Path, held: Any) -> None:
    with pytest.raises(errors.ModelLoadError, match="holds an object of type") as caught:
        load(saved(tmp_path, held))
    assert caught.value.remedy == "Save the fitted estimator itself."


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("package_that_is_gone")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    gone = type("Gone", (Warner,), {"__module__": module.__name__})
    module.Gone = gone  # type: ignore[attr-defined]  # modules take any attribute
    path = saved(tmp_path, gone())
    monkeypatch.delitem(sys.modules, module.__name__)
    with pytest.raises(errors.ModelLoadError, match="needs the package 'package_that_is_gone', which is not installed"):
        load(path)


def test_a_function_of_the_saving_script_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04c__main__\nclean\n.")
    with pytest.raises(errors.ModelLoadError, match="class or function of the script that saved it"):
        load(path)


def test_a_module_that_a_library_no_longer_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04cscipy.gone\nThing\n.")
    with pytest.raises(errors.ModelLoadError, match=r"module 'scipy.gone', which the installed scipy \d.* does not"):
        load(path)


@pytest.mark.parametrize(
    "first",
    [
        DictVectorizer().fit([{"a": 1}]),
        FeatureHasher(4),
        CountVectorizer(input="filename").fit([__file__]),
        HashingVectorizer(input="file", n_features=4),
    ],
    ids=lambda first: type(first).__name__,
)
def test_what_takes_dictionaries_or_opens_files_is_refused_rather_than_asked(tmp_path: Path, first: Any) -> None:
    """A client must not name the files that the server reads."""
    held = make_pipeline(first, Ridge().fit([[1.0]], [1.0]))
    with pytest.raises(errors.ModelLoadError, match=f"begins with a {type(first).__name__}"):
        SklearnModel(held)
    with pytest.raises(errors.ModelLoadError, match="the names of files"):
        load(saved(tmp_path, first), method="transform")


@pytest.mark.parametrize("name", ["model.skops", "model.pkl"])
def test_a_zip_that_cannot_be_read_is_explained(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("schema.json", "{}")
    content = bytearray(path.read_bytes())
    for entry, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(entry) + flags] |= 1  # encrypted
    path.write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match="does not load"):
        load(path)


def test_warnings_of_a_load_become_notes_once(tmp_path: Path) -> None:
    model = load(saved(tmp_path, Warner()))
    assert model.notes == ("Warning at load: the moon is full",)
    assert model.saved_with == {}


def test_an_estimator_that_says_nothing_of_its_input_has_no_sample(tmp_path: Path) -> None:
    model = load(saved(tmp_path, Warner()))
    assert model.samples() == []
    assert model.metadata.inputs[0].shape == (-1, -1)
    assert model.metadata.outputs == ()
    assert predict(model, [[1.0, 2.0], [3.0, 4.0]]) == [1.0, 3.0]


def test_a_function_of_the_users_own_leaves_the_columns_unknown(tmp_path: Path) -> None:
    estimator = make_pipeline(FunctionTransformer(ages), Ridge())
    model = load(saved(tmp_path, estimator.fit(estimators.PEOPLE, estimators.INCOME)))
    assert model.samples() == []
    (output,) = estimators.ask(model, *estimators.people(2), content_type="pd")
    assert output.data == pytest.approx([0.05, 3.03], abs=0.2)


def doubled(values: Any) -> Any:
    return values * 2


def ages(table: Any) -> Any:
    return table[["age"]]


def test_settings_that_are_left_out_have_their_defaults(tmp_path: Path) -> None:
    path = saved(tmp_path, estimators.classifier())
    model = SklearnRuntime().load(Artifact(path=path, uri=path.as_uri()), LoadSettings(model_name="m"))
    assert predict(model, estimators.IRIS[:1]) == [0]


def test_a_skops_file_whose_schema_is_a_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (64 * 1024 * 1024 + 1))
    assert path.stat().st_size < 1024 * 1024
    with pytest.raises(errors.ModelLoadError, match="schema of 67108865 bytes"):
        open_file(path, UnpicklingPolicy.parse("deny"))

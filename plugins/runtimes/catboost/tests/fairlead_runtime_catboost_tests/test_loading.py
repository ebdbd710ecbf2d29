"""Files: which are models, which version saved them, and what is said of those that do not load."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import catboost
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead import Artifact, UnpicklingMode, UnpicklingPolicy, errors
from fairlead_runtime_catboost import files
from fairlead_runtime_catboost_tests import boosters
from fairlead_runtime_catboost_tests.boosters import CLASSES, ROWS, ask, load, saved


def artifact(path: Path) -> Artifact:
    return Artifact(path=path, uri=path.as_uri())


def refusal(path: Path) -> str:
    with pytest.raises(errors.ModelLoadError) as caught:
        load(path)
    return str(caught.value)


# -- the files of a model -------------------------------------------------------------------------------


def test_a_file_of_another_purpose_may_lie_beside_the_model(tmp_path: Path) -> None:
    saved(tmp_path, boosters.regressor())
    (tmp_path / "config.json").write_text('{"learning_rate": 0.1}')
    assert ask(load(tmp_path), rows=ROWS[:2]).shape == (2,)
    assert files.saved_with(artifact(tmp_path)) == {"catboost": catboost.__version__}


def test_two_models_are_one_too_many(tmp_path: Path) -> None:
    for name in ("one.cbm", "two.json"):
        saved(tmp_path, boosters.regressor(), name)
    with pytest.raises(errors.ArtifactAmbiguous):
        load(tmp_path)
    assert files.saved_with(artifact(tmp_path)) == {}


def test_files_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("model.cbm", "model.json", "model.cb"):
        assert files.recognises(artifact(saved(tmp_path / name, boosters.regressor(), name)))
    others = {
        "estimator.pkl": pickle.dumps(boosters.classifier()),
        "pipeline.pkl": pickle.dumps(make_pipeline(StandardScaler(), boosters.classifier())),
        "xgboost.json": b'{"learner":{}}',
        "empty.json": b"",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert files.recognises(artifact(tmp_path / name)) is (name == "estimator.pkl")


# -- versions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.cbm", "model.json"])
def test_the_version_is_read_from_a_model_without_loading_it(tmp_path: Path, name: str) -> None:
    assert files.recorded(saved(tmp_path, boosters.classifier(), name)) == catboost.__version__


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_version_is_read_from_a_pickle_without_loading_it(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "model.pkl").write_bytes(pack(pickle.dumps(boosters.classifier())))
    assert files.recorded(tmp_path / "model.pkl") == catboost.__version__


def test_a_model_of_a_newer_version_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor(), "model.json")
    newer = path.read_text().replace(f"release {catboost.__version__}", "release 9.1.0")
    path.write_text(newer)
    assert load(path).saved_with == {"catboost": "9.1.0"}
    path.write_text(newer.replace('"float_features"', '"float_elements"'))
    text = refusal(path)
    assert f"saved with catboost 9.1.0 and does not load with {catboost.__version__}" in text
    assert "pip install catboost==9.1.0" in text


def test_a_model_file_of_an_older_version_needs_no_other_version_and_a_pickle_does(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor(), "model.json")
    release = f"release {catboost.__version__}"
    text = path.read_text()
    for version, needs in (("1.1.1", {}), ("9.1.0", {"catboost": "9.1.0"})):
        path.write_text(text.replace(release, f"release {version}"))
        assert files.saved_with(artifact(path)) == {"catboost": version}
        assert files.needed(artifact(path)) == needs
    pickled = tmp_path / "model.pkl"
    pickled.write_bytes(pickle.dumps(boosters.regressor()))
    assert files.needed(artifact(pickled)) == {"catboost": catboost.__version__}


# -- what does not load ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.cbm", b"", "model.cbm is empty"),
        ("model.cbm", b"CBM1", "announces 8 bytes or more, and has 4"),
        ("model.cbm", b'{"learner":{}}', "neither as the binary format"),
        ("model.json", b'{"learner":{}}', "neither as the binary format"),
        ("model.json", b'{"features_info": {', "does not load"),
        ("model.json", b'{"features_info": {}}', "it has no model_info, scale_and_bias"),
        ("model.pkl", b"no pickle", "is it a pickle at all?"),
    ],
)
def test_a_file_that_is_no_model_is_an_error_that_says_why(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["model.cbm", "model.json"])
def test_every_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, boosters.regressor(), name)
    content = path.read_bytes()
    for part in range(1, 12):
        path.write_bytes(content[: len(content) * part // 12])
        assert "does not load" in refusal(path)


def test_a_json_without_trees_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor(), "model.json")
    document = json.loads(path.read_text())
    document["oblivious_trees"] = []
    path.write_text(json.dumps(document))
    assert "it has no trees" in refusal(path)


def test_an_object_that_is_no_model_of_catboost_is_an_error_that_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, CLASSES)))
    text = refusal(path)
    assert "sklearn.pipeline.Pipeline" in text
    assert "the runtime sklearn" in text
    path.write_bytes(pickle.dumps(catboost.CatBoostRegressor()))
    assert "CatBoostRegressor in the file is not fitted" in refusal(path)


def test_without_what_a_pickled_estimator_needs_the_error_names_the_extra(tmp_path: Path) -> None:
    path, missing = tmp_path / "model.joblib", "joblib"
    joblib.dump({"model": boosters.classifier(), "rows": np.ones(9)}, path)
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\n"
        "from fairlead import Artifact, LoadSettings, errors\n"
        "from fairlead_runtime_catboost.runtime import CatBoostRuntime\n"
        "path = Path(sys.argv[1])\n"
        "try: CatBoostRuntime().load(Artifact(path=path, uri=path.as_uri()), LoadSettings(model_name='m'))\n"
        "except errors.ModelLoadError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert f"needs the package {missing!r}" in done.stdout
    assert "Try: pip install 'fairlead-runtime-catboost[joblib]'" in done.stdout


def test_the_policy_deny_refuses_a_pickle_and_not_a_model_file(tmp_path: Path) -> None:
    deny = UnpicklingPolicy(UnpicklingMode.DENY)
    joblib.dump(boosters.regressor(), tmp_path / "model.joblib")
    with pytest.raises(errors.UnpicklingRefused):
        load(tmp_path / "model.joblib", policy=deny)
    assert load(saved(tmp_path, boosters.regressor()), policy=deny).samples()

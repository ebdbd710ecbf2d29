"""Files: which are models, and what is said of those that do not load."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead import Artifact, UnpicklingMode, UnpicklingPolicy, errors
from fairlead_runtime_lightgbm import files, modeltext
from fairlead_runtime_lightgbm_tests import boosters
from fairlead_runtime_lightgbm_tests.boosters import CLASSES, ROWS, ask, load, saved, trained


def artifact(path: Path) -> Artifact:
    return Artifact(path=path, uri=path.as_uri())


def refusal(path: Path) -> str:
    with pytest.raises(errors.ModelLoadError) as caught:
        load(path)
    return str(caught.value)


# -- the files of a model -------------------------------------------------------------------------------


def test_a_file_of_another_purpose_may_lie_beside_the_model(tmp_path: Path) -> None:
    saved(tmp_path, boosters.regressor())
    (tmp_path / "requirements.txt").write_text("lightgbm==4.7.0\n")
    assert ask(load(tmp_path), rows=ROWS[:2]).shape == (2,)


def test_two_models_are_one_too_many(tmp_path: Path) -> None:
    for name in ("one.txt", "two.bst"):
        saved(tmp_path, boosters.regressor(), name)
    with pytest.raises(errors.ArtifactAmbiguous):
        load(tmp_path)


def test_files_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("model.txt", "model.bst", "model.lgb"):
        assert files.recognises(artifact(saved(tmp_path / name, boosters.regressor(), name)))
    estimator = lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(ROWS, CLASSES)
    others = {
        "estimator.pkl": pickle.dumps(estimator),
        "pipeline.pkl": pickle.dumps(make_pipeline(StandardScaler(), estimator).fit(ROWS, CLASSES)),
        "xgboost.bst": b'{"learner":{}}',
        "requirements.txt": b"lightgbm\n",
        "empty.txt": b"",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert files.recognises(artifact(tmp_path / name)) is (name == "estimator.pkl")


# -- what does not load ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.txt", b"", "model.txt is empty"),
        ("model.txt", b"tree\n", "it ends within its header"),
        ("model.txt", b"tree\n\nTree=0\n", "there is no max_feature_idx"),
        ("model.txt", b"tree\r\nversion=v4\r\n", "its line ends were rewritten"),
        ("model.txt", b"lightgbm==4.7.0\n", "does not begin as the text"),
        ("model.bst", b'{"learner":{}}', "does not begin as the text"),
        ("model.pkl", b"no pickle", "is it a pickle at all?"),
    ],
)
def test_a_file_that_is_no_model_is_an_error_that_says_why(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path / name)


def test_a_dump_is_an_error_that_says_how_to_save(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(boosters.regressor().dump_model()))
    assert files.recognises(artifact(path))
    assert "Save the model with Booster.save_model" in refusal(path)


def test_an_object_that_is_no_model_of_lightgbm_is_an_error_that_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, CLASSES)))
    text = refusal(path)
    assert "sklearn.pipeline.Pipeline" in text
    assert "the runtime sklearn" in text
    path.write_bytes(pickle.dumps(lightgbm.LGBMRegressor()))
    assert "LGBMRegressor in the file is not fitted" in refusal(path)


@pytest.mark.parametrize("missing", ["joblib", "sklearn"])
def test_without_what_a_pickled_estimator_needs_the_error_names_the_extra(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(lightgbm.LGBMClassifier(n_estimators=1, verbose=-1).fit(ROWS, CLASSES), path)
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\n"
        "from fairlead import Artifact, LoadSettings, errors\n"
        "from fairlead_runtime_lightgbm.runtime import LightGBMRuntime\n"
        "path = Path(sys.argv[1])\n"
        "try: LightGBMRuntime().load(Artifact(path=path, uri=path.as_uri()), LoadSettings(model_name='m'))\n"
        "except errors.ModelLoadError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert f"needs the package {missing!r}" in done.stdout
    assert "Try: pip install 'fairlead-runtime-lightgbm[estimators]'" in done.stdout


def test_the_policy_deny_refuses_a_pickle_and_not_a_model_file(tmp_path: Path) -> None:
    deny = UnpicklingPolicy(UnpicklingMode.DENY)
    joblib.dump(boosters.regressor(), tmp_path / "model.joblib")
    with pytest.raises(errors.UnpicklingRefused):
        load(tmp_path / "model.joblib", policy=deny)
    assert load(saved(tmp_path, boosters.regressor()), policy=deny).samples()


# -- the text of a model --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "multiclass", "num_class": 3},
        {"linear_tree": True},
        {"min_data_in_leaf": 100},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"interaction_constraints": [[0, 1], [2, 3]], "monotone_constraints": [1, 0, 0, 0]},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_models_of_every_kind_pass_the_check(parameters: dict[str, Any]) -> None:
    modeltext.check(trained(parameters).model_to_string().encode())
    modeltext.check(boosters.of_categories().model_to_string().encode())


def test_every_truncated_file_is_refused_before_the_library_sees_it(tmp_path: Path) -> None:
    content = saved(tmp_path, boosters.of_categories()).read_bytes()
    whole = content.index(b"end of parameters")  # what follows may be missing: only LightGBM's Python package writes it
    for length in {*range(0, whole, 61), content.index(b"\nparameters:")}:
        with pytest.raises(ValueError, match=r"\w+"):
            modeltext.check(content[:length])
    path = tmp_path / "model.txt"
    path.write_bytes(content[: len(content) // 3])
    assert "tree 3 is not where tree_sizes says" in refusal(path)


def test_a_file_with_a_zero_byte_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    path.write_bytes(path.read_bytes().replace(b"\nleaf_weight=", b"\nleaf_weigh\0=", 1))
    assert "is zero, which no text has" in refusal(path)


def test_a_tree_that_says_of_categories_what_it_does_not_have_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    path.write_bytes(path.read_bytes().replace(b"\nnum_cat=0\n", b"\nnum_cat=8\n", 1))
    assert "there is no cat_boundaries" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"\nleft_child=", b"\nleft_child=7", "left_child leads to what the tree does not have"),
        (b"\nright_child=", b"\nright_child=x", "right_child holds something else than numbers"),
        (b"\nsplit_feature=", b"\nsplit_feature=1 ", "split_feature has"),
        (b"\nsplit_feature=", b"\nsplit_feature=9", "splits a feature that the model does not have"),
        (b"\nnum_cat=", b"\nnum_cut=", "there is no num_cat"),
        (b"[num_leaves: 5]", b"[num_leaves 5]", "is no parameter"),
        (b"end of parameters", b"", "there is no end of parameters"),
        (b"end of trees", b"", "there is no end of trees"),
        (b"feature_infos=", b"feature_infos=none ", "feature_infos are not 5"),
        (b"\nnum_class=1", b"\nnum_class=0", "not a multiple"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_where(tmp_path: Path, old: bytes, new: bytes, said: str) -> None:
    path = saved(tmp_path, boosters.of_categories())
    content = path.read_bytes()
    assert old in content
    damaged = content.replace(old, new, 1)
    if b"\n" in old and b"num_class" not in old:  # within a tree, whose size the header tells
        size = int(modeltext.fields(content)["tree_sizes"].split()[0])
        grown = size + len(new) - len(old)
        damaged = damaged.replace(b"tree_sizes=%d" % size, b"tree_sizes=%d" % grown)
    path.write_bytes(damaged)
    assert said in refusal(path)


def test_a_damaged_file_never_ends_the_process() -> None:
    content = boosters.of_categories().model_to_string().encode()
    script = "import sys, lightgbm; lightgbm.Booster(model_str=sys.stdin.buffer.read().decode())"
    dice = random.Random(3)
    passed = []
    for _ in range(300):
        damaged = bytearray(content)
        damaged[dice.randrange(len(damaged))] = dice.randrange(128)
        try:
            modeltext.check(bytes(damaged))
        except ValueError:
            continue
        passed.append(bytes(damaged))
    assert 0 < len(passed) < 150
    for each in passed[:2]:
        done = subprocess.run([sys.executable, "-c", script], input=each, capture_output=True, check=False)
        assert done.returncode in (0, 1)  # loaded, or an exception; below zero is a signal

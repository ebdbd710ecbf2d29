"""Files: which are models, which version saved them, and what is said of those that do not load."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead import Artifact, UnpicklingMode, UnpicklingPolicy, errors
from fairlead_runtime_xgboost import files, ubjson
from fairlead_runtime_xgboost.trees import Trees
from fairlead_runtime_xgboost_tests import boosters
from fairlead_runtime_xgboost_tests.boosters import CLASSES, ROWS, ask, load, saved, trained

VERSION = [int(number) for number in xgboost.__version__.split(".")]


def artifact(path: Path) -> Artifact:
    return Artifact(path=path, uri=path.as_uri())


def refusal(path: Path) -> str:
    with pytest.raises(errors.ModelLoadError) as caught:
        load(path)
    return str(caught.value)


# -- the files of a model -------------------------------------------------------------------------------


def test_a_file_of_another_purpose_may_lie_beside_the_model(tmp_path: Path) -> None:
    saved(tmp_path, boosters.regressor(), "model.ubj")
    (tmp_path / "config.json").write_text('{"learning_rate": 0.1}')
    assert ask(load(tmp_path), rows=ROWS[:2]).shape == (2,)
    assert files.saved_with(artifact(tmp_path)) == {"xgboost": xgboost.__version__}


def test_two_models_are_one_too_many(tmp_path: Path) -> None:
    for name in ("one.json", "two.ubj"):
        saved(tmp_path, boosters.regressor(), name)
    with pytest.raises(errors.ArtifactAmbiguous):
        load(tmp_path)
    assert files.saved_with(artifact(tmp_path)) == {}


def test_files_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("model.json", "model.ubj", "model.bst", "model.xgb"):
        assert files.recognises(artifact(saved(tmp_path / name, boosters.regressor(), name)))
    estimator = xgboost.XGBRegressor(n_estimators=1).fit(ROWS, CLASSES)
    others = {
        "estimator.pkl": pickle.dumps(estimator),
        "pipeline.pkl": pickle.dumps(make_pipeline(StandardScaler(), estimator).fit(ROWS, CLASSES)),
        "sklearn.joblib": pickle.dumps(LogisticRegression().fit(ROWS, CLASSES)),
        "paddle.json": b'{"base_code": {"magic": "pir"}}',
        "lightgbm.bst": b"tree\nversion=v4\n",
        "empty.json": b"",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert files.recognises(artifact(tmp_path / name)) is (name == "estimator.pkl")


# -- versions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.json", "model.ubj", "model.bst"])
def test_the_version_is_read_from_a_model_without_loading_it(tmp_path: Path, name: str) -> None:
    assert files.recorded(saved(tmp_path, boosters.classifier(), name)) == xgboost.__version__


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_version_is_read_from_a_pickle_without_loading_it(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "model.pkl").write_bytes(pack(pickle.dumps(boosters.classifier())))
    assert files.recorded(tmp_path / "model.pkl") == xgboost.__version__


def test_the_version_is_found_across_the_pieces_of_a_large_pickle(tmp_path: Path) -> None:
    record = b"L\0\0\0\0\0\0\0\x07version[#L\0\0\0\0\0\0\0\x03i\x03U\xc8I\x01\x00}"
    for offset in (0, 1, 10, 25, len(record)):
        (tmp_path / "model.pkl").write_bytes(b"." * ((1 << 20) - offset) + record)
        assert files.recorded(tmp_path / "model.pkl") == "3.200.256"


def test_a_model_of_a_newer_version_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    document = json.loads(path.read_text())
    document["version"] = [9, 1, 0]
    path.write_text(json.dumps(document, indent=1))
    assert load(path).saved_with == {"xgboost": "9.1.0"}
    del document["learner"]["gradient_booster"]
    path.write_text(json.dumps(document))
    text = refusal(path)
    assert f"saved with xgboost 9.1.0 and does not load with {xgboost.__version__}" in text
    assert "==9.1.0" in text


def test_a_model_file_of_an_older_version_needs_no_other_version_and_a_pickle_does(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    older = path.read_text().replace(json.dumps(VERSION, separators=(",", ":")), "[1,7,6]")
    path.write_text(older)
    assert files.saved_with(artifact(path)) == {"xgboost": "1.7.6"}
    assert files.needed(artifact(path)) == {}
    path.write_text(older.replace("[1,7,6]", "[9,1,0]"))
    assert files.needed(artifact(path)) == {"xgboost": "9.1.0"}
    pickled = tmp_path / "model.pkl"
    pickled.write_bytes(pickle.dumps(boosters.regressor()))
    assert files.needed(artifact(pickled)) == {"xgboost": xgboost.__version__}


# -- what does not load ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.json", b"", "model.json is empty"),
        ("model.bst", b"", "model.bst is empty"),
        ("model.bst", b"binf\0\0\0\0", "wrote before version 2.1"),
        ("model.bst", b"tree\nversion=v4\n", "neither as JSON nor as UBJSON"),
        ("model.json", b'[{"nodeid": 0, "leaf": 1}]', "neither as JSON nor as UBJSON"),
        ("model.json", b'{"learner": {"attributes": {', "ends before its last brace"),
        ("model.json", b'{"learner": {}, "version": [3, 2, 0]}', "does not load"),
        ("model.pkl", b"no pickle", "is it a pickle at all?"),
    ],
)
def test_a_file_that_is_no_model_is_an_error_that_says_why(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path / name)


def test_an_object_that_is_no_model_of_xgboost_is_an_error_that_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, CLASSES)))
    text = refusal(path)
    assert "sklearn.pipeline.Pipeline" in text
    assert "the runtime sklearn" in text
    path.write_bytes(pickle.dumps(xgboost.XGBRegressor()))
    assert "XGBRegressor in the file is not fitted" in refusal(path)


@pytest.mark.parametrize("missing", ["joblib", "sklearn"])
def test_without_what_a_pickled_estimator_needs_the_error_names_the_extra(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(xgboost.XGBRegressor(n_estimators=1).fit(ROWS, CLASSES), path)
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\n"
        "from fairlead import Artifact, LoadSettings, errors\n"
        "from fairlead_runtime_xgboost.runtime import XGBoostRuntime\n"
        "path = Path(sys.argv[1])\n"
        "try: XGBoostRuntime().load(Artifact(path=path, uri=path.as_uri()), LoadSettings(model_name='m'))\n"
        "except errors.ModelLoadError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert f"needs the package {missing!r}" in done.stdout
    assert "Try: pip install 'fairlead-runtime-xgboost[estimators]'" in done.stdout


def test_the_policy_deny_refuses_a_pickle_and_not_a_model_file(tmp_path: Path) -> None:
    deny = UnpicklingPolicy(UnpicklingMode.DENY)
    joblib.dump(boosters.regressor(), tmp_path / "model.joblib")
    with pytest.raises(errors.UnpicklingRefused):
        load(tmp_path / "model.joblib", policy=deny)
    assert load(saved(tmp_path, boosters.regressor()), policy=deny).samples()


def test_without_the_library_the_error_says_what_to_install(tmp_path: Path) -> None:
    path = saved(tmp_path, boosters.regressor())
    script = (
        "import sys; sys.modules['xgboost'] = None\n"
        "from pathlib import Path\n"
        "from fairlead import Artifact, LoadSettings, errors\n"
        "from fairlead_runtime_xgboost.runtime import XGBoostRuntime\n"
        "path = Path(sys.argv[1])\n"
        "try: XGBoostRuntime().load(Artifact(path=path, uri=path.as_uri()), LoadSettings(model_name='m'))\n"
        "except errors.ModelLoadError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "pip install 'fairlead-runtime-xgboost[cpu]'" in done.stdout
    assert "never both" in done.stdout


# -- trees ----------------------------------------------------------------------------------------------


def check_json(content: bytes | bytearray) -> None:
    seen = Trees()
    seen.whole(json.loads(content, object_hook=seen.seen))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tree: tree["left_children"].__setitem__(1, 0), "leads to no node"),
        (lambda tree: tree["right_children"].__setitem__(0, tree["left_children"][0]), "two others lead to"),
        (lambda tree: tree["right_children"].__setitem__(-1, -9), "leaf without its weights"),
        (lambda tree: tree["split_indices"].__setitem__(0, 99), "splits feature 99, and the model has 4"),
        (lambda tree: tree["split_indices"].__setitem__(0, -1), "feature that there is not"),
        (lambda tree: tree["split_type"].__setitem__(0, 1), "other categories than its nodes"),
        (lambda tree: tree["tree_param"].update(size_leaf_vector="4"), "leaf without its weights"),
        (lambda tree: tree["tree_param"].update(num_nodes="2"), "different lengths"),
        (lambda tree: tree.update(id=7), "numbers of the 4 trees are wrong"),
        (lambda tree: tree.pop("sum_hessian"), "lacks something.*sum_hessian"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_a_tree_that_would_lead_the_library_astray_is_refused_before_it_is_read(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], expected: str
) -> None:
    model = json.loads(boosters.regressor().save_raw("json"))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    change(next(tree for tree in trees if len(tree["parents"]) > 3))
    (tmp_path / "model.json").write_text(json.dumps(model))
    assert re.search(expected, refusal(tmp_path / "model.json"))


# -- UBJSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"gamma": 2.0, "max_depth": 6},
        {"booster": "dart"},
        {"booster": "gblinear"},
        {"num_parallel_tree": 2},
        {"multi_strategy": "multi_output_tree"},
        {"tree_method": "exact"},
    ],
    ids=lambda parameters: next(iter(parameters)) + str(next(iter(parameters.values()))),
)
def test_models_of_every_kind_pass_the_check(parameters: dict[str, Any]) -> None:
    labels = np.column_stack((CLASSES, CLASSES)) if "multi_strategy" in parameters else CLASSES
    for booster in (trained(parameters, labels=labels), boosters.of_categories()):
        ubjson.check(booster.save_raw("ubj"))
        check_json(booster.save_raw("json"))


def test_every_truncated_file_is_refused_before_the_library_sees_it(tmp_path: Path) -> None:
    content = boosters.regressor().save_raw("ubj")
    for length in range(0, len(content), 97):
        with pytest.raises(ValueError, match=r"byte|lead|root"):
            ubjson.check(content[:length])
    (tmp_path / "model.ubj").write_bytes(content[: len(content) // 2])
    assert "more bytes than the file" in refusal(tmp_path / "model.ubj")


def test_a_damaged_file_never_ends_the_process() -> None:
    content = bytes(boosters.classifier().save_raw("ubj"))
    script = "import sys, xgboost; xgboost.Booster().load_model(bytearray(sys.stdin.buffer.read()))"
    dice = random.Random(3)
    passed = []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(dice.choice([1, 4])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            ubjson.check(damaged)
        except ValueError:
            continue
        passed.append(bytes(damaged))
    assert 0 < len(passed) < 200
    for each in passed[:2]:
        done = subprocess.run([sys.executable, "-c", script], input=each, capture_output=True, check=False)
        assert done.returncode in (0, 1)  # loaded, or an exception; below zero is a signal


def test_deep_and_strange_structures_are_refused() -> None:
    for content in (b"[" * 1000, b"{i\x01a[$x#i\x01.}", b"{i\x01aq}", b"{i\xffa", b"{x", b""):
        with pytest.raises(ValueError, match=r"byte|file"):
            ubjson.check(content)

"""Explanations over the wire: beside models of every runtime of trees, and as a component that asks a predictor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC, SVR

from fairlead import errors
from fairlead.testing import RunningServer, running_server
from fairlead_explainer_shap_tests.models import data, saved

X, Y = data()
ROWS = X[:3]
FOREST = RandomForestClassifier(3, random_state=0).fit(X, np.arange(len(X)) % 3)


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = saved(FOREST, tmp_path_factory.mktemp("forest"))
    with running_server({"forest": folder}, explainer="shap") as running:
        yield running


def v1(client: httpx.Client, name: str, rows: Any = ROWS, **members: Any) -> Any:
    answer = client.post(f"/v1/models/{name}:explain", json={"instances": np.asarray(rows).tolist(), **members})
    assert answer.status_code == 200, answer.text
    return answer.json()["explanations"]


def v2(client: httpx.Client, name: str, *, binary: bool = False, outputs: int = 2) -> dict[str, Any]:
    tensor = triton.InferInput("input-0", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    wanted = [triton.InferRequestedOutput(each, binary_data=binary) for each in ("shap_values", "base_values")]
    body, length = triton.InferenceServerClient.generate_request_body([tensor], outputs=wanted[:outputs])
    headers = {} if length is None else {"inference-header-content-length": str(length)}
    answer = client.post(f"/v2/models/{name}/explain", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    head = answer.headers.get("inference-header-content-length")
    size = None if head is None else int(head)
    result = triton.InferResult.from_response_body(answer.content, header_length=size)
    return {name: result.as_numpy(name) for name in ("shap_values", "base_values")[:outputs]}


def test_a_forest_is_explained_over_v1_and_v2_in_json_and_binary(shap: Any, forest: RunningServer) -> None:
    expected = shap.TreeExplainer(FOREST)(ROWS)
    rows = v1(forest.client, "forest")
    np.testing.assert_allclose([row["shap_values"] for row in rows], expected.values)
    np.testing.assert_allclose([row["base_values"] for row in rows], expected.base_values)
    for binary in (False, True):
        answer = v2(forest.client, "forest", binary=binary)
        np.testing.assert_allclose(answer["shap_values"], expected.values)
        np.testing.assert_allclose(answer["base_values"], expected.base_values)


def test_the_server_lives_through_rows_that_cannot_be_explained(forest: RunningServer) -> None:
    for instances, text in (([[1, 2]], "rows of 4 features"), ([["a", "b", "c", "d"]], "holds text")):
        answer = forest.client.post("/v1/models/forest:explain", json={"instances": instances})
        assert (answer.status_code, text in answer.json()["error"]) == (400, True)
    assert len(v1(forest.client, "forest")) == 3


def saved_xgboost(folder: Path) -> Any:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    model.save_model(folder / "model.ubj")
    return model


def saved_lightgbm(folder: Path) -> Any:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, Y)
    model.booster_.save_model(folder / "model.bst")
    return lightgbm.Booster(model_file=folder / "model.bst")


def saved_catboost(folder: Path) -> Any:
    import catboost

    model = catboost.CatBoostRegressor(iterations=3, verbose=0, allow_writing_files=False, thread_count=1).fit(X, Y)
    model.save_model(str(folder / "model.cbm"))
    return model


@pytest.mark.parametrize(
    ("runtime", "save"), [("xgboost", saved_xgboost), ("lightgbm", saved_lightgbm), ("catboost", saved_catboost)]
)
def test_boosters_are_explained_beside_their_runtimes(shap: Any, tmp_path: Path, runtime: str, save: Any) -> None:
    pytest.importorskip(f"fairlead_runtime_{runtime}")
    native = save(tmp_path)
    expected = shap.TreeExplainer(native)(ROWS)
    with running_server({"model": tmp_path}, explainer="shap") as running:
        rows = v1(running.client, "model")
        np.testing.assert_allclose([row["shap_values"] for row in rows], expected.values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose([row["base_values"] for row in rows], expected.base_values, rtol=1e-5)


def test_a_model_that_it_cannot_explain_does_not_load(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.ModelLoadError, match=r"A SVR is no trees and no linear model.*--explainer-dir"),
        running_server({"model": saved(SVR().fit(X, Y), tmp_path)}, explainer="shap"),
    ):
        pass


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc-v2"])
def test_a_component_explains_a_model_by_asking_its_server(shap: Any, tmp_path: Path, protocol: str) -> None:
    native = SVC().fit(X, Y)
    np.savetxt(tmp_path / "reference.csv", X[:10], delimiter=",", header="a,b,c,d", comments="")
    kernel = shap.KernelExplainer(native.decision_function, X[:10])
    expected = kernel.shap_values(ROWS, silent=True)
    model = saved(native, tmp_path / "model")
    with running_server({"m": model}, options={"method": "decision_function"}, grpc=True) as inner:
        host = str(inner.grpc_address) if protocol == "grpc-v2" else inner.url.removeprefix("http://")
        with running_server(
            {"m": None},
            explainer="shap",
            explainer_dir=tmp_path / "reference.csv",
            predictor_host=host,
            predictor_protocol=protocol,
        ) as outer:
            rows = v1(outer.client, "m")
            np.testing.assert_allclose([row["shap_values"] for row in rows], expected, atol=1e-6)
            assert rows[0]["feature_names"] == ["a", "b", "c", "d"]
            np.testing.assert_allclose(v2(outer.client, "m", binary=True)["shap_values"], expected, atol=1e-6)


def test_an_explanation_that_asks_too_often_names_the_setting(tmp_path: Path) -> None:
    np.save(tmp_path / "reference.npy", X[:10])
    model = saved(SVC().fit(X, Y), tmp_path / "model")
    reference = tmp_path / "reference.npy"
    with running_server({"m": model}, explainer="shap", explainer_dir=reference, explain_max_calls=4) as running:
        answer = running.client.post("/v1/models/m:explain", json={"instances": ROWS.tolist()})
        assert answer.status_code == 422
        assert "--explain-max-calls" in answer.json()["error"]
        assert len(v1(running.client, "m", ROWS[:1])) == 1

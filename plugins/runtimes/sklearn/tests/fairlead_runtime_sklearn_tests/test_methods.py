"""Which method answers: by default, by setting, and by request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_info

from fairlead import Capability, InferRequest, Tensor, errors
from fairlead_runtime_sklearn._plugin import SPEC
from fairlead_runtime_sklearn.runtime import hold
from fairlead_runtime_sklearn_tests import estimators
from fairlead_runtime_sklearn_tests.estimators import exposed, load, predict, saved

ROW = estimators.IRIS[:1]


@pytest.fixture
def logistic(tmp_path: Path) -> Path:
    return saved(tmp_path, LogisticRegression(max_iter=500).fit(estimators.IRIS, estimators.SPECIES))


def test_the_request_may_name_the_method(logistic: Path) -> None:
    model = load(logistic)
    assert predict(model, ROW) == [0]
    for parameters in ({"method": "predict_proba"}, {"predict_proba": True}):
        (probabilities,) = predict(model, ROW, **parameters)
        assert sum(probabilities) == pytest.approx(1.0)
    assert len(predict(model, ROW, method="decision_function")[0]) == 3


def test_the_setting_names_the_method_of_a_request_that_names_none(logistic: Path) -> None:
    model = load(logistic, method="predict_proba")
    assert len(predict(model, ROW)[0]) == 3
    assert predict(model, ROW, predict_proba=False) == [0]
    assert predict(model, ROW, method="predict") == [0]
    assert model.metadata.outputs[0].shape == (-1, 3)


def test_the_environment_variable_of_kserve_means_probabilities() -> None:
    (method, _) = SPEC.settings
    assert method.env == ("PREDICT_PROBA=predict_proba",)
    assert method.parse("predict_proba") == "predict_proba"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "transform"}, "no method 'transform'; it has predict, predict_proba, decision_function"),
        ({"method": "fit"}, "no method 'fit'"),
        ({"method": 1}, "no method 1"),
        ({"predict_proba": "yes"}, "predict_proba is true or false"),
        ({"predict_proba": True, "method": "predict"}, "contradict"),
    ],
)
def test_a_wrong_method_is_the_clients_fault(logistic: Path, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=message):
        predict(load(logistic), ROW, **parameters)


def test_only_methods_that_work_are_exposed(tmp_path: Path, logistic: Path) -> None:
    assert exposed(load(logistic)) == [
        {"method": "predict"},
        {"method": "predict_proba"},
        {"method": "decision_function"},
    ]
    svc = load(saved(tmp_path, estimators.classifier()))
    assert exposed(svc) == [{"method": "predict"}, {"method": "decision_function"}]
    assert not svc.metadata.supports(Capability.PREDICT_PROBA)
    hard = VotingClassifier([("svc", SVC())]).fit(estimators.IRIS, estimators.SPECIES)
    assert {"method": "predict_proba"} not in exposed(load(saved(tmp_path, hard)))


def test_the_default_method_is_sampled_first(logistic: Path) -> None:
    assert exposed(load(logistic, method="predict_proba"))[0] == {"method": "predict_proba"}


def test_a_transformer_is_served_by_transform(tmp_path: Path) -> None:
    path = saved(tmp_path, StandardScaler().fit(estimators.IRIS))
    assert np.shape(predict(load(path, method="transform"), ROW)) == (1, 4)
    with pytest.raises(errors.ModelLoadError, match="no method predict; it has transform") as caught:
        load(path)
    assert "--set method=transform" in str(caught.value)


def test_a_setting_that_the_estimator_cannot_keep_is_refused_at_load(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match="SVC, which has no method predict_proba"):
        load(saved(tmp_path, estimators.classifier()), method="predict_proba")


class Spy(StandardScaler):  # type: ignore[misc]  # scikit-learn ships no type information
    """Answers with the number of threads that each pool has."""

    def predict(self, argument: Any) -> Any:
        return np.array([[pool["num_threads"] for pool in threadpool_info()]] * len(argument))


def test_nthread_holds_the_thread_pools_around_each_call(tmp_path: Path) -> None:
    path = saved(tmp_path, Spy().fit(estimators.IRIS))
    assert set(predict(load(path, nthread=1), ROW)[0]) == {1}
    before = [pool["num_threads"] for pool in threadpool_info()]
    assert predict(load(path, nthread=0), ROW)[0] == before


def test_nthread_is_the_estimators_own_number_of_jobs() -> None:
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(2, n_jobs=-1))
    hold(pipeline, 0)
    assert pipeline[-1].n_jobs == -1
    hold(pipeline, 2)
    assert pipeline[-1].n_jobs == 2


def test_a_negative_number_of_threads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="nthread: -1 is negative"):
        load(saved(tmp_path, estimators.classifier()), nthread=-1)


def test_the_answer_carries_the_id_and_the_name_of_the_request(tmp_path: Path) -> None:
    model = load(saved(tmp_path, estimators.classifier()))
    request = InferRequest(model_name="iris", id="7", inputs=[Tensor.from_numpy("anything", ROW)])
    response = model.predict(request)
    assert (response.model_name, response.id) == ("iris", "7")

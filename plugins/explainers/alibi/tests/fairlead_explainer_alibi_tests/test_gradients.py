from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import InferRequest, InferResponse, Tensor, errors
from fairlead_explainer_alibi_tests import asking
from fairlead_explainer_alibi_tests.asking import Model, loaded, matrix, texts

pytest.importorskip("alibi", reason=asking.WITHOUT_ALIBI)
pytest.importorskip("tensorflow", reason=asking.WITHOUT_TENSORFLOW)

ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Any:
    """A classifier of three classes."""
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((4,), name="x"), *layers])


@pytest.fixture(scope="module")
def file(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(network, tmp_path_factory.mktemp("network"))


@pytest.fixture
def served(network: Any) -> Model:
    return Model(lambda rows: network(rows).numpy())


def saved(model: Any, folder: Path) -> Path:
    model.save(folder / "model.keras")
    return folder / "model.keras"


def explained(explainer: Any, request: InferRequest, model: Any) -> list[Any]:
    found: list[Any] = explainer.explain(request, model).payload
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def attributions(found: list[Any], place: int = 0) -> Any:
    return np.concatenate([each["data"]["attributions"][place] for each in found])


def test_explanations_equal_those_of_alibi_itself(network: Any, file: Path, served: Model) -> None:
    from alibi.explainers import IntegratedGradients

    found = explained(loaded(file), matrix(ROWS), served)
    probabilities = network(ROWS).numpy()
    target = probabilities.argmax(axis=1)
    expected = IntegratedGradients(network, n_steps=50, internal_batch_size=100).explain(ROWS, target=target)
    assert len(found) == len(ROWS)
    assert [each["meta"] for each in found] == [json.loads(expected.to_json())["meta"]] * len(ROWS)
    np.testing.assert_allclose(attributions(found), expected.attributions[0], atol=1e-6)
    data = [each["data"] for each in found]
    assert np.concatenate([each["target"] for each in data]).tolist() == target.tolist()
    np.testing.assert_array_equal(np.concatenate([each["X"] for each in data]), ROWS)
    np.testing.assert_allclose(np.concatenate([each["predictions"] for each in data]), probabilities, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([each["deltas"] for each in data]), expected.deltas, atol=1e-6)
    assert not np.concatenate([each["baselines"] for each in data]).any()


def test_attributions_add_up_to_the_difference_of_the_outputs(network: Any, file: Path, served: Model) -> None:
    found = explained(loaded(file, baseline=0.5, n_steps=80), matrix(ROWS), served)
    outputs, baseline = network(ROWS).numpy(), network(np.full_like(ROWS, 0.5)).numpy()
    places = np.arange(len(ROWS)), outputs.argmax(axis=1)
    np.testing.assert_allclose(attributions(found).sum(axis=1), outputs[places] - baseline[places], atol=1e-5)


def test_the_model_is_asked_once_for_all_rows_and_its_answer_is_explained(file: Path, served: Model) -> None:
    other = Model(lambda rows: np.tile([0.1, 0.7, 0.2], (len(rows), 1)))
    found = explained(loaded(file), matrix(ROWS), other)
    assert [each["data"]["target"] for each in found] == [[1]] * len(ROWS)
    assert len(other.asked) == 1
    assert other.rows == len(ROWS)


def test_another_model_than_that_of_the_file_is_told_of_once(
    file: Path, served: Model, caplog: pytest.LogCaptureFixture
) -> None:
    explainer = loaded(file)
    with caplog.at_level(logging.WARNING, "fairlead.models"):
        explained(explainer, matrix(ROWS), served)
        assert not caplog.messages
        for _ in range(2):
            explained(explainer, matrix(ROWS), Model(lambda rows: 1 - served_by(served, rows)))
    (told,) = caplog.messages
    assert "predict different classes" in told


def served_by(model: Model, rows: Any) -> Any:
    return model(matrix(rows)).outputs[0].data


@pytest.mark.parametrize("target", [2, "2"])
def test_a_request_may_name_what_is_explained(network: Any, file: Path, served: Model, target: int | str) -> None:
    request = InferRequest(model_name="m", inputs=matrix(ROWS).inputs, parameters={"target": target})
    found = explained(loaded(file), request, served)
    outputs, baseline = network(ROWS).numpy(), network(np.zeros_like(ROWS)).numpy()
    np.testing.assert_allclose(attributions(found).sum(axis=1), (outputs - baseline)[:, 2], atol=1e-5)
    assert not served.asked


@pytest.mark.parametrize("target", [3, -1, True, 0.5, "1,2", "setosa"])
def test_a_target_that_the_model_has_not_is_refused(file: Path, served: Model, target: Any) -> None:
    request = InferRequest(model_name="m", inputs=matrix(ROWS).inputs, parameters={"target": target})
    with pytest.raises(errors.InvalidInput, match="outputs 0 to 2"):
        loaded(file).explain(request, served)


def test_numbers_of_json_and_few_at_a_time_have_the_same_explanation(file: Path, served: Model) -> None:
    at_once = explained(loaded(file), matrix(ROWS), served)
    doubles = matrix(ROWS.astype(np.float64), name="x")
    parts = explained(loaded(file, internal_batch_size=2), doubles, served)
    np.testing.assert_allclose(attributions(parts), attributions(at_once), atol=1e-6)
    riemann = explained(loaded(file, integration="riemann_middle", n_steps=200), matrix(ROWS), served)
    np.testing.assert_allclose(attributions(riemann), attributions(at_once), atol=1e-4)


def test_a_model_of_one_number_is_explained_without_being_asked(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    asked = Model(lambda rows: rows)
    explainer = loaded(saved(model, tmp_path))
    (found,) = explained(explainer, matrix(np.array([[3.0, -1.0]], np.float32)), asked)
    np.testing.assert_allclose(found["data"]["attributions"], [[[3.0, -1.0]]], atol=1e-5)
    np.testing.assert_allclose(found["data"]["deltas"], [0.0], atol=1e-5)
    assert not asked.asked
    named = InferRequest(model_name="m", inputs=matrix([[3.0, -1.0]]).inputs, parameters={"target": 0})
    (same,) = explained(explainer, named, asked)
    assert same == found


def test_pictures_and_several_inputs_have_attributions_of_their_own_shapes(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    picture, row = keras.Input((4, 4, 1), name="picture"), keras.Input((3,), name="row")
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(picture), row])
    model = keras.Model([picture, row], keras.layers.Dense(2, activation="softmax")(joined))
    generator = np.random.default_rng(0)
    given = [generator.normal(size=shape).astype(np.float32) for shape in ((2, 4, 4, 1), (2, 3))]
    tensors = [Tensor.from_numpy(name, data) for name, data in zip(("picture", "row"), given, strict=True)]
    served = Model(lambda picture, row: model([picture, row]).numpy(), named=True)
    request = InferRequest(model_name="m", inputs=tensors[::-1])
    found = explained(loaded(saved(model, tmp_path)), request, served)
    parts = [attributions(found, place) for place in (0, 1)]
    assert [part.shape for part in parts] == [(2, 4, 4, 1), (2, 3)]
    difference = model(given).numpy() - model([np.zeros_like(each) for each in given]).numpy()
    expected = difference[np.arange(2), model(given).numpy().argmax(axis=1)]
    np.testing.assert_allclose(sum(part.reshape(2, -1).sum(axis=1) for part in parts), expected, atol=1e-5)


def test_attributions_that_are_no_finite_numbers_are_null(tmp_path: Path) -> None:
    import keras

    from fairlead.protocol import v1

    steep = keras.initializers.Constant(3e38)
    layers = [keras.layers.Dense(1, use_bias=False, kernel_initializer=steep) for _ in range(2)]
    explainer = loaded(saved(keras.Sequential([keras.Input((1,)), *layers]), tmp_path))
    answer = explainer.explain(matrix(np.array([[1.0]], np.float32)), Model(lambda rows: rows))
    (found,) = json.loads(b"".join(v1.encode_explanation(answer).chunks))["explanations"]
    assert found["data"]["attributions"] == [[[None]]]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (matrix(ROWS[:, :3]), r"shape \[5, 3\]"),
        (matrix(ROWS[:0]), "no rows"),
        (matrix(np.where(ROWS > 0, np.nan, ROWS)), "missing or infinite"),
        (texts("good"), "BYTES|shape"),
    ],
    ids=["features", "no rows", "NaN", "text"],
)
def test_other_inputs_are_refused(file: Path, served: Model, request_: InferRequest, reason: str) -> None:
    with pytest.raises(errors.InvalidInput, match=reason):
        loaded(file).explain(request_, served)
    assert not served.asked


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (np.zeros((5, 2)), r"shape \[5, 2\].*\[5, 3\]"),
        (np.zeros(5, np.int64), r"shape \[5\]"),
        (np.full((5, 3), np.nan), "NaN"),
        (np.array(["setosa"] * 5, dtype=object), "text"),
    ],
    ids=["classes", "labels", "NaN", "text"],
)
def test_the_answer_of_another_model_is_refused(file: Path, answer: Any, reason: str) -> None:
    with pytest.raises(errors.InferenceFailed, match=reason):
        loaded(file).explain(matrix(ROWS), Model(lambda _: answer))


def test_the_output_that_holds_probabilities_can_be_named(file: Path, served: Model) -> None:
    def answer(request: InferRequest) -> InferResponse:
        label = Tensor.from_numpy("label", np.zeros(len(ROWS), np.int64))
        return InferResponse(model_name="m", outputs=[label, *served(request).outputs])

    found = explained(loaded(file, output="output-0"), matrix(ROWS), answer)
    assert found == explained(loaded(file), matrix(ROWS), served)
    with pytest.raises(errors.InferenceFailed, match="answered with shape"):
        loaded(file).explain(matrix(ROWS), answer)


def models() -> dict[str, tuple[Any, str]]:
    """Models of Keras that cannot be explained, and what is said of them."""
    import keras

    code = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda rows: rows * 2)])
    words = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(3, 2), keras.layers.Flatten()])
    fixed = keras.Sequential([keras.Input(batch_shape=(2, 2)), keras.layers.Dense(2)])
    pictures = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 2)])
    one = keras.Input((2,), name="a")
    named = keras.Model({"a": one}, keras.layers.Dense(2)(one))
    several = keras.Model(one, [keras.layers.Dense(2)(one), keras.layers.Dense(2)(one)])
    return {
        "code": (code, "safe mode"),
        "whole numbers": (words, "takes int32"),
        "a fixed batch": (fixed, "takes 2 rows at a time"),
        "pictures": (pictures, "one output with some numbers"),
        "a dictionary": (named, "dictionary of inputs"),
        "several outputs": (several, "one output with some numbers"),
    }


@pytest.mark.parametrize(
    "kind", ["code", "whole numbers", "a fixed batch", "pictures", "a dictionary", "several outputs"]
)
def test_a_model_that_cannot_be_explained_is_refused_while_it_loads(tmp_path: Path, kind: str) -> None:
    model, reason = models()[kind]
    with pytest.raises(errors.ModelLoadError, match=reason):
        loaded(saved(model, tmp_path))


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_damaged_model_is_an_error_that_says_so(file: Path, tmp_path: Path, part: float) -> None:
    content = file.read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(errors.ModelLoadError, match="damaged, or no Keras archive"):
        loaded(tmp_path)


def test_the_method_and_the_files_have_to_agree(file: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.ArtifactMissing):
        loaded(file.parent, method="anchor_tabular")
    for name in ("a.keras", "b.keras"):
        (tmp_path / name).write_bytes(file.read_bytes())
    with pytest.raises(errors.ArtifactAmbiguous, match=r"a\.keras, b\.keras"):
        loaded(tmp_path)

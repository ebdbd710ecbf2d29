"""Attributions are those of the library itself."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch

from fairlead import Artifact, Datatype, InferRequest, Tensor, errors
from fairlead.contracts import deadline
from fairlead_explainer_captum_tests.models import (
    ROWS,
    Grid,
    Loaded,
    Net,
    Pair,
    Picture,
    asked,
    explainer,
    named,
    seeded,
    spec,
    unasked,
)

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 9, 9)).astype(np.float32)
CLASSES = {
    "saliency": captum.attr.Saliency,
    "input_x_gradient": captum.attr.InputXGradient,
    "deep_lift": captum.attr.DeepLift,
}

# DeepLift warns that it sets hooks and takes them away, which is what is asked of it.
pytestmark = pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")


def best(module: Any, rows: Any) -> Any:
    with torch.no_grad():
        return module(torch.from_numpy(rows)).argmax(dim=1)


def test_integrated_gradients_explain_the_predicted_class() -> None:
    module = seeded(Net)
    answer = explainer(Loaded(module, spec(4))).explain(asked(), unasked)
    expected, delta = captum.attr.IntegratedGradients(module).attribute(
        torch.from_numpy(ROWS), target=best(module, ROWS), return_convergence_delta=True
    )
    np.testing.assert_allclose(answer.output("attributions").data, expected.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answer.output("convergence_delta").data, delta.numpy(), atol=1e-5)
    assert answer.output("target").data.tolist() == best(module, ROWS).tolist()
    assert answer.output("attributions").shape == ROWS.shape


@pytest.mark.parametrize("method", CLASSES)
def test_each_method_answers_as_the_library(method: str) -> None:
    module = seeded(Net)
    answer = explainer(Loaded(module, spec(4)), method=method).explain(asked(target=1), unasked)
    rows = torch.from_numpy(ROWS.copy()).requires_grad_()
    expected = CLASSES[method](module).attribute(rows, target=1)
    np.testing.assert_allclose(answer.output("attributions").data, expected.detach().numpy(), rtol=1e-5)
    assert answer.output("target").data.tolist() == [1, 1, 1]


def test_grad_cam_is_a_map_of_the_size_of_the_picture() -> None:
    module = seeded(Picture)
    made = explainer(Loaded(module, spec(3, 9, 9)), method="layer_grad_cam", layer="conv")
    answer = made.explain(asked(IMAGES), unasked)
    found = captum.attr.LayerGradCam(module, module.conv).attribute(
        torch.from_numpy(IMAGES), target=best(module, IMAGES)
    )
    expected = captum.attr.LayerAttribution.interpolate(found, (9, 9))
    np.testing.assert_allclose(answer.output("attributions").data, expected.detach().numpy(), rtol=1e-5)
    assert answer.output("attributions").shape == (2, 1, 9, 9)


def test_steps_and_baseline_are_those_of_the_settings(tmp_path: Path) -> None:
    module = seeded(Net)
    expected = captum.attr.IntegratedGradients(module).attribute(
        torch.from_numpy(ROWS), torch.ones(3, 4), target=0, n_steps=7
    )
    by_number = explainer(Loaded(module, spec(4)), baseline=1.0, n_steps=7)
    np.save(tmp_path / "baseline.npy", np.ones(4))
    artifact = Artifact(path=tmp_path, uri=tmp_path.as_uri())
    by_file = explainer(Loaded(module, spec(4)), artifact, n_steps=7)
    for made in (by_number, by_file):
        answer = made.explain(asked(target=0), unasked)
        np.testing.assert_allclose(answer.output("attributions").data, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_rows_are_explained_a_few_at_a_time_with_the_same_result() -> None:
    module = seeded(Net)
    sizes: list[int] = []
    module.hidden.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    small = explainer(Loaded(module, spec(4)), internal_batch_size=2).explain(asked(), unasked)
    assert max(sizes) <= 2
    whole = explainer(Loaded(module, spec(4))).explain(asked(), unasked)
    for name in ("attributions", "convergence_delta", "target"):
        np.testing.assert_allclose(small.output(name).data, whole.output(name).data, rtol=1e-3, atol=1e-5)


def test_each_of_several_inputs_has_attributions_of_its_own() -> None:
    model = Loaded(seeded(Pair), spec(2, name="a"), spec(3, name="b"))
    answer = explainer(model).explain(named(b=[[1, 1, 1]], a=[[3, 4]]), unasked)
    np.testing.assert_allclose(answer.output("attributions-a").data, [[3, 4]], rtol=1e-5)
    np.testing.assert_allclose(answer.output("attributions-b").data, [[2, 2, 2]], rtol=1e-5)
    assert {each.name for each in answer.outputs} == {"attributions-a", "attributions-b", "convergence_delta"}


def test_an_output_of_several_dimensions_is_named_by_its_index() -> None:
    made = explainer(Loaded(seeded(Grid), spec(4)), method="saliency")
    answer = made.explain(asked(target="1,2"), unasked)
    assert answer.output("attributions").data.tolist() == [[0, 3, 0, 0]] * 3
    with pytest.raises(errors.InvalidInput, match=r"has the shape \[4, 3\], and one number is explained.*\"3,0,1\""):
        made.explain(asked(), unasked)


# -- modules of other forms -----------------------------------------------------------------------------


def scripted() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch deprecates TorchScript, and still loads it
        return torch.jit.trace(seeded(Net), torch.from_numpy(ROWS))


def exported() -> Any:
    rows = torch.export.Dim("rows")
    program = torch.export.export(seeded(Net), (torch.from_numpy(ROWS),), dynamic_shapes={"x": {0: rows}})
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file).module()


@pytest.mark.parametrize("make", [scripted, exported])
def test_a_program_without_parts_is_explained_by_its_gradient(make: Any) -> None:
    answer = explainer(Loaded(make(), spec(4))).explain(asked(target=0), unasked)
    expected = captum.attr.IntegratedGradients(seeded(Net)).attribute(torch.from_numpy(ROWS), target=0)
    np.testing.assert_allclose(answer.output("attributions").data, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [scripted, exported])
@pytest.mark.parametrize("options", [{"method": "deep_lift"}, {"method": "layer_grad_cam", "layer": "out"}])
def test_a_program_without_parts_is_not_explained_by_its_parts(make: Any, options: dict[str, Any]) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"does not show them\. Use integrated_gradients"):
        explainer(Loaded(make(), spec(4)), **options)


# -- what is refused ------------------------------------------------------------------------------------


def test_a_model_of_no_module_is_refused() -> None:
    for model, found in ((Loaded("a text", spec(4)), "is a builtins.str"), (None, "shows nothing of its inside")):
        with pytest.raises(errors.ModelLoadError, match=f"Captum explains models of PyTorch, and this one {found}"):
            explainer(model)


def test_whole_numbers_have_no_gradient() -> None:
    with pytest.raises(errors.ModelLoadError, match="takes INT64 in 'x', and only floating-point numbers have"):
        explainer(Loaded(seeded(Net), spec(4, datatype=Datatype.INT64)))


@pytest.mark.parametrize("target", [3, -1, "0,1", "one", True, 0.5])
def test_a_target_that_the_output_has_not_is_the_clients_fault(target: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="The parameter target is"):
        explainer(Loaded(seeded(Net), spec(4))).explain(asked(target=target), unasked)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"n_steps": 0}, "n_steps: 0 is less than 1"),
        ({"internal_batch_size": 0}, "internal_batch_size: 0 is less than 1"),
        ({"layer": "out"}, "integrated_gradients looks at no layer"),
    ],
)
def test_a_setting_that_is_wrong_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=problem):
        explainer(Loaded(seeded(Net), spec(4)), **options)


@pytest.mark.parametrize("layer", ["", "none"])
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(layer: str) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"no layer '.*' \(it has conv, active, out\)"):
        explainer(Loaded(seeded(Picture), spec(3, 9, 9)), method="layer_grad_cam", layer=layer)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ([Tensor.from_numpy("x", ROWS[:, :3])], r"has the shape \[3, 3\]"),
        ([Tensor.from_numpy("x", ROWS[:0])], "must have rows"),
        ([Tensor.from_numpy("x", np.array([["a", "b", "c", "d"]]))], "is BYTES"),
    ],
)
def test_inputs_that_do_not_fit_are_the_clients_fault(inputs: list[Tensor], problem: str) -> None:
    with pytest.raises(errors.InvalidInput, match=problem):
        explainer(Loaded(seeded(Net), spec(4))).explain(InferRequest(model_name="model", inputs=inputs), unasked)


def test_a_baseline_of_another_shape_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "baseline.npy", np.ones(3))
    made = explainer(Loaded(seeded(Net), spec(4)), Artifact(path=tmp_path, uri=tmp_path.as_uri()))
    with pytest.raises(errors.InvalidInput, match=r"baseline has the shape \[3\], and a row of the inputs \[4\]"):
        made.explain(asked(), unasked)


def test_a_baseline_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "baseline.npy", np.ones(4))
    with pytest.raises(errors.ConfigurationError, match="given twice"):
        explainer(Loaded(seeded(Net), spec(4)), Artifact(path=tmp_path, uri=tmp_path.as_uri()), baseline=1.0)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran", b"\x93NUMPY\x01\x00"]
)
def test_a_damaged_baseline_is_an_error_that_names_its_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "baseline.npy").write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=r"baseline\.npy cannot be read"):
        explainer(Loaded(seeded(Net), spec(4)), Artifact(path=tmp_path, uri=tmp_path.as_uri()))


def test_a_baseline_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "baseline.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(errors.ModelLoadError, match="Object arrays cannot be loaded"):
        explainer(Loaded(seeded(Net), spec(4)), Artifact(path=tmp_path, uri=tmp_path.as_uri()))


def test_an_explanation_ends_with_the_call_after_its_deadline() -> None:
    module = seeded(Net)
    calls: list[int] = []
    module.hidden.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    made = explainer(Loaded(module, spec(4)), internal_batch_size=3, n_steps=1000)
    with deadline.watched(60, lambda: len(calls) >= 5), pytest.raises(errors.DeadlineExceeded):
        made.explain(asked(), unasked)
    assert len(calls) == 5

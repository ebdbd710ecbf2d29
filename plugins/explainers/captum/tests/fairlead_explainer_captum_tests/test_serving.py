"""Explanations over the wire, beside models of the runtime of PyTorch."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import captum.attr
import joblib
import numpy as np
import pytest
import torch
import tritonclient.http as triton
from sklearn.svm import SVC

from fairlead import errors
from fairlead.testing import running_server
from fairlead_explainer_captum_tests.models import ROWS, Net, seeded

pytest.importorskip("fairlead_runtime_torch")

SOURCE = """
    import torch
    from fairlead import Datatype, TensorSpec


    class Net(torch.nn.Module):
        inputs = [TensorSpec("x", Datatype.FP32, (-1, 4))]

        def __init__(self):
            super().__init__()
            self.hidden = torch.nn.Linear(4, 8)
            self.active = torch.nn.ReLU()
            self.out = torch.nn.Linear(8, 3)

        def forward(self, x):
            return self.out(self.active(self.hidden(x)))
"""


def weights(folder: Path) -> Path:
    """The weights of a network, and the file of its class."""
    torch.save(seeded(Net).state_dict(), folder / "model.pt")
    (folder / "model.py").write_text(textwrap.dedent(SOURCE))
    return folder


def exported(folder: Path) -> Path:
    rows = torch.export.Dim("rows")
    program = torch.export.export(seeded(Net), (torch.from_numpy(ROWS),), dynamic_shapes={"x": {0: rows}})
    torch.export.save(program, folder / "model.pt2")
    return folder


def expected() -> Any:
    module = seeded(Net)
    with torch.no_grad():
        target = module(torch.from_numpy(ROWS)).argmax(dim=1)
    found = captum.attr.IntegratedGradients(module).attribute(torch.from_numpy(ROWS), target=target)
    return found.numpy(), target.numpy()


@pytest.mark.parametrize("save", [weights, exported])
def test_a_network_is_explained_over_v1_and_v2_in_json_and_binary(tmp_path: Path, save: Any) -> None:
    attributions, target = expected()
    with running_server({"net": save(tmp_path)}, explainer="captum") as running:
        answer = running.client.post("/v1/models/net:explain", json={"instances": ROWS.tolist()})
        assert answer.status_code == 200, answer.text
        rows = answer.json()["explanations"]
        np.testing.assert_allclose([row["attributions"] for row in rows], attributions, rtol=1e-3, atol=1e-5)
        assert [row["target"] for row in rows] == target.tolist()
        for binary in (False, True):
            tensor = triton.InferInput("x", list(ROWS.shape), "FP32")
            tensor.set_data_from_numpy(ROWS, binary_data=binary)
            wanted = [triton.InferRequestedOutput("attributions", binary_data=binary)]
            body, length = triton.InferenceServerClient.generate_request_body([tensor], outputs=wanted)
            headers = {} if length is None else {"inference-header-content-length": str(length)}
            answer = running.client.post("/v2/models/net/explain", content=body, headers=headers)
            head = answer.headers.get("inference-header-content-length")
            result = triton.InferResult.from_response_body(answer.content, header_length=head and int(head))
            np.testing.assert_allclose(result.as_numpy("attributions"), attributions, rtol=1e-3, atol=1e-5)


def test_the_target_is_a_parameter_of_the_request_and_the_server_lives_through_a_wrong_one(tmp_path: Path) -> None:
    with running_server({"net": weights(tmp_path)}, explainer="captum") as running:
        body: dict[str, Any] = {"instances": ROWS.tolist()}
        wrong = running.client.post("/v1/models/net:explain", json={**body, "parameters": {"target": 7}})
        assert (wrong.status_code, "target is 7" in wrong.json()["error"]) == (400, True)
        right = running.client.post("/v1/models/net:explain", json={**body, "parameters": {"target": 2}})
        assert [row["target"] for row in right.json()["explanations"]] == [2, 2, 2]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch deprecates what TorchScript is made with
def test_a_request_that_a_model_of_unknown_inputs_does_not_take_is_the_clients_fault(tmp_path: Path) -> None:
    torch.jit.trace(seeded(Net), torch.from_numpy(ROWS)).save(tmp_path / "model.pt")
    with running_server({"net": tmp_path}, explainer="captum") as running:
        for instances in ([[1.0, 2.0]], [{"a": 1.0, "b": 2.0}]):
            wrong = running.client.post("/v1/models/net:explain", json={"instances": instances})
            assert (wrong.status_code, "Traceback" in wrong.text) == (400, False), wrong.text
        right = running.client.post("/v1/models/net:explain", json={"instances": ROWS.tolist()})
        assert [row["target"] for row in right.json()["explanations"]] == expected()[1].tolist()


def test_a_model_of_another_framework_does_not_load(tmp_path: Path) -> None:
    joblib.dump(SVC().fit(ROWS, [0, 1, 0]), tmp_path / "model.joblib")
    with (
        pytest.raises(errors.ModelLoadError, match=r"explains models of PyTorch, and this one is a sklearn\.svm"),
        running_server({"model": tmp_path}, explainer="captum"),
    ):
        pass

"""One artefact of each framework, made by the framework itself, with a question and the framework's own answer."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from sklearn.datasets import load_iris

__all__ = ["FORMATS", "Case"]

IRIS, SPECIES = load_iris(return_X_y=True)
ROWS: Final = IRIS[[0, 60, 120]]


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, and what it must answer.

    Attributes:
        expected: the answer, one element for each of `ROWS` unless the question is another.
        question: the body of a V1 request.
    """

    expected: Any
    question: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"instances": ROWS.tolist()})


def xgboost(folder: Path) -> Case:
    xgb = pytest.importorskip("xgboost")
    booster = xgb.train({"objective": "multi:softprob", "num_class": 3}, xgb.DMatrix(IRIS, SPECIES), num_boost_round=4)
    booster.save_model(folder / "model.ubj")
    return Case(booster.predict(xgb.DMatrix(ROWS)))


def lightgbm(folder: Path) -> Case:
    lgb = pytest.importorskip("lightgbm")
    parameters = {"objective": "multiclass", "num_class": 3, "verbosity": -1}
    booster = lgb.train(parameters, lgb.Dataset(IRIS, SPECIES), num_boost_round=4)
    booster.save_model(folder / "model.bst")
    return Case(booster.predict(ROWS))


def catboost(folder: Path) -> Case:
    cb = pytest.importorskip("catboost")
    model = cb.CatBoostRegressor(iterations=4, allow_writing_files=False, verbose=False).fit(IRIS, SPECIES)
    model.save_model(folder / "model.cbm")
    return Case(model.predict(ROWS))


def onnx(folder: Path) -> Case:
    helper = pytest.importorskip("onnx.helper")
    from onnx import TensorProto, save

    shape = ["rows", IRIS.shape[1]]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        "squares",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx")
    return Case(ROWS * ROWS)


def pytorch(folder: Path) -> Case:
    torch = pytest.importorskip("torch", reason="there is no torch for the CPU alone; see `make install`")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    rows = torch.from_numpy(ROWS.astype(np.float32))
    program = torch.export.export(module, (rows,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    torch.export.save(program, folder / "model.pt2")
    return Case(module(rows).detach().numpy())


def tensorflow(folder: Path) -> Case:
    tf = pytest.importorskip("tensorflow")

    module = tf.Module()
    module.squares = tf.function(lambda x: {"y": x * x}, input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    tf.saved_model.save(module, str(folder / "0001"), signatures={"serving_default": module.squares})
    return Case(ROWS * ROWS)


def mlflow(folder: Path) -> Case:
    pytest.importorskip("mlflow")
    import mlflow.sklearn
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(IRIS, SPECIES)
    mlflow.sklearn.save_model(model, folder, pip_requirements=[])
    return Case(model.predict(ROWS))


PADDLE: Final = """
import json, sys
import paddle
layer = paddle.nn.Linear(4, 2)
layer.eval()
spec = [paddle.static.InputSpec([None, 4], "float32", name="x")]
paddle.jit.save(layer, sys.argv[1], input_spec=spec)
rows = paddle.to_tensor(json.loads(sys.argv[2]), dtype="float32")
print(json.dumps(layer(rows).numpy().tolist()))
"""


def paddle(folder: Path) -> Case:
    if importlib.util.find_spec("paddle") is None:
        pytest.skip("paddlepaddle is not installed")
    # In a process of its own: where TensorFlow has been imported, importing Paddle ends the process.
    command = [sys.executable, "-W", "ignore", "-c", PADDLE, str(folder / "model"), json.dumps(ROWS.tolist())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Case(np.array(json.loads(done.stdout.splitlines()[-1])))


PMML: Final = """<?xml version="1.0"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header/>
  <DataDictionary numberOfFields="5">
    <DataField name="a" optype="continuous" dataType="double"/>
    <DataField name="b" optype="continuous" dataType="double"/>
    <DataField name="c" optype="continuous" dataType="double"/>
    <DataField name="d" optype="continuous" dataType="double"/>
    <DataField name="y" optype="continuous" dataType="double"/>
  </DataDictionary>
  <RegressionModel functionName="regression">
    <MiningSchema>
      <MiningField name="a"/><MiningField name="b"/><MiningField name="c"/><MiningField name="d"/>
      <MiningField name="y" usageType="target"/>
    </MiningSchema>
    <RegressionTable intercept="1">
      <NumericPredictor name="a" coefficient="2"/><NumericPredictor name="d" coefficient="0.5"/>
    </RegressionTable>
  </RegressionModel>
</PMML>
"""


def pmml(folder: Path) -> Case:
    (folder / "model.pmml").write_text(PMML)
    return Case([{"y": 1 + 2 * row[0] + 0.5 * row[3]} for row in ROWS.tolist()])


PYTHON: Final = """
import numpy as np
from fairlead import CustomModel


class Sums(CustomModel):
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1)
"""


def python(folder: Path) -> Case:
    (folder / "model.py").write_text(PYTHON)
    return Case(ROWS.sum(axis=1))


FORMATS: Final[Mapping[str, Callable[[Path], Case]]] = {
    "catboost": catboost,
    "lightgbm": lightgbm,
    "mlflow": mlflow,
    "onnx": onnx,
    "paddle": paddle,
    "pmml": pmml,
    "python": python,
    "pytorch": pytorch,
    "tensorflow": tensorflow,
    "xgboost": xgboost,
}
"""Makes the artefact in a folder, by the name of its model format."""

"""What a runtime adds to its framework: `Model.predict` against the call that a user of the library writes.

Each framework serves one model whose call takes over a millisecond, in a process of its own, with the same number of
threads on both sides. The two calls take turns, so that a busy moment of the machine falls on both; times are medians,
and the overhead is to stay within 15 % for one row, and 5 % for 64. Both must answer the same.

    python benchmarks/runtime_overhead.py [--only NAME ...] [--threads N] [--seconds S]

A framework that is not installed is left out, and named below the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from fairlead import Artifact, InferRequest, LoadSettings, Model, Tensor
from fairlead.plugins import Kind, Plugins

COLUMNS: Final = 30
LIMITS: Final = {1: 15.0, 64: 5.0}
"""Percent, by rows."""

SLOW: Final = 1.0
"""Milliseconds of the bare call from which on the limits hold."""

Bare: TypeAlias = "Callable[[Any], Any]"
"""The library's own call: takes an array, and returns one."""

Load: TypeAlias = "Callable[[], Bare]"
"""Loads what was saved as a user of the library does; called after the runtime has loaded it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Framework:
    """How a framework takes part.

    Attributes:
        module: what has to be installed.
        save: writes a model into a folder, for a number of threads, and returns what loads it.
    """

    module: str
    save: Callable[[Path, int], Load]


def table(rows: int = 2000) -> tuple[Any, Any]:
    """A table, and a target that depends on all of its columns."""
    x = np.random.default_rng(0).random((rows, COLUMNS), dtype=np.float32)
    return x, x @ np.arange(COLUMNS)


def layers(width: int = 3072) -> list[Any]:
    """The weights of a network of three layers."""
    random = np.random.default_rng(0)
    sizes = [COLUMNS, width, width, 8]
    return [
        random.standard_normal((before, after), np.float32) / np.float32(before**0.5)
        for before, after in itertools.pairwise(sizes)
    ]


def sklearn(folder: Path, threads: int) -> Load:
    """A random forest of 200 trees."""
    import joblib
    from sklearn.ensemble import RandomForestRegressor

    joblib.dump(RandomForestRegressor(200, n_jobs=threads, random_state=0).fit(*table()), folder / "model.joblib")
    return lambda: joblib.load(folder / "model.joblib").predict


def xgboost(folder: Path, threads: int) -> Load:
    """50 classes, 80 rounds: 4,000 trees."""
    import xgboost

    x, y = table()
    data = xgboost.DMatrix(x, label=y.argsort().argsort() * 50 // len(y))
    given = {"objective": "multi:softprob", "num_class": 50, "max_depth": 8, "nthread": threads}
    xgboost.train(given, data, num_boost_round=80).save_model(folder / "model.ubj")

    def load() -> Bare:
        booster = xgboost.Booster({"nthread": threads}, model_file=folder / "model.ubj")
        return lambda array: booster.predict(xgboost.DMatrix(array, nthread=threads))

    return load


def lightgbm(folder: Path, threads: int) -> Load:
    """A regression of 15,000 trees; a few rows and bins keep the training short."""
    import lightgbm

    x, y = table(400)
    given = {"objective": "regression", "learning_rate": 0.005, "max_bin": 31, "min_data_in_leaf": 2, "verbose": -1}
    lightgbm.train(given | {"num_threads": 1}, lightgbm.Dataset(x, label=y), 15_000).save_model(folder / "model.txt")

    def load() -> Bare:
        booster = lightgbm.Booster(model_file=folder / "model.txt")
        return lambda array: booster.predict(array, num_threads=threads)

    return load


def catboost(folder: Path, threads: int) -> Load:
    """128 times the same 400 trees, added up."""
    import catboost

    given = {"iterations": 400, "depth": 8, "verbose": False, "allow_writing_files": False, "random_seed": 0}
    fitted = catboost.CatBoostRegressor(**given).fit(*table())
    catboost.sum_models([fitted] * 128, weights=[1 / 128] * 128).save_model(str(folder / "model.cbm"))

    def load() -> Bare:
        model = catboost.CatBoost().load_model(str(folder / "model.cbm"))
        return lambda array: model.predict(array, thread_count=threads)

    return load


def onnx(folder: Path, threads: int) -> Load:
    """A network of three layers."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    weights = layers()
    nodes, last = [], "x"
    for place in range(len(weights)):
        nodes.append(helper.make_node("MatMul", [last, f"w{place}"], [f"m{place}"]))
        last = f"y{place}"
        nodes.append(helper.make_node("Tanh", [f"m{place}"], [last]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", COLUMNS])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["rows", weights[-1].shape[1]])],
        [numpy_helper.from_array(each, f"w{place}") for place, each in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    (folder / "model.onnx").write_bytes(model.SerializeToString())

    def load() -> Bare:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as the runtime does by default
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        return lambda array: session.run(None, {"x": array})[0]

    return load


def torch(folder: Path, threads: int) -> Load:
    """A network of three layers, exported."""
    import torch

    parts: list[Any] = []
    for each in layers():
        parts += [torch.nn.Linear(*each.shape, bias=False), torch.nn.Tanh()]
        parts[-2].weight.data = torch.from_numpy(each.T.copy())
    example = (torch.zeros(2, COLUMNS),)
    free = {0: torch.export.Dim("rows")}
    program = torch.export.export(torch.nn.Sequential(*parts), example, dynamic_shapes=(free,))
    torch.export.save(program, folder / "model.pt2")

    def load() -> Bare:
        torch.set_num_threads(threads)
        module = torch.export.load(folder / "model.pt2").module()

        def bare(array: Any) -> Any:
            with torch.inference_mode():
                return module(torch.from_numpy(array)).numpy()

        return bare

    return load


def tensorflow(folder: Path, threads: int) -> Load:  # noqa: ARG001  # the runtime sets the threads of the process
    """A network of three layers, as a SavedModel."""
    import tensorflow as tf

    class Network(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            self.weights = [tf.Variable(each) for each in layers()]

        @tf.function(input_signature=[tf.TensorSpec([None, COLUMNS], tf.float32, name="x")])  # type: ignore[untyped-decorator]  # as above
        def serve(self, x: Any) -> Any:
            for each in self.weights:
                x = tf.tanh(x @ each)
            return {"y": x}

    network = Network()
    tf.saved_model.save(network, str(folder), signatures={"serving_default": network.serve})

    def load() -> Bare:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures["serving_default"]
        return lambda array: (loaded, signature(x=tf.constant(array))["y"].numpy())[1]

    return load


def paddle(folder: Path, threads: int) -> Load:
    """A network of three layers, for inference."""
    import paddle
    from paddle import inference

    parts: list[Any] = []
    for each in layers():
        linear = paddle.nn.Linear(*each.shape, bias_attr=False)
        linear.weight.set_value(each)
        parts += [linear, paddle.nn.Tanh()]
    network = paddle.nn.Sequential(*parts)
    network.eval()
    paddle.jit.save(network, str(folder / "model"), [paddle.static.InputSpec([None, COLUMNS], "float32", "x")])
    kind = "json" if (folder / "model.json").exists() else "pdmodel"

    def load() -> Bare:
        config = inference.Config(str(folder / f"model.{kind}"), str(folder / "model.pdiparams"))
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(threads)
        predictor = inference.create_predictor(config)
        entry = predictor.get_input_handle(predictor.get_input_names()[0])
        result = predictor.get_output_handle(predictor.get_output_names()[0])

        def bare(array: Any) -> Any:
            entry.copy_from_cpu(array)
            predictor.run()
            return result.copy_to_cpu()

        return bare

    return load


FRAMEWORKS: Final[Mapping[str, Framework]] = {
    "sklearn": Framework("sklearn", sklearn),
    "xgboost": Framework("xgboost", xgboost),
    "lightgbm": Framework("lightgbm", lightgbm),
    "catboost": Framework("catboost", catboost),
    "onnx": Framework("onnxruntime", onnx),
    "torch": Framework("torch", torch),
    "tensorflow": Framework("tensorflow", tensorflow),
    "paddle": Framework("paddle", paddle),
}


def served(name: str, folder: Path, threads: int) -> Model:
    """The model in a folder, as the server loads it."""
    plugins = Plugins.discover()
    spec = plugins.runtimes()[name]
    options = {setting.name: setting.default for setting in spec.settings} | {"nthread": threads}
    model: Model = plugins.factory(Kind.RUNTIME, spec)().load(
        Artifact(path=folder, uri=folder.as_uri()), LoadSettings(model_name=name, options=options)
    )
    return model


def measure(name: str, threads: int, seconds: float) -> list[tuple[int, float, float]]:
    """Rows, milliseconds of the bare call, and milliseconds of the model's, for each number of rows."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        load = FRAMEWORKS[name].save(Path(place), threads)
        model = served(name, Path(place), threads)
        bare = load()
        spec = model.metadata.inputs[0]
        for rows in LIMITS:
            array = np.random.default_rng(1).random((rows, COLUMNS)).astype(spec.datatype.numpy)
            request = InferRequest(model_name=name, inputs=[Tensor.from_numpy(spec.name, array)])
            answer = model.predict(request).outputs[0].data
            np.testing.assert_allclose(np.ravel(answer), np.ravel(bare(array)), rtol=1e-4, atol=1e-6)
            times = in_turns(functools.partial(bare, array), functools.partial(model.predict, request), seconds)
            found.append((rows, *times))
        model.unload()
    return found


def in_turns(one: Callable[[], object], other: Callable[[], object], seconds: float) -> tuple[float, float]:
    """The median milliseconds of two calls that take turns, each first as often as the other."""
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    turn = 0
    while time.perf_counter() < end or turn < 20:
        for place in (turn % 2, 1 - turn % 2):
            began = time.perf_counter()
            (one, other)[place]()
            times[place].append(time.perf_counter() - began)
        turn += 1
    return statistics.median(times[0]) * 1000, statistics.median(times[1]) * 1000


def missing(name: str) -> str | None:
    """What of a framework is not installed; None where all is."""
    module = FRAMEWORKS[name].module
    if importlib.util.find_spec(module) is None:
        return f"the module {module} is not installed"
    if not any(info.name == name for info in Plugins.discover().infos(Kind.RUNTIME)):
        return f"the plugin fairlead-runtime-{name} is not installed"
    return None


def report(name: str, threads: int, seconds: float) -> str | None:
    """Measure a framework in a process of its own, and print its lines; returns why it could not."""
    if reason := missing(name):
        return reason
    command = [sys.executable, __file__, "--one", name, "--threads", str(threads), "--seconds", str(seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"it ended with {done.returncode}"
    for rows, bare, ours in json.loads(done.stdout.splitlines()[-1]):
        percent = (ours / bare - 1) * 100
        verdict = "" if bare < SLOW else "ok" if percent <= LIMITS[rows] else f"over {LIMITS[rows]:g} %"
        print(f"{name:12}{rows:>6}{bare:>12.3f}{ours:>12.3f}{percent:>10.1f} %  {verdict}")  # noqa: T201  # what this is for
    return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS), metavar="NAME")
    parser.add_argument("--threads", type=int, default=1, help="of each call (default: 1)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each number of rows (default: 4)")
    parser.add_argument("--one", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.threads, given.seconds)))  # noqa: T201  # for the process that started this
        return
    print(f"{'framework':12}{'rows':>6}{'bare ms':>12}{'predict ms':>12}{'overhead':>12}")  # noqa: T201  # what this is for
    left_out = {name: reason for name in given.only if (reason := report(name, given.threads, given.seconds))}
    for name, reason in left_out.items():
        print(f"{name} is left out: {reason}")  # noqa: T201  # what this is for


if __name__ == "__main__":
    main()

"""Artefacts that are damaged, of somebody else's, or hold more than a model should: told when they are loaded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from fairlead import errors
from fairlead_runtime_tensorflow_tests import models
from fairlead_runtime_tensorflow_tests.models import function

X = tf.TensorSpec([None], tf.float32, name="x")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.affine(tmp_path / "model")


def edited(folder: Path, edit: Callable[[Any], None]) -> Path:
    """The same SavedModel with another message."""
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    edit(proto.meta_graphs[0])
    path.write_bytes(proto.SerializeToString())
    return folder


# -- SavedModels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"saved_model\.pb is empty"),
        (b"\x89PNG, and no model at all", r"saved_model\.pb is damaged, or no SavedModel"),
        (b"\x08\x01", r"saved_model\.pb holds no graph"),
    ],
    ids=["empty", "another format", "no graph"],
)
def test_a_graph_that_is_none_is_told(folder: Path, content: bytes, message: str) -> None:
    (folder / "saved_model.pb").write_bytes(content)
    with pytest.raises(errors.ModelLoadError, match=message):
        models.load(folder)


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_variables_that_are_missing_or_not_whole_are_told(folder: Path, name: str) -> None:
    path = folder / "variables" / name
    path.write_bytes(path.read_bytes()[:3])
    with pytest.raises(errors.ModelLoadError, match=r"saved_model\.pb does not load: .*Check that the file is whole"):
        models.load(folder)
    path.unlink()
    with pytest.raises(errors.ModelLoadError, match=r"saved_model\.pb does not load: "):
        models.load(folder)


def test_an_operation_of_a_newer_tensorflow_is_told_with_the_version_to_install(folder: Path) -> None:
    def of_the_future(graph: Any) -> None:
        graph.meta_info_def.tensorflow_version = "9.1.0"
        for each in graph.graph_def.library.function:
            for node in each.node_def:
                node.op = "UnheardOf" if node.op == "MatMul" else node.op

    message = r"was saved with tensorflow 9\.1\.0 .*UnheardOf.*pip install tensorflow.*==9\.1\.0"
    with pytest.raises(errors.ModelLoadError, match=f"(?s){message}"):
        models.load(edited(folder, of_the_future))


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/passwd", "words/../../../secret.txt"])
def test_an_asset_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "words.txt").write_text("cat\ndog\n", encoding="ascii")
    (tmp_path / "secret.txt").write_text("secret\n", encoding="ascii")
    folder = vocabulary(tmp_path / "model", tmp_path / "words.txt")
    assert models.ask(models.load(folder), x=["dog"])["place"].tolist() == [1]

    def outside(graph: Any) -> None:
        graph.asset_file_def[0].filename = name

    with pytest.raises(errors.ModelLoadError, match=r"The asset '.*' lies outside the model's folder"):
        models.load(edited(folder, outside))


def test_of_several_graphs_the_one_for_serving_is_served(folder: Path) -> None:
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    other = proto.meta_graphs.add()
    other.CopyFrom(proto.meta_graphs[0])
    other.meta_info_def.tags[:] = ["serve", "tpu"]
    path.write_bytes(proto.SerializeToString())
    assert models.load(folder).metadata.properties["signature"] == "serving_default"
    proto.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(errors.ModelLoadError, match=r"several graphs, and none has the tag serve alone \(tags: train"):
        models.load(folder)


# -- what a graph can reach -----------------------------------------------------------------------------


def vocabulary(folder: Path, words: Path) -> Path:
    """A table of words that is read from an asset."""
    initializer = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(initializer, -1)

    @function(tf.TensorSpec([None], tf.string, name="x"))
    def look(x: Any) -> dict[str, Any]:
        return {"place": module.table.lookup(x)}

    module.look = look
    tf.saved_model.save(module, str(folder), signatures=look)
    return folder


def writer(folder: Path) -> Path:
    @function(tf.TensorSpec([], tf.string, name="x"))
    def write(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.io.write_file(str(folder.parent / "written"), x)]):
            return {"y": tf.identity(x)}

    return models.save(folder, write)


def calling_python(folder: Path) -> Path:
    @function(X)
    def call(x: Any) -> dict[str, Any]:
        y = tf.numpy_function(lambda value: value, [x], tf.float32)
        return {"y": tf.ensure_shape(y, [None])}

    return models.save(folder, call)


def printing(folder: Path) -> Path:
    @function(X)
    def log(x: Any) -> dict[str, Any]:
        tf.print(x, output_stream=f"file://{folder.parent}/printed")
        return {"y": x}

    return models.save(folder, log)


def in_a_loop(folder: Path) -> Path:
    return models.reader(folder)


def restoring(folder: Path) -> Path:
    @function(tf.TensorSpec([], tf.string, name="x"))
    def restore(x: Any) -> dict[str, Any]:
        return {"y": tf.raw_ops.RestoreV2(prefix=x, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0]}

    return models.save(folder, restore)


def initialising(folder: Path) -> Path:
    words = folder.parent / "words.txt"
    words.write_text("cat\n", encoding="ascii")
    return vocabulary(folder, words)


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        (writer, "WriteFile"),
        (calling_python, "PyFunc"),
        (printing, "PrintV2"),
        (in_a_loop, "ReadFile"),
        (restoring, "RestoreV2"),
        (initialising, "InitializeTableFromTextFileV2"),
    ],
)
def test_a_graph_that_can_reach_files_or_python_needs_the_policys_permission(
    tmp_path: Path, make: Callable[[Path], Path], operation: str
) -> None:
    folder = make(tmp_path / "model")
    with pytest.raises(errors.UnpicklingRefused, match=rf"\({operation}\), and the unpickling policy is deny"):
        models.load(folder, "deny")
    digest = sha256((folder / "saved_model.pb").read_bytes()).hexdigest()
    with pytest.raises(errors.UnpicklingRefused, match="policy is trusted"):
        models.load(folder, f"sha256:{'0' * 64}")
    model = models.load(folder, f"sha256:{digest}")
    assert model.notes[0] == f"The graph has operations that reach files, the network or Python: {operation}."


def test_what_saves_and_restores_a_model_needs_no_permission(folder: Path) -> None:
    assert models.load(folder, "deny").notes == []


# -- Keras ----------------------------------------------------------------------------------------------


def edited_config(path: Path, edit: Callable[[Any], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    edit(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_an_archive_that_is_empty_or_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    with pytest.raises(errors.ModelLoadError, match=r"model\.keras is empty"):
        models.load(path)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(errors.ModelLoadError, match=r"model\.keras is damaged"):
        models.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("story.txt", "once")
    with pytest.raises(errors.ModelLoadError, match=r"model\.keras does not load: .*config\.json"):
        models.load(path)


@pytest.mark.parametrize("policy", ["allow", "deny"])
def test_a_lambda_layer_is_refused_whatever_the_policy(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: 2 * x)]).save(path)
    with pytest.raises(errors.ModelLoadError, match=r"has a Lambda layer, which is Python code.*model\.export"):
        models.load(path, policy)


class Doubled(keras.layers.Layer):  # type: ignore[misc]  # the types of Keras are not read
    def call(self, x: Any) -> Any:
        return 2 * x


def test_a_class_that_is_not_of_keras_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), Doubled()]).save(path)

    def elsewhere(config: Any) -> None:
        config["config"]["layers"][1] |= {"module": "os", "class_name": "system", "registered_name": "os>system"}

    with pytest.raises(
        errors.ModelLoadError, match=r"needs 'system', which is none of Keras' own|not loaded in safe mode"
    ):
        models.load(edited_config(path, elsewhere))


def test_an_archive_that_names_a_file_outside_is_refused(tmp_path: Path) -> None:
    path = models.named(tmp_path / "model.keras")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret\n", encoding="ascii")

    def outside(config: Any) -> None:
        (lookup,) = [each for each in config["config"]["layers"] if each["class_name"] == "StringLookup"]
        lookup["config"]["vocabulary"] = str(secret)

    with pytest.raises(errors.ModelLoadError, match="not loaded in safe mode"):
        models.load(edited_config(path, outside))


def test_a_model_without_inputs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Dense(1)]).save(path)
    with pytest.raises(errors.ModelLoadError, match=r"does not say what its inputs are.*keras\.Input"):
        models.load(path)


def test_outputs_of_one_layer_have_different_names(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    x = keras.Input((2,), name="x")
    layer = keras.layers.Rescaling(2.0, name="twice")
    keras.Model(x, [layer(x), layer(layer(x))]).save(path)
    model = models.load(path)
    assert models.ask(model, x=[[1, 2]]).keys() == {"twice_0", "twice_1"}
    assert [each.tolist() for each in models.ask(model, x=[[1, 2]]).values()] == [[[2, 4]], [[4, 8]]]

"""Opening a SavedModel: a graph with its signatures."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairlead import UnpicklingPolicy, errors
from fairlead_runtime_tensorflow import graphs
from fairlead_runtime_tensorflow.signatures import Port, ServedSignature

if TYPE_CHECKING:
    from fairlead_runtime_tensorflow.layout import Found

__all__ = ["Opened", "open_folder"]


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """What an artefact held.

    Attributes:
        native: TensorFlow's or Keras' own object.
        signatures: the signatures that can be served, by name.
        refused: why others cannot, by name.
        notes: what a user should know.
    """

    native: Any
    signatures: Mapping[str, ServedSignature]
    refused: Mapping[str, errors.ModelLoadError] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()


def open_folder(tf: Any, found: Found, policy: UnpicklingPolicy) -> Opened:
    """Load a SavedModel.

    Args:
        tf: the module ``tensorflow``.
        found: where it lies.
        policy: decides about one whose graph can reach files, the network or Python.

    Raises:
        UnpicklingRefused: the policy does not permit it; nothing of it has run.
        ModelLoadError: it is no SavedModel, or one that cannot be served.
        Exception: whatever TensorFlow raises of one that is damaged.
    """
    graph = _graph(found)
    graphs.check_assets(graph)
    notes = _permitted(graph, found, policy)
    composites = graphs.composites(graph)
    native = tf.saved_model.load(str(found.path), tags=list(graph.meta_info_def.tags))
    signatures: dict[str, ServedSignature] = {}
    refused: dict[str, errors.ModelLoadError] = {}
    for name, function in sorted(native.signatures.items()):
        try:
            if name in composites:
                raise errors.ModelLoadError(
                    "it takes a ragged or sparse tensor, which no request can hold.",
                    remedy="Save a signature of dense tensors; its function can make what it needs of them.",
                )
            signatures[name] = _signature(tf, name, function)
        except errors.ModelLoadError as error:
            refused[name] = error
    return Opened(native, signatures, refused, notes)


def _graph(found: Found) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    content = found.graph.read_bytes()
    if not content:
        raise errors.ModelLoadError(
            f"{found.graph.name} is empty.", remedy="Save the model again, or copy the file again."
        )
    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        raise errors.ModelLoadError(
            f"{found.graph.name} is damaged, or no SavedModel ({error}).", remedy="Check that the file is whole."
        ) from error
    return graphs.served(proto, found.graph.name)


def _permitted(graph: Any, found: Found, policy: UnpicklingPolicy) -> list[str]:
    reaching = graphs.reaching(graph)
    if not reaching:
        return []
    names = ", ".join(reaching)
    if not policy.permits(found.graph):
        raise errors.UnpicklingRefused(
            f"The graph of {found.graph.name} has operations that reach files, the network or Python ({names}), "
            f"and the unpickling policy is {policy.mode}.",
            remedy="If you trust the file, add its digest to the unpickling policy (sha256sum prints it).",
        )
    return [f"The graph has operations that reach files, the network or Python: {names}."]


def _signature(tf: Any, name: str, function: Any) -> ServedSignature:
    _, inputs = function.structured_input_signature
    outputs = function.structured_outputs
    ports = [Port.of(each, spec) for each, spec in sorted(inputs.items())]
    answers = [Port.of(each, _spec(tf, value)) for each, value in sorted(outputs.items())]
    if not ports or not answers:
        raise errors.ModelLoadError(f"it {'answers' if ports else 'takes'} nothing.")
    return ServedSignature(tf, name, ports, answers, functools.partial(_call, function))


def _spec(tf: Any, value: Any) -> Any:
    """The spec of an output, which a graph of TensorFlow 1 has as a tensor."""
    return value if isinstance(value, tf.TypeSpec) else tf.type_spec_from_value(value)


def _call(function: Any, fed: dict[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = function(**fed)
    return found

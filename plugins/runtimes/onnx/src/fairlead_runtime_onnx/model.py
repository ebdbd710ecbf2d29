"""A loaded graph that answers requests."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import (
    Capability,
    Datatype,
    InferRequest,
    InferResponse,
    Model,
    ModelMetadata,
    Tensor,
    TensorSpec,
    errors,
)
from fairlead.runtimes.signature import Signature
from fairlead_runtime_onnx import failures, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead_runtime_onnx.interface import Interface

__all__ = ["OnnxModel"]

_LARGEST: Final = 16 * 1024 * 1024
"""Elements of an input; no sample is made that is larger."""

_OVERRIDABLE: Final = (
    "Requests are not joined to batches, because they may override initializers; the setting overridable=false takes "
    "that away, and joins them."
)
_DEPENDENT: Final = (
    "Requests are not joined to batches: the first dimension is free, but two rows are answered otherwise together "
    "than one by one."
)


class OnnxModel(Model):
    """Serves a graph.

    Args:
        session: the ``InferenceSession``.
        interface: what the graph takes and answers with.
        properties: what metadata says beside.
        notes: findings of the load.
    """

    def __init__(
        self, session: Any, interface: Interface, *, properties: Mapping[str, str], notes: Sequence[str] = ()
    ) -> None:
        self.native = session
        self._run = session.run
        self._interface = interface
        inputs = (*interface.inputs, *interface.optional)
        self._signature = Signature(inputs, optional=[spec.name for spec in interface.optional])
        self._texts = [spec.name for spec in inputs if spec.datatype is Datatype.BYTES]
        self._answers = False
        joins = self._joins()
        self.notes = (*notes, *self._findings(joins))
        self._metadata = ModelMetadata(
            platform="onnx_onnxv1",
            inputs=interface.inputs,
            outputs=self._outputs(),
            capabilities=frozenset({Capability.ANY_THREAD, *([Capability.BATCHING] if joins else [])}),
            properties={**properties, **_properties(interface)},
        )

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs and outputs of the graph; -1 for every free dimension."""
        return self._metadata

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with the outputs that the request names, or with all.

        onnxruntime computes the whole graph, and makes arrays of the named outputs alone.

        Raises:
            InvalidInput: the request has another form than the graph takes, names an output that it does not have, or
                holds values that one of its operators refuses.
        """
        specs = self._requested(request)
        signature = self._signature_of(request) if self._interface.unranked else self._signature
        feeds = signature.read(request)
        for name in self._texts:
            if name in feeds:
                feeds[name] = Tensor(name, feeds[name], Datatype.BYTES).as_strings()
        for dimension, places in self._interface.ties.items():
            _check_tie(dimension, places, feeds)
        results = self._ask(specs, feeds)
        outputs = [_tensor(spec, result) for spec, result in zip(specs, results, strict=True)]
        return InferResponse(model_name=request.model_name, outputs=outputs, id=request.id)

    def unload(self) -> None:
        """Let go of the session, whose memory is freed with it."""
        self.native = self._run = None

    def _ask(self, specs: Sequence[TensorSpec], feeds: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Run the graph; maps become arrays."""
        try:
            results = self._run([spec.name for spec in specs], feeds)
        except Exception as error:
            if not failures.is_native(error):
                raise
            text = failures.text_of(error)
            # Before it has answered a sample, the fault may be the model's own.
            if self._answers and failures.is_of_the_input(error):
                raise errors.InvalidInput(text) from error
            raise errors.InferenceFailed(text) from error
        self._answers = True
        classes = self._interface.classes
        return [
            _from_maps(result, len(classes[spec.name])) if spec.name in classes else result
            for spec, result in zip(specs, results, strict=True)
        ]

    def _requested(self, request: InferRequest) -> Sequence[TensorSpec]:
        specs = self._metadata.outputs
        if not request.outputs:
            return specs
        names = {output.name for output in request.outputs}
        unknown = names.difference(spec.name for spec in specs)
        if unknown:
            has = ", ".join(repr(spec.name) for spec in specs)
            raise errors.InvalidInput(f"The model has no output {', '.join(map(repr, sorted(unknown)))}; it has {has}.")
        return [spec for spec in specs if spec.name in names]

    def _signature_of(self, request: InferRequest) -> Signature:
        """The signature with as many dimensions as the request has, where the graph leaves their number open."""
        sent = {tensor.name: tensor.data.ndim for tensor in request.inputs}
        only = next(iter(sent.values())) if len(sent) == 1 else 1
        inputs = [
            TensorSpec(spec.name, spec.datatype, (-1,) * sent.get(spec.name, only))
            if spec.name in self._interface.unranked
            else spec
            for spec in self._interface.inputs
        ]
        optional = self._interface.optional
        return Signature([*inputs, *optional], optional=[spec.name for spec in optional])

    def _joins(self) -> bool:
        """Whether requests may be joined: the graph has one free first dimension, and a test finds rows independent.

        A request that overrides an initializer could be joined with another that overrides it too; then both would
        be computed with a mixture. Scalars have no first dimension to be joined along.
        """
        interface = self._interface
        if not interface.common_axis or any(spec.shape for spec in interface.optional):
            return False
        return rows.are_independent(interface.inputs, lambda feeds: self._ask(interface.outputs, feeds)) is not False

    def _findings(self, joins: bool) -> list[str]:
        interface = self._interface
        if joins or not interface.common_axis:
            return []
        if any(spec.shape for spec in interface.optional):
            return [_OVERRIDABLE]
        return [_DEPENDENT]

    def _outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs as declared; one without declared dimensions has as many as the answer to a sample."""
        interface = self._interface
        declared = interface.outputs
        if all(spec.shape for spec in declared) or any(math.prod(spec.shape) > _LARGEST for spec in interface.inputs):
            return declared
        sample = {spec.name: _zeros(spec) for spec in interface.inputs}
        try:
            found = self._ask(declared, sample)
        except errors.InferenceFailed:
            return declared  # the engine asks the same sample before Ready, and reports it
        return tuple(
            spec if spec.shape else TensorSpec(spec.name, spec.datatype, (-1,) * np.ndim(result))
            for spec, result in zip(declared, found, strict=True)
        )


def _zeros(spec: TensorSpec) -> NDArray[Any]:
    shape = tuple(max(length, 1) for length in spec.shape)
    return np.full(shape, "", dtype=object) if spec.datatype is Datatype.BYTES else np.zeros(shape, spec.datatype.numpy)


def _tensor(spec: TensorSpec, result: Any) -> Tensor:
    array = np.asarray(result)
    if spec.datatype is Datatype.BYTES:
        return Tensor.from_numpy(spec.name, array, Datatype.BYTES)
    return Tensor(spec.name, array, spec.datatype)


def _from_maps(maps: Sequence[Mapping[Any, float]], count: int) -> NDArray[Any]:
    """Maps of class to probability as FP32 ``[rows, classes]``: every map has the same keys, in one order.

    Args:
        maps: one for each row.
        count: how many classes there are, for an answer without rows.
    """
    width = len(maps[0]) if maps else count
    values = itertools.chain.from_iterable(row.values() for row in maps)
    return np.fromiter(values, dtype=np.float32, count=len(maps) * width).reshape(len(maps), width)


def _check_tie(dimension: str, places: Sequence[tuple[str, int]], feeds: Mapping[str, NDArray[Any]]) -> None:
    lengths = {feeds[name].shape[axis] for name, axis in places}
    if len(lengths) > 1:
        found = ", ".join(f"{feeds[name].shape[axis]} in axis {axis} of {name!r}" for name, axis in places)
        raise errors.InvalidInput(f"The dimension {dimension!r} has one length in all inputs; got {found}.")


def _properties(interface: Interface) -> dict[str, str]:
    found = {f"classes.{name}": json.dumps(list(labels)) for name, labels in interface.classes.items() if labels}
    if interface.optional:
        found["optional_inputs"] = ", ".join(spec.name for spec in interface.optional)
    return found

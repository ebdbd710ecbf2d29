"""A loaded module that answers requests."""

from __future__ import annotations

import dataclasses
import re
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
from fairlead_runtime_torch import devices
from fairlead_runtime_torch.tensors import Transfer, flatten

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from fairlead_runtime_torch.program import Array, Program

__all__ = ["TorchModel"]

_FAULTS: Final = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)
"""What PyTorch raises for tensors that do not fit each other, among other things."""

_DEVICE_FAULTS: Final = ("CUDA error", "CUBLAS", "CUDNN", "cuDNN")
_SCRIPT_TRACEBACK: Final = "Traceback of TorchScript"
"""What TorchScript puts before the reason: its own traceback, with the paths of whoever saved it."""

_OF_DTYPES: Final = re.compile(r"\bdtypes?\b|scalar type|\bLong\b|\bInt\b|\blong int\b|\(int\)")
"""What PyTorch says of tensors whose datatypes do not go together."""

_OUT_OF_MEMORY: Final = ("out of memory", "can't allocate memory")


class TorchModel(Model):
    """Serves a module.

    Args:
        program: the module, and what is known of it.
        device: where it computes; the module is there.
        batching: ``auto``, ``true`` or ``false``: whether requests may be joined.
        compiled: a value of the setting ``compile``.
        saved_with: the versions that the artefact records, by distribution name.
        notes: findings of the load.

    Raises:
        ModelLoadError: it cannot be compiled.
        ConfigurationError: a setting is nothing for this module.
    """

    untried = "Its inputs are not known (the setting inputs declares them)"

    def __init__(
        self,
        program: Program,
        device: torch.device,
        *,
        batching: str = "auto",
        compiled: str = "false",
        saved_with: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        import torch

        self._torch = torch
        self.saved_with = dict(saved_with or {})
        self.notes = (*notes, *program.notes)
        self.native = program.module
        self._device = device
        self._program = program
        self._transfer = Transfer(device, isolated=program.isolated)
        self._answers = not program.inputs  # of one whose inputs are not known, only requests can be at fault
        joins = _joins(program, batching)
        plain = compiled == "false"
        properties = {"device": str(device), "torch": str(torch.__version__)}
        self._metadata = ModelMetadata(
            platform="pytorch",
            inputs=program.inputs,
            capabilities=_capabilities(joins, any_thread=plain and device.type == "cpu" and not program.waits),
            properties=properties if plain else {**properties, "compile": compiled},
        )
        if not plain:
            self._compile(compiled, joins)
        self._metadata = dataclasses.replace(self._metadata, outputs=program.outputs or self._probed(joins))

    @property
    def metadata(self) -> ModelMetadata:
        """What the file and its author tell, with the device, and the outputs that a sample had."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """The example that the program was exported with, else zeros of the inputs' shapes."""
        if self._program.example:
            return [InferRequest(model_name="", inputs=self._program.example)]
        return super().samples()

    def device_memory(self) -> int:
        """Bytes that all tensors of this process take on the accelerator; 0 on the CPU."""
        return devices.memory(self._device)

    def unload(self) -> None:
        """Let go of the module, and of the memory that the allocator of the accelerator keeps for it."""
        forget = self._program.forget
        self.native = None
        self._program = dataclasses.replace(self._program, module=None, forget=lambda: None)
        forget()
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with the tensors that the module returns.

        Raises:
            InvalidInput: the request has another form than the inputs, or the module refuses it.
            Overloaded: there is no memory for it now.
            InferenceFailed: the module returned what is no tensor.
        """
        arrays = self._program.reader.read(request)
        try:
            with self._torch.inference_mode():
                given = {name: self._transfer.to_device(*array) for name, array in arrays.items()}
                outputs = self._transfer.to_outputs(self._named(self._called(given)))
        except errors.FairleadError:
            raise
        except _FAULTS as error:
            raise self._explained(error, arrays) from error
        self._answers = True
        return InferResponse(model_name=request.model_name, outputs=outputs, id=request.id)

    def _called(self, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """The parts of the result; of more rows than the program takes at once, one part after another."""
        program = self._program
        rows = len(next(iter(given.values()))) if program.most_rows else 0
        if not program.most_rows or rows <= program.most_rows:
            return flatten(program.call(program.module, given))
        parts = [
            flatten(
                program.call(
                    program.module, {name: each[start : start + program.most_rows] for name, each in given.items()}
                )
            )
            for start in range(0, rows, program.most_rows)
        ]
        return [
            (parts[0][place][0], self._torch.cat([part[place][1] for part in parts])) for place in range(len(parts[0]))
        ]

    def _named(self, found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        names = self._program.output_names
        if not names or {name for name, _ in found} == {*names}:
            return found
        if len(names) != len(found):
            raise errors.InferenceFailed(
                f"The model returned {len(found)} outputs, and its class declares {len(names)}: {', '.join(names)}."
            )
        return [(name, each) for name, (_, each) in zip(names, found, strict=True)]

    def _explained(self, error: Exception, sent: Mapping[str, Array]) -> Exception:
        """The error that tells whose fault it is: the server's, or the request's."""
        text = str(error).strip()
        is_script = isinstance(error, self._torch.jit.Error) or _SCRIPT_TRACEBACK in text
        line = text.splitlines()[-1].removeprefix(f"{type(error).__name__}: ") if text and is_script else text
        if any(each in text for each in _OUT_OF_MEMORY):
            if self._device.type == "cuda":
                self._torch.cuda.empty_cache()
            return errors.Overloaded(
                f"There is no memory for this request on {self._device}: {line.partition('. ')[0]}."
            )
        is_request = self._answers or text.startswith("Guard failed")
        if not is_request or any(each in text for each in _DEVICE_FAULTS):
            return error
        return errors.InvalidInput(f"{type(error).__name__}: {line}"[:2000], remedy=self._undeclared(line, sent))

    def _undeclared(self, reason: str, sent: Mapping[str, Array]) -> str | None:
        """What to do about whole numbers, where floating-point ones may be meant: JSON tells these by their point."""
        integers = [name for name, (_, datatype) in sent.items() if datatype.numpy.kind in "iu"]
        if self._program.inputs or not integers or not _OF_DTYPES.search(reason):
            return None
        specs = ";".join(_declaration(name, *each) for name, each in sent.items())
        return (
            f"{', '.join(integers)} came as whole numbers, and what the model takes is not declared: send 80.0 in "
            f"place of 80, or serve it with --set 'inputs={specs}'."
        )

    # -- while it loads -------------------------------------------------------------------------------------

    def _compile(self, setting: str, joins: bool) -> None:
        """Compile the module, with a sample of one row and of two, so that no client waits for it.

        Raises:
            ModelLoadError: it does not compile.
            ConfigurationError: it cannot be compiled as it is, or there is no sample.
        """
        program = self._program
        if not program.compiles:
            raise errors.ConfigurationError(f"setting compile: torch.compile does not take {program.form}.")
        samples = self.samples()
        if not samples:
            raise errors.ConfigurationError(
                "setting compile: the inputs of the model are not known.",
                remedy="Declare them with the setting inputs.",
            )
        mode = None if setting == "true" else setting
        try:
            # Of rows of any number, one program is compiled for all of them, and not one for each number that comes.
            module = self._torch.compile(program.module, mode=mode, dynamic=True if joins else None)
            self._program = dataclasses.replace(program, module=module)
            for sample in samples:
                self.predict(sample)
                if joins:
                    self.predict(dataclasses.replace(sample, inputs=[_twice(each) for each in sample.inputs]))
        except Exception as error:
            text = str(error).strip().partition("\n\n")[0]
            raise errors.ModelLoadError(
                f"The model cannot be compiled: {type(error).__name__}: {text[:1000]}",
                remedy="torch.compile needs a C++ compiler on a CPU, and Triton on CUDA; --set compile=false serves it "
                "as it is.",
            ) from error

    def _probed(self, joins: bool) -> tuple[TensorSpec, ...]:
        """The outputs of a sample; nothing where there is none, or it is not answered."""
        free = sum(length < 0 for spec in self._program.inputs for length in spec.shape)
        is_rows = joins and free == len(self._program.inputs)
        for sample in self.samples():
            try:
                found = self.predict(sample).outputs
            except Exception:  # noqa: BLE001  # the engine asks the same sample before Ready, and reports what it raises
                return ()
            return tuple(TensorSpec(each.name, each.datatype, _shape(each.shape, free, is_rows)) for each in found)
        return ()


def _shape(shape: tuple[int, ...], free: int, is_rows: bool) -> tuple[int, ...]:
    """What a sample's shape tells: all of it where nothing is free, else which lengths are not the rows."""
    if not free:
        return shape
    return (-1, *shape[1:]) if is_rows and shape else (-1,) * len(shape)


def _joins(program: Program, setting: str) -> bool:
    if setting != "true":
        return setting == "auto" and bool(program.batching)
    if program.inputs and not all(spec.shape[:1] == (-1,) for spec in program.inputs):
        raise errors.ConfigurationError(
            "setting batching: the first axis of the inputs is not free, so that rows cannot be joined.",
            remedy="Export the program with a dynamic first axis, or declare it as -1 in the setting inputs.",
        )
    return True


def _capabilities(joins: bool, *, any_thread: bool) -> frozenset[Capability]:
    found = set()
    if joins:
        found.add(Capability.BATCHING)
    if any_thread:
        found.add(Capability.ANY_THREAD)
    return frozenset(found)


def _declaration(name: str, array: NDArray[Any], datatype: Datatype) -> str:
    """An input as the setting ``inputs`` declares it: rows of these lengths, and floating-point numbers for whole."""
    declared = Datatype.FP32 if datatype.numpy.kind in "iu" else datatype
    return f"{name}:{declared}[{','.join(map(str, (-1, *array.shape[1:])[: array.ndim]))}]"


def _twice(tensor: Tensor) -> Tensor:
    return dataclasses.replace(tensor, data=np.concatenate([tensor.data, tensor.data]))

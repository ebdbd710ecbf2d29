"""The explainer: how much each element of the inputs has to do with a prediction of a PyTorch model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import Artifact, Explainer, InferRequest, InferResponse, LoadSettings, Tensor, errors
from fairlead_explainer_captum.inputs import Inputs, baseline_of

if TYPE_CHECKING:
    import torch

    from fairlead import AnyModel, Predict
    from fairlead_explainer_captum.methods import Attributions, Target
    from fairlead_explainer_captum.module import Explained

__all__ = ["CaptumExplainer"]

_TARGET = "target"


class CaptumExplainer(Explainer):
    """Attributes predictions to inputs by Captum, in the process of the model."""

    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:
        """Look at the module, and get the method ready.

        Args:
            artifact: a .npy file with the baseline of an input, without the axis of rows; None for a number.
            settings: with the settings of `_plugin.SPEC`.
            model: the model, whose native object is a module.

        Raises:
            ModelLoadError: the model is no module of PyTorch, or the method does not explain it.
            ConfigurationError: a setting is wrong.
        """
        logging.getLogger("matplotlib").setLevel(logging.WARNING)  # Captum imports it, and it lists fonts
        import torch

        from fairlead_explainer_captum import methods

        native = None if model is None else model.native
        if model is None or not isinstance(native, torch.nn.Module):
            found = "shows nothing of its inside" if native is None else f"is a {_kind(native)}"
            raise errors.ModelLoadError(
                f"Captum explains models of PyTorch, and this one {found}.",
                remedy="Serve a model by the runtime torch, or use another explainer.",
            )
        self._torch = torch
        self._native = native
        self._inputs = Inputs(model.metadata.inputs)
        self._baseline = baseline_of(artifact, float(settings.options["baseline"]))
        self._rows = _rows_at_once(model, int(settings.options["internal_batch_size"]))
        self._attribute = methods.attributor(native, {**settings.options, "internal_batch_size": self._rows})

    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """Attribute the prediction for each row to its inputs.

        Args:
            request: the inputs. Its parameter ``target`` is the index of the output that is explained, of several
                dimensions as text (``"3,0,1"``); by default the largest output of each row.
            predict: asked once where the model does not say what its inputs are, so that it says what does not fit.

        Returns:
            ``attributions`` of the shape of the input (``attributions-<input>`` for each of several inputs);
            ``convergence_delta`` of shape [rows] where the method has one; ``target``, INT64 of shape [rows], the index
            that is explained, where the model has several outputs and one index tells.

        Raises:
            InvalidInput: the inputs or the target do not fit the model.
            DeadlineExceeded: nobody waits any more.
        """
        from fairlead_explainer_captum.module import Explained, device_of

        arrays = self._inputs.read(request)
        names = list(arrays)
        if not self._inputs.declared:
            inputs = [Tensor.from_numpy(name, array) for name, array in arrays.items()]
            predict(dataclasses.replace(request, inputs=inputs))
        model = Explained(self._native, names, self.check)
        device = device_of(self._native)
        count = len(next(iter(arrays.values())))
        parts: list[Attributions] = []
        targets: list[Any] = []
        for start in range(0, count, self._rows):
            self.check()
            rows = tuple(self._tensor(array[start : start + self._rows], device) for array in arrays.values())
            target = self._target(request, model, rows)
            parts.append(self._attribute(model, rows, tuple(self._baselines(rows)), target))
            targets.append(target)
        return InferResponse(model_name=request.model_name, outputs=self._outputs(names, parts, targets), id=request.id)

    def unload(self) -> None:
        """Let go of the module."""
        self._native = None

    def _tensor(self, array: Any, device: torch.device) -> torch.Tensor:
        tensor = self._torch.from_numpy(np.array(array)).to(device)
        weight = next((each for each in self._native.parameters() if each.is_floating_point()), None)
        return tensor if weight is None else tensor.to(weight.dtype)

    def _baselines(self, rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The baseline of each input, of its own shape.

        Raises:
            InvalidInput: the array that is given is of another shape than the rows.
        """
        value = self._torch.as_tensor(self._baseline)
        try:
            return [value.to(each.device, each.dtype).expand_as(each) for each in rows]
        except RuntimeError as error:
            shapes = ", ".join(str(list(each.shape[1:])) for each in rows)
            raise errors.InvalidInput(
                f"The baseline has the shape {list(value.shape)}, and a row of the inputs {shapes}."
            ) from error

    def _target(self, request: InferRequest, model: Explained, rows: tuple[torch.Tensor, ...]) -> Target:
        """The output to explain: the one that is asked for, else the largest of each row.

        Raises:
            InvalidInput: there is no such output, or none can be chosen.
        """
        with self._torch.no_grad():
            answer = model(*rows)
        several = answer.ndim > 1 and answer[0].numel() > 1
        asked = request.parameters.get(_TARGET)
        if asked is not None:
            index = _index(asked)
            shape = list(answer.shape[1:])
            if len(index) != len(shape) or not all(0 <= at < length for at, length in zip(index, shape, strict=True)):
                raise errors.InvalidInput(
                    f"The parameter target is {asked!r}, and a row of the model's output has the shape {shape}."
                )
            return index if len(index) > 1 else self._torch.full((len(answer),), index[0], device=answer.device)
        if not several:
            return (
                self._torch.zeros(len(answer), dtype=self._torch.int64, device=answer.device)
                if answer.ndim > 1
                else None
            )
        if answer.ndim > 2:
            raise errors.InvalidInput(
                f"A row of the model's output has the shape {list(answer.shape[1:])}, and one number is explained.",
                remedy='Name it by the parameter target, its index as text, for example "3,0,1".',
            )
        return answer.argmax(dim=1)

    def _outputs(self, names: Sequence[str], parts: Sequence[Attributions], targets: Sequence[Target]) -> list[Tensor]:
        many = len(parts[0].attributions) > 1
        outputs = [
            self._output(
                f"attributions-{names[place]}" if many else "attributions", [part.attributions[place] for part in parts]
            )
            for place in range(len(parts[0].attributions))
        ]
        deltas = [part.delta for part in parts if part.delta is not None]
        if deltas:
            outputs.append(self._output("convergence_delta", deltas))
        chosen = [each for each in targets if isinstance(each, self._torch.Tensor)]
        if chosen:
            outputs.append(self._output(_TARGET, chosen))
        return outputs

    def _output(self, name: str, parts: Sequence[torch.Tensor]) -> Tensor:
        joined = self._torch.cat(list(parts)).detach().cpu()
        if joined.dtype is self._torch.bfloat16:
            joined = joined.float()
        return Tensor.from_numpy(name, joined.numpy())


def _kind(native: Any) -> str:
    return f"{type(native).__module__}.{type(native).__name__}"


def _rows_at_once(model: AnyModel, most: int) -> int:
    """Rows that are explained together: as many as may be, or as the model takes where it takes no other number."""
    lengths = {spec.shape[0] for spec in model.metadata.inputs if spec.shape and spec.shape[0] > 0}
    return max(lengths, default=most)


def _index(value: Any) -> tuple[int, ...]:
    """An index of one or several dimensions.

    Raises:
        InvalidInput: it is none.
    """
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return (value,) if isinstance(value, int) else tuple(int(part) for part in value.split(","))
    except ValueError:
        raise errors.InvalidInput(
            f"The parameter target is {value!r}, and not an index.", remedy='Write a number, or "3,0,1" for several.'
        ) from None

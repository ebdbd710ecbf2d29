"""The runtime: from an artefact to a model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import Artifact, LoadSettings, Runtime, TensorSpec, errors
from fairlead.runtimes import opening, threads
from fairlead_runtime_torch import declared, devices, files
from fairlead_runtime_torch._plugin import SPEC
from fairlead_runtime_torch.files import Form
from fairlead_runtime_torch.model import TorchModel

if TYPE_CHECKING:
    import torch

    from fairlead.contracts.runtime import SettingValue
    from fairlead_runtime_torch.program import Program
    from fairlead_runtime_torch.weights import Stored

__all__ = ["TorchRuntime"]


class TorchRuntime(Runtime):
    """Loads programs of torch.export, TorchScript, and weights with the class beside them."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> TorchModel:
        """Load the one model file at the top level of an artefact; safetensors are read while files still arrive.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            UnpicklingRefused: the policy does not permit it, or the file of its class.
            ModelLoadError: it does not load, or cannot be compiled, or is packed for TorchServe.
            ConfigurationError: a setting is wrong, or nothing for this model.
        """
        options = {setting.name: setting.default for setting in SPEC.settings} | dict(settings.options)
        inputs = declared.parse(str(options["inputs"]))
        count = threads.chosen(settings)
        stored = _read_early(artifact)
        path = files.find(artifact)
        form = _form(path)
        saved_with = files.saved_with(artifact)
        recorded = saved_with.get("torch")
        with opening.guarded(path, SPEC.libraries[0], plugin=SPEC.name, recorded=recorded, takes=_is_known) as notes:
            _set_threads(count)
            device = devices.choose(str(options["device"]))
            program = _opened(path, form, settings, inputs, device, options, stored)
        return TorchModel(
            program,
            device,
            batching=str(options["batching"]),
            compiled=str(options["compile"]),
            saved_with=saved_with,
            notes=notes,
        )


def _read_early(artifact: Artifact) -> Stored | None:
    """The weights of an artefact, where they can be read before all of it is here."""
    from fairlead_runtime_torch import weights

    name = files.find_safetensors(artifact)
    if name is None:
        return None
    with artifact.open(name) as file:
        return weights.stored(file, name)


def _form(path: Path) -> Form:
    if path.stat().st_size == 0:
        raise errors.ModelLoadError(f"{path.name} is empty.", remedy="Save the model again, or copy the file again.")
    form = files.form_of(path)
    if form is Form.TORCHSERVE:
        raise files.not_served(path.name)
    if form is Form.COMPILED:
        raise errors.ModelLoadError(
            f"{path.name} is {form.value}: compiled code for one kind of machine, which is not served.",
            remedy="Save the program itself with torch.export.save; the setting compile compiles it where it runs.",
        )
    if form is None:
        raise errors.ModelLoadError(
            f"{path.name} is no file of PyTorch: neither a program of torch.export, nor TorchScript, nor weights.",
            remedy="Check that the file is whole, and of this framework.",
        )
    return form


def _opened(
    path: Path,
    form: Form,
    settings: LoadSettings,
    inputs: tuple[TensorSpec, ...],
    device: torch.device,
    options: Mapping[str, SettingValue],
    stored: Stored | None,
) -> Program:
    from fairlead_runtime_torch import exported, scripted, weights

    policy = settings.unpickling
    of_class = {name: str(options[name]) for name in ("class", "options")}
    if form in (Form.SAVED, Form.SAFETENSORS):
        read = weights.read(path, form) if stored is None else weights.tensors(stored, path.name)
        return weights.program(path, read, policy, inputs, device, name=of_class["class"], options=of_class["options"])
    for name, value in of_class.items():
        if value:
            raise errors.ConfigurationError(
                f"setting {name}: {path.name} is {form.value}, which has no class beside it."
            )
    if form is Form.SCRIPT:
        return scripted.program(path, policy, inputs, device)
    if inputs:
        raise errors.ConfigurationError(f"setting inputs: {path.name} is {form.value}, and tells its inputs itself.")
    import torch

    # It holds pickles and expressions, and torch.export.load runs what is in them.
    with policy.open(path) as file:
        return exported.program(torch.export.load(file), device)


def _set_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)
    with contextlib.suppress(RuntimeError):  # the pool between operators has started: it is set once in a process
        torch.set_num_interop_threads(1)


def _is_known(warning: Warning) -> bool:
    """What the README says: TorchScript is deprecated."""
    return isinstance(warning, DeprecationWarning) and "torch.jit" in str(warning)

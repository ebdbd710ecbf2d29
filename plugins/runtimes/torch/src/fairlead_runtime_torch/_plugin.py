"""What the core needs to know of this runtime; importing it loads neither PyTorch nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, Setting, hookimpl
from fairlead.runtimes import threads

__all__ = ["COMPILE", "FILES", "SPEC", "TORCHSERVE", "fairlead_runtimes"]

FILES: Final = ("*.pt2", "*.pt", "*.pth", "*.ts", "*.torchscript", "*.safetensors")
"""Names of the files that are loaded."""

TORCHSERVE: Final = ("*.mar", "model-store/")
"""What TorchServe keeps its models in: chosen for this runtime so that its error can say what to do instead."""

COMPILE: Final = ("false", "true", "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
"""Values of the setting ``compile``: off, on, or a mode of ``torch.compile``."""

SPEC: Final = RuntimeSpec(
    name="torch",
    formats=(ModelFormat("pytorch", version="1", priority=2), ModelFormat("pytorch", version="2", priority=2)),
    factory="fairlead_runtime_torch.runtime:TorchRuntime",
    artifacts=(*FILES, *TORCHSERVE),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING}),
    libraries=(Library("torch", "torch"),),
    settings=(
        Setting("device", "auto", "Where the model computes: auto (CUDA where there is any), cpu, cuda:1, mps."),
        Setting(
            "inputs",
            "",
            "The inputs of a model whose file does not tell them, for example x:FP32[-1,3,224,224];mask:BOOL[-1].",
        ),
        Setting(
            "batching",
            "auto",
            "Whether rows are independent, so that requests are joined; auto asks the declared shapes.",
            choices=("auto", "true", "false"),
        ),
        Setting(
            "compile",
            "false",
            "Whether torch.compile compiles the model while it loads, and in which mode.",
            choices=COMPILE,
        ),
        Setting("class", "", "The class in model.py beside a file of weights, where that defines several."),
        Setting("options", "", "Arguments of that class, as a JSON object."),
        threads.NTHREAD,
    ),
    unpickles=True,
    reads_early=True,
    recorded="fairlead_runtime_torch.files:saved_with",
    recognises="fairlead_runtime_torch.files:recognises",
    aliases=("kserve-torchserve", "kserve-tritonserver"),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The PyTorch runtime."""
    return (SPEC,)

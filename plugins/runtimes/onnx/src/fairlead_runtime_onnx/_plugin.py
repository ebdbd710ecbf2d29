"""What the core needs to know of this runtime; importing it loads neither onnxruntime nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, Setting, hookimpl
from fairlead.runtimes import threads

__all__ = ["SPEC", "fairlead_runtimes"]

SPEC: Final = RuntimeSpec(
    name="onnx",
    formats=(ModelFormat("onnx", version="1"),),
    factory="fairlead_runtime_onnx.runtime:OnnxRuntime",
    artifacts=("*.onnx",),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING}),
    libraries=(
        Library(
            "onnxruntime",
            "onnxruntime",
            alternatives=("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-qnn"),
            writes=False,
        ),
    ),
    settings=(
        Setting(
            "providers",
            "",
            "Execution providers, the preferred first, for example cuda or tensorrt,cuda; nothing stands for CUDA "
            "where onnxruntime has it and a device is visible, and for the CPU elsewhere.",
        ),
        Setting(
            "optimization",
            "all",
            "How far onnxruntime optimises the graph.",
            choices=("disabled", "basic", "extended", "all"),
        ),
        threads.NTHREAD,
        Setting("spinning", False, "Whether idle threads wait in a busy loop for the next piece of work."),
        Setting(
            "overridable",
            True,
            "Whether a request may give values for initializers that the graph lets be overridden.",
        ),
    ),
    aliases=("kserve-tritonserver", "kserve-openvino"),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The ONNX runtime."""
    return (SPEC,)

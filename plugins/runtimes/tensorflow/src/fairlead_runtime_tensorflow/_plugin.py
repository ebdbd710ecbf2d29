"""What the core needs to know of this runtime; importing it loads neither TensorFlow nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, Setting, hookimpl
from fairlead.runtimes.threads import NTHREAD

__all__ = ["SPEC", "fairlead_runtimes"]

SPEC: Final = RuntimeSpec(
    name="tensorflow",
    formats=(ModelFormat("tensorflow", version="1"), ModelFormat("tensorflow", version="2")),
    factory="fairlead_runtime_tensorflow.runtime:TensorflowRuntime",
    artifacts=("saved_model.pb", "*.keras", "*.h5", "[0-9]*/"),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING}),
    libraries=(
        Library(
            "tensorflow",
            "tensorflow",
            alternatives=("tensorflow-cpu", "tensorflow-macos", "tf-nightly"),
            reads_older=True,
            hint="fairlead-runtime-tensorflow[cpu]",
        ),
    ),
    settings=(
        Setting(
            "signature",
            "",
            "The signature that answers a request which names none; empty for serving_default, or the only one.",
        ),
        NTHREAD,
    ),
    unpickles=True,
    recorded="fairlead_runtime_tensorflow.versions:recorded",
    recognises="fairlead_runtime_tensorflow.layout:recognises",
    aliases=("kserve-tensorflow-serving",),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The TensorFlow runtime."""
    return (SPEC,)

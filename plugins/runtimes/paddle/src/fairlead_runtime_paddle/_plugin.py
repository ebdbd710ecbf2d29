"""What the core needs to know of this runtime; importing it loads neither PaddlePaddle nor numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes.threads import NTHREAD

__all__ = ["SPEC", "fairlead_runtimes"]

SPEC: Final = RuntimeSpec(
    name="paddle",
    formats=(ModelFormat("paddle", version="2"),),
    factory="fairlead_runtime_paddle.runtime:PaddleRuntime",
    artifacts=("*.pdmodel", "*.json", "*.pdiparams"),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.BATCHING}),
    libraries=(Library("paddlepaddle", "paddle", alternatives=("paddlepaddle-gpu",)),),
    settings=(NTHREAD,),
    recorded="fairlead_runtime_paddle.files:recorded",
    recognises="fairlead_runtime_paddle.files:recognises",
    aliases=("kserve-paddleserver",),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The PaddlePaddle runtime."""
    return (SPEC,)

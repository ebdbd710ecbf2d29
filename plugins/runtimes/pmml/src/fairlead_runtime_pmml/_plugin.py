"""What the core needs to know of this runtime; importing it loads neither JPMML nor numpy, and starts no JVM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import Capability, ModelFormat, RuntimeSpec, hookimpl

__all__ = ["SPEC", "fairlead_runtimes"]

# A document of PMML is made to outlive the library that reads it, so that no version of one decides whether it loads.
SPEC: Final = RuntimeSpec(
    name="pmml",
    formats=(ModelFormat("pmml", version="3"), ModelFormat("pmml", version="4")),
    factory="fairlead_runtime_pmml.runtime:PmmlRuntime",
    artifacts=("*.pmml",),
    capabilities=frozenset({Capability.ANY_THREAD, Capability.COLUMNS}),
    aliases=("kserve-pmmlserver",),
)


@hookimpl
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The PMML runtime."""
    return (SPEC,)

"""Registers the runtime ``python``: a file of Python code that defines a `fairlead.CustomModel`."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.runtime import Capability, ModelFormat, RuntimeSpec, Setting
from fairlead.hookspecs import hookimpl

SPEC = RuntimeSpec(
    name="python",
    formats=(ModelFormat("python"),),
    factory="fairlead.custom.runtime:PythonRuntime",
    artifacts=("*.py",),
    capabilities=frozenset(
        {Capability.ANY_THREAD, Capability.BATCHING, Capability.COLUMNS, Capability.EXPLAIN, Capability.JSON}
    ),
    settings=(
        Setting(
            name="class",
            default="",
            help="The name of the CustomModel subclass to serve, where the file defines several.",
        ),
        Setting(
            name="options",
            default="",
            help="The model's own options as a JSON object; the model finds them in self.options.",
        ),
    ),
    unpickles=True,
)


@hookimpl
def fairlead_runtimes() -> Sequence[RuntimeSpec]:
    """The one runtime for models that are written in Python."""
    return (SPEC,)

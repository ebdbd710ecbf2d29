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
        Setting(
            name="predictor_host",
            default="",
            help="host:port of the predictor that a transformer or an explainer asks.",
            flags=("--predictor_host", "--predictor-host"),
        ),
        Setting(
            name="predictor_protocol",
            default="v1",
            help="The protocol that the predictor is asked by.",
            choices=("v1", "v2", "grpc-v2"),
            flags=("--predictor_protocol", "--predictor-protocol"),
        ),
        Setting(
            name="predictor_use_ssl",
            default=False,
            help="Whether the predictor is asked over TLS.",
            flags=("--predictor_use_ssl", "--predictor-use-ssl"),
        ),
        Setting(
            name="predictor_request_timeout_seconds",
            default=600,
            help="Seconds within which the predictor must answer, where the client waits as long; 0 for any.",
            flags=("--predictor_request_timeout_seconds", "--predictor-request-timeout-seconds"),
        ),
    ),
    unpickles=True,
    requirements="fairlead.custom.requirements:of_artifact",
)


@hookimpl
def fairlead_runtimes() -> Sequence[RuntimeSpec]:
    """The one runtime for models that are written in Python."""
    return (SPEC,)

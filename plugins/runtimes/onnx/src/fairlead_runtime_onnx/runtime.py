"""The runtime: from an artefact to a model."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import Artifact, LoadSettings, Runtime, errors
from fairlead.runtimes import opening, threads
from fairlead_runtime_onnx import devices, external, failures, graph, interface
from fairlead_runtime_onnx._plugin import SPEC
from fairlead_runtime_onnx.model import OnnxModel

if TYPE_CHECKING:
    from fairlead_runtime_onnx.graph import Header
    from fairlead_runtime_onnx.wire import Buffer

__all__ = ["OnnxRuntime"]

_SILENT: Final = 4
"""onnxruntime's severity of fatal errors: it would write the others to stderr, and raises them as well."""

_LEVELS: Final[Mapping[str, str]] = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


class OnnxRuntime(Runtime):
    """Loads graphs from .onnx files."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> OnnxModel:
        """Load the one model file at the top level of an artefact.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            ModelLoadError: it does not load, keeps data outside of the artefact, or has types that no tensor carries.
            ConfigurationError: the number of threads is negative, or a provider is not available.
        """
        options = {setting.name: setting.default for setting in SPEC.settings} | dict(settings.options)
        count = threads.chosen(settings)
        path = artifact.only(SPEC.artifacts)
        folder = None if artifact.path.is_file() else artifact.path
        with opening.guarded(path, SPEC.libraries[0], plugin=SPEC.name) as notes, graph.mapped(path) as data:
            header = _inspected(path, data, folder)
            session, providers, found = _opened(path, options, count)
            with _as_damage(path):
                described = interface.read(path.name, session, data, overridable=bool(options["overridable"]))
        return OnnxModel(session, described, properties=_properties(header, providers), notes=(*notes, *found))


def _inspected(path: Path, data: Buffer, folder: Path | None) -> Header:
    """What the file says of itself, once it is known to name no file outside of the artefact."""
    with _as_damage(path):
        header = graph.header(data)
        external.check(path, data, folder)
    return header


@contextlib.contextmanager
def _as_damage(path: Path) -> Iterator[None]:
    """Say of bytes that cannot be read that the file is damaged; of an empty one the caller says more."""
    try:
        yield
    except ValueError as error:
        if path.stat().st_size == 0:
            raise
        raise failures.not_a_model(path.name, str(error)) from error


def _opened(path: Path, options: Mapping[str, Any], count: int) -> tuple[Any, list[str], list[str]]:
    """The session, the providers that it really uses, and findings.

    Raises:
        ConfigurationError: a provider is not available.
        ModelLoadError: onnxruntime refuses the model, or a provider that was asked for does not start.
    """
    import onnxruntime

    version = onnxruntime.__version__
    onnxruntime.set_default_logger_severity(_SILENT)
    asked = str(options["providers"])
    wanted = devices.resolve(asked, onnxruntime.get_available_providers(), version)
    said = _preloaded(onnxruntime) if devices.CUDA in wanted else ""
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = _SILENT
    session_options.intra_op_num_threads = count
    session_options.inter_op_num_threads = 1
    level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[str(options["optimization"])])
    session_options.graph_optimization_level = level
    session_options.add_session_config_entry("session.load_model_format", "ONNX")
    session_options.add_session_config_entry("session.intra_op.allow_spinning", str(int(bool(options["spinning"]))))
    try:
        session = onnxruntime.InferenceSession(str(path), session_options, providers=wanted, enable_fallback=False)
    except Exception as error:
        raise failures.explained(path.name, error, version) or error from error
    session.disable_fallback()
    used = session.get_providers()
    missing = [name for name in wanted if name not in used]
    if not missing:
        return session, used, []
    what = f"onnxruntime {version} has {', '.join(missing)}, which does not start here{f' ({said})' if said else ''}"
    if asked:
        raise errors.ModelLoadError(
            f"{what}, and the setting providers asks for it.", remedy="Check its driver and its libraries."
        )
    return session, used, [f"{what}; the model runs on {', '.join(used)}."]


def _preloaded(onnxruntime: Any) -> str:
    """Load CUDA's libraries from the packages that pip installs them from; returns what went wrong."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        onnxruntime.preload_dlls()
    return " ".join(said.getvalue().split())


def _properties(header: Header, providers: list[str]) -> dict[str, str]:
    return {
        "device": devices.device_of(providers),
        "providers": ", ".join(providers),
        "ir_version": str(header.ir_version),
        "opset": ", ".join(f"{domain} {version}" for domain, version in header.opsets.items()),
        **({"producer": header.producer} if header.producer else {}),
    }

"""The Java virtual machine of the process, in which JPMML evaluates models."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any, Final

from fairlead import errors

__all__ = ["backend"]

_ONE: Final = threading.Lock()
_PACKAGES: Final = ("java", "org")
_OPTIONS: Final = (
    "-Xrs",  # leaves SIGTERM and SIGINT to the server
    "-Djava.awt.headless=true",
)


def backend() -> Any:
    """What JPMML calls Java through; the JVM is started by the first call, and stays until the process ends.

    Threads are attached to it as they call.

    Raises:
        ModelLoadError: JPMML is not installed, or no Java runtime.
    """
    if importlib.util.find_spec("jpmml_evaluator") is None:
        raise errors.ModelLoadError(
            "The runtime pmml needs the package jpmml-evaluator, which is not installed.",
            remedy="Its licence is the AGPL 3.0. If that suits you: pip install jpmml-evaluator",
        )
    import jpype

    with _ONE:
        if not jpype.isJVMStarted():
            _start(jpype)
        from jpmml_evaluator.jpype import JPypeBackend

        _keep_apart()
        return JPypeBackend()


class _Apart:
    """Jpype's way to import Java's packages as modules, for those of JPMML and Java alone.

    JPMML brings a package ``dill``: whoever tries to import the module of that name, where it is not installed, would
    get the package of Java, and not an ImportError.

    Args:
        finder: jpype's own.
    """

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """As an importer does."""
        return self._finder.find_spec(name, path, target) if name.partition(".")[0] in _PACKAGES else None


def _keep_apart() -> None:
    sys.meta_path[:] = [
        _Apart(finder) if type(finder).__module__ == "jpype.imports" else finder for finder in sys.meta_path
    ]


def _start(jpype: Any) -> None:
    import jpmml_evaluator

    package = Path(jpmml_evaluator.__file__).parent
    jars = [str(jar) for folder in ("resources", "dependencies") for jar in sorted((package / folder).glob("*.jar"))]
    try:
        jpype.startJVM(*_OPTIONS, classpath=jars)
    except jpype.JVMNotFoundException as error:
        raise errors.ModelLoadError(
            f"The runtime pmml needs a Java runtime, and there is none: {error}.",
            remedy="Install a Java runtime, for example: apt-get install default-jre-headless",
        ) from error

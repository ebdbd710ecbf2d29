"""The Java virtual machine of the process, in which JPMML evaluates models."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any, Final

from fairlead import errors

__all__ = ["backend"]

_ONE: Final = threading.Lock()
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

        return JPypeBackend()


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

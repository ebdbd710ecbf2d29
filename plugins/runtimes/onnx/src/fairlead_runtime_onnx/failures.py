"""onnxruntime's errors in words that a user can act on."""

from __future__ import annotations

import re
from typing import Final

from fairlead import errors

__all__ = ["explained", "is_native", "is_of_the_input", "text_of"]

_NATIVE: Final = "onnxruntime.capi.onnxruntime_pybind11_state"
_CODE: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_PLACE: Final = re.compile(r"/\S+\.(?:cc|cu|h|cuh):\d+ [^()]*\([^()]*\)(?: const)? ?")
"""A place in onnxruntime's source, and the signature of the function there."""

_IR_VERSION: Final = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_OPSET: Final = re.compile(r"Opset (\d+) is under development.* for domain (\S+) is till opset (\d+)", re.DOTALL)
_OPERATOR: Final = re.compile(
    r"(?P<custom>\S+?)\(-?\d+\) is not a registered function/op"
    r"|No Op registered for (?P<missing>\S+) with domain_version of (?P<opset>\d+)"
    r"|, (?P<unimported>\w+), \"(?P<domain>[^\"]+)\", -?\d+\).* No opset import for domain",
    re.DOTALL,
)
_UNIMPLEMENTED: Final = re.compile(r"Could not find an implementation for (\S+) node")

_INSIDE: Final = ("allocate", "CUDA", "CUBLAS", "CUDNN", "cudnn", "TensorRT", "EP_FAIL")
"""Words of a failure that is not the request's."""


def is_native(error: Exception) -> bool:
    """Whether onnxruntime raised it."""
    return type(error).__module__ == _NATIVE


def is_of_the_input(error: Exception) -> bool:
    """Whether a failed run is the fault of what it was given: an argument, or an operator that could not take it."""
    text = str(error)
    if any(word in text for word in _INSIDE):
        return False
    return type(error).__name__ == "InvalidArgument" or "Non-zero status code returned while running" in text


def text_of(error: Exception) -> str:
    """The text of an error, on one line, without codes and places in onnxruntime's source."""
    return " ".join(_PLACE.sub("", _CODE.sub("", str(error))).split())


def explained(name: str, error: Exception, version: str) -> errors.ModelLoadError | None:
    """The error of a model that does not load, where onnxruntime's own text says too little; None elsewhere.

    Args:
        name: the name of the model's file.
        error: what was raised.
        version: the version of onnxruntime.
    """
    text = text_of(error)
    newer = "Install a newer onnxruntime, or save the model for an older version."
    if found := _IR_VERSION.search(text):
        return errors.ModelLoadError(
            f"{name} has version {found[1]} of the ONNX file format (IR), and onnxruntime {version} reads those up to "
            f"{found[2]}.",
            remedy=newer,
        )
    if found := _OPSET.search(text):
        return errors.ModelLoadError(
            f"{name} uses opset {found[1]} of {found[2]}, and onnxruntime {version} has opsets up to {found[3]}.",
            remedy=newer,
        )
    if found := _OPERATOR.search(text):
        operator = found["custom"] or found["missing"] or f"{found['domain']}:{found['unimported']}"
        where = f" in opset {found['opset']}" if found["opset"] else ""
        return errors.ModelLoadError(
            f"{name} uses the operator {operator}, which onnxruntime {version} does not have{where}.",
            remedy="Export the model without it: libraries of custom operators are not loaded.",
        )
    if found := _UNIMPLEMENTED.search(text):
        return errors.ModelLoadError(
            f"{name} uses {found[1]} with types for which onnxruntime {version} has no implementation ({text}).",
            remedy="Export the model with other types, or use another execution provider.",
        )
    if type(error).__name__ == "InvalidProtobuf":
        return not_a_model(name, text)
    if is_native(error):
        return errors.ModelLoadError(
            f"{name} does not load with onnxruntime {version}: {text.rstrip('.')}.",
            remedy="Check that the file is whole, and export the model again.",
        )
    return None


def not_a_model(name: str, why: str) -> errors.ModelLoadError:
    """The error of a file that holds no ONNX model, or part of one."""
    return errors.ModelLoadError(
        f"{name} is no ONNX model, or is damaged: {why.rstrip('.')}.", remedy="Copy the file again, or export it again."
    )

"""The binary tensor data extension of the V2 protocol: a JSON part, and after it the buffers of its tensors.

The header ``inference-header-content-length`` is the length of the JSON part; a tensor without ``data`` has the
parameter ``binary_data_size``, and its buffer follows those of the tensors before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.protocol.documents import Body

__all__ = ["CONTENT_TYPE", "HEADER", "SIZE", "Buffers", "split"]

HEADER: Final = "inference-header-content-length"
CONTENT_TYPE: Final = "application/octet-stream"
SIZE: Final = "binary_data_size"

_DIGITS: Final = 19
"""Digits of 2**63 - 1; longer numbers are larger than any body, and are not worth parsing."""


class Buffers:
    """The binary part of a body, handed out from front to back.

    Args:
        view: the bytes after the JSON part, as a flat read-only view.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._taken = 0

    def take(self, size: int, where: str) -> memoryview:
        """The next ``size`` bytes, as a view.

        Raises:
            InvalidInput: so many are not left.
        """
        left = len(self._view) - self._taken
        if size > left:
            raise errors.InvalidInput(f"{where}: its buffer is to have {size} bytes, and {left} are left in the body")
        start, self._taken = self._taken, self._taken + size
        return self._view[start : self._taken]

    def finish(self) -> None:
        """Make sure that every byte was some tensor's.

        Raises:
            InvalidInput: some were not.
        """
        left = len(self._view) - self._taken
        if left:
            raise errors.InvalidInput(f"{left} bytes are left in the body after the buffers of all tensors")


def split(body: Body, headers: Mapping[str, str]) -> tuple[memoryview, Buffers | None]:
    """The JSON part of a body and its binary part; None for a body that is JSON alone.

    Raises:
        InvalidInput: the header is no length of a JSON part of this body.
    """
    view = memoryview(body).cast("B").toreadonly()
    header = headers.get(HEADER)
    if header is None:
        return view, None
    length = _length(header, len(view))
    return view[:length], Buffers(view[length:])


def _length(header: str, available: int) -> int:
    digits = header.strip()
    if not (digits.isascii() and digits.isdigit()):
        raise errors.InvalidInput(f"the header {HEADER} is {header[:40]!r}, which is not a length in bytes")
    if len(digits) > _DIGITS or int(digits) > available:
        raise errors.InvalidInput(f"the header {HEADER} is {digits[:40]}, and the body has only {available} bytes")
    length = int(digits)
    if length == 0:
        raise errors.InvalidInput(
            f"the header {HEADER} is 0, and a request without a JSON part is not supported.",
            remedy="Send the JSON part, with name, shape and datatype of each input, before the buffers.",
        )
    return length

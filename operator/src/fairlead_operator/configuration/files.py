"""A ConfigMap in a file, for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead import api, errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["data"]


def data(file: Path) -> Mapping[str, str]:
    """``data`` of the ConfigMap that a file declares.

    Raises:
        ConfigurationError: the file cannot be read, or declares something else.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigurationError(f"{file} cannot be read: {error}.") from error
    found = api.read(text, str(file))
    if len(found) == 1 and isinstance(found[0], api.ConfigMap):
        return found[0].data or {}
    kinds = ", ".join(each.kind for each in found) or "nothing"
    raise errors.ConfigurationError(f"{file} declares {kinds}, and not one ConfigMap.")

"""The typed façade over pluggy: which plugins are installed, what each provides, and why one cannot be used.

Discovery reads entry points and imports nothing. A plugin's module is imported when its specs are first asked for,
and its factory when work is to be done. A plugin that fails breaks only what needs it.
"""

from __future__ import annotations

from fairlead.plugins._discovery import ALLOW_LIST_VARIABLE
from fairlead.plugins._facade import STRICT_VARIABLE, Plugins, strict_from_environment
from fairlead.plugins._info import Kind, PluginInfo, PluginState
from fairlead.plugins._loading import traceback_of

__all__ = [
    "ALLOW_LIST_VARIABLE",
    "STRICT_VARIABLE",
    "Kind",
    "PluginInfo",
    "PluginState",
    "Plugins",
    "strict_from_environment",
    "traceback_of",
]

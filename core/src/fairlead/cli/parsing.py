"""The argument parser that every subcommand uses."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from fairlead import errors

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that takes whole option names only and raises in place of exiting.

    Subparsers made from one are of this class as well.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigurationError: always.
        """
        raise errors.ConfigurationError(f"{message}.", remedy=f"See: {self.prog} --help")

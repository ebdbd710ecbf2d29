"""The argument parser that every subcommand uses."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Sequence
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

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse a whole command line; a flag that there is not is named alone, with the nearest that there is.

        Raises:
            ConfigurationError: the command line is wrong.
        """
        found, extras = self.parse_known_args(arguments)
        if extras:
            self._refuse(extras)
        return found

    def _refuse(self, extras: Sequence[str]) -> NoReturn:
        # What stands behind an unknown flag may be its value, and is then no mistake of its own.
        flags = [word.partition("=")[0] for word in extras if word.startswith("-")]
        near = [each for flag in flags if (each := self._nearest(flag))]
        hint = f"Did you mean {' and '.join(dict.fromkeys(near))}? " if near else ""
        raise errors.ConfigurationError(
            f"unrecognized arguments: {' '.join(flags or extras)}.", remedy=f"{hint}See: {self.prog} --help"
        )

    def _nearest(self, flag: str) -> str | None:
        """The flag whose name is nearest, spelt with hyphens where it may be."""
        known: dict[str, str] = {}
        for spelling in _flags(self):
            known.setdefault(_plain(spelling), spelling)
        near = difflib.get_close_matches(_plain(flag), known, n=1)
        return known[near[0]] if near else None

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigurationError: always.
        """
        raise errors.ConfigurationError(f"{message}.", remedy=f"See: {self.prog} --help")


def _plain(flag: str) -> str:
    return flag.lstrip("-").replace("_", "-")


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The long flags that the help shows, those of the subcommands included."""
    for action in parser._actions:  # argparse has no public list of them
        if action.help is not argparse.SUPPRESS:
            yield from (spelling for spelling in action.option_strings if spelling.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _flags(each)

"""Reading settings out of annotations: each has a default and a range, and a value outside of it is an error."""

from __future__ import annotations

import dataclasses
import fractions
import math
import re
from collections.abc import Mapping
from typing import Final

from fairlead import errors

__all__ = ["Annotation", "duration"]

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_LENGTH: Final = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+|[+-]?0", re.ASCII)
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SECONDS: Final = {
    "h": fractions.Fraction(3600),
    "m": fractions.Fraction(60),
    "s": fractions.Fraction(1),
    "ms": fractions.Fraction(1, 1000),
    "us": fractions.Fraction(1, 1000**2),
    "µs": fractions.Fraction(1, 1000**2),
    "μs": fractions.Fraction(1, 1000**2),
    "ns": fractions.Fraction(1, 1000**3),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One setting.

    Attributes:
        name: the annotation's name, with the part before the slash.
        lowest: the least value that it takes.
        highest: the largest value that it takes; infinite for none.
        alias: an older name of the same annotation.
        unit: what the range is in, for messages.
        extra: a value that it takes besides.
        above: whether it must be above `lowest`, and not equal to it.
    """

    name: str
    lowest: float = 0.0
    highest: float = math.inf
    alias: str | None = None
    unit: str = ""
    extra: float | None = None
    above: bool = False

    def text(self, annotations: Mapping[str, str]) -> str | None:
        """What the annotation says, by either name; None when it is not there.

        Raises:
            ConfigurationError: it is there by both names, with two values.
        """
        said = {name: annotations[name] for name in (self.name, self.alias) if name is not None and name in annotations}
        if len({*said.values()}) > 1:
            raise errors.ConfigurationError(
                f"{self.name} and its older name {self.alias} differ: {' and '.join(map(repr, said.values()))}.",
                remedy=f"Remove {self.alias}.",
            )
        return next(iter(said.values()), None)

    def number(self, annotations: Mapping[str, str], default: float) -> float:
        """Its value as a number.

        Raises:
            ConfigurationError: it is not a number, or outside of the range.
        """
        text = self.text(annotations)
        if text is None:
            return default
        if _NUMBER.fullmatch(text) is None:
            raise self.wrong(text, "a number")
        return float(self._within(float(text), text, "a number"))

    def whole(self, annotations: Mapping[str, str], default: int) -> int:
        """Its value as a whole number.

        Raises:
            ConfigurationError: it is not a whole number, or outside of the range.
        """
        text = self.text(annotations)
        if text is None:
            return default
        if _WHOLE.fullmatch(text) is None:
            raise self.wrong(text, "a whole number")
        return int(self._within(int(text), text, "a whole number"))

    def seconds(self, annotations: Mapping[str, str], default: float, *, whole: bool = False) -> float:
        """Its value as a length of time, in seconds; with `whole`, of whole seconds only.

        Raises:
            ConfigurationError: it is not a length of time, or outside of the range.
        """
        text = self.text(annotations)
        if text is None:
            return default
        wanted = "a length of time such as 90s or 1m30s" + (", in whole seconds," if whole else "")
        value = duration(text)
        if value is None or (whole and value.denominator != 1):
            raise self.wrong(text, wanted)
        return float(self._within(value, text, wanted))

    def wrong(self, text: str, wanted: str) -> errors.ConfigurationError:
        """The error for a value that is not as wanted."""
        return errors.ConfigurationError(f"{self.name} is {text!r}.", remedy=f"Give {wanted}{self._range()}.")

    def _within(self, value: fractions.Fraction | float, text: str, wanted: str) -> fractions.Fraction | float:
        low = self.lowest < value if self.above else self.lowest <= value
        if value != self.extra and not (low and value <= self.highest and value < math.inf):
            raise self.wrong(text, wanted)
        return value

    def _range(self) -> str:
        besides = "" if self.extra is None else f", or {self.extra:g}"
        if self.highest == math.inf:
            return f" {'above' if self.above else 'of at least'} {self.lowest:g}{self.unit}{besides}"
        return f" from {self.lowest:g}{self.unit} to {self.highest:.10g}{self.unit}{besides}"


def duration(text: str) -> fractions.Fraction | None:
    """A length of time in the form of Go's ``time.ParseDuration``, in seconds; None when it is in another form."""
    if _LENGTH.fullmatch(text) is None:
        return None
    seconds = sum(
        (fractions.Fraction(amount.rstrip(".")) * _SECONDS[unit] for amount, unit in _PART.findall(text)),
        fractions.Fraction(0),
    )
    return -seconds if text.startswith("-") else seconds

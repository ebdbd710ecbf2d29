"""Silence: a revision whose requests all run into their timeout does not answer, whatever its probes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.local.gateway.envoy import Measured

__all__ = ["Silence"]

_IN_A_ROW: Final = 3
"""Requests without an answer after which it is told; one alone may have been too large a question."""


class Silence:
    """Counts the requests to one revision that ran into their timeout since one was last answered."""

    def __init__(self) -> None:
        self._ended = self._timed_out = 0
        self._in_a_row = 0

    def update(self, measured: Measured) -> None:
        """Take in a reading of counters; those that are smaller than before have begun anew."""
        ended = measured.total - measured.active
        if ended < self._ended or measured.timed_out < self._timed_out:
            self._ended, self._timed_out = ended, measured.timed_out
            return
        late = measured.timed_out - self._timed_out
        answered = ended - self._ended - late
        self._ended, self._timed_out = ended, measured.timed_out
        self._in_a_row = 0 if answered > 0 else self._in_a_row + late

    def told(self, timeout: float | None) -> str:
        """What to tell of it; empty where nothing is wrong.

        Args:
            timeout: seconds within which requests are to be answered.
        """
        if self._in_a_row < _IN_A_ROW:
            return ""
        within = "in time" if timeout is None else f"within {timeout:g} s"
        return (
            f"The last {_IN_A_ROW} requests or more had no answer {within}. See what the model does in its log, or give"
            " it more time with timeout."
        )

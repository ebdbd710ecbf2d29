"""What the hub's refusals mean; ``X-Error-Code`` tells more than the status does."""

from __future__ import annotations

import http
import re
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http import client
from fairlead.storage.http.locations import Location

if TYPE_CHECKING:
    from fairlead.storage.http.client import Answer
    from fairlead_storage_huggingface.settings import HubSettings

__all__ = ["failure"]

_REMEDY: Final = "Set HF_TOKEN (in a Secret: the key HF_TOKEN) to a token"
_RESET: Final = re.compile(r"(?:^|[;,\s])t=(\d{1,9})")
_DENIED: Final = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN)


def failure(answer: Answer, subject: str, settings: HubSettings) -> errors.StorageError:
    """The error that an answer means.

    Args:
        answer: what the hub, or the host that it redirected to, answered.
        subject: what was asked for, to begin a sentence with.
        settings: which hub was asked, and as whom.
    """
    if answer.location.origin != Location.parse(settings.endpoint).origin:
        return _elsewhere(answer)
    code = answer.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return errors.AccessDenied(
            f"{subject} is gated: its authors grant access to single users.",
            remedy=f"Ask for access on its page at {settings.endpoint}. {_REMEDY} of a user who has it.",
        )
    if code == "RevisionNotFound":
        return errors.ArtifactNotFound(f"{subject} has no such revision.", remedy="Name a branch, a tag or a commit.")
    if code == "EntryNotFound":
        return errors.ArtifactNotFound(f"{subject} is not in its repository.")
    if code == "RepoNotFound" or (answer.status == http.HTTPStatus.NOT_FOUND and not code):
        remedy = (
            "Look at the name, and whether the token may read it."
            if settings.token
            else f"Look at the name. If it is private: {_REMEDY} that may read it."
        )
        return errors.ArtifactNotFound(
            f"{subject} does not exist at {settings.endpoint}, or is private.", remedy=remedy
        )
    if answer.headers.get("X-Error-Message", "").startswith("Access to this resource is disabled"):
        return errors.AccessDenied(
            f"{subject} has been disabled at {settings.endpoint}.", remedy="Its page there says why."
        )
    if answer.status in _DENIED:
        known = "this token" if settings.token else "anonymous users"
        return errors.AccessDenied(
            f"{settings.endpoint} refuses {subject} to {known} ({answer.status}).",
            remedy=f"{_REMEDY} that is valid and may read it.",
        )
    if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        return _limited(answer, settings)
    return client.failure(answer)


def _limited(answer: Answer, settings: HubSettings) -> errors.StorageUnavailable:
    """The error of the hub's rate limit; ``RateLimit`` (``"api";r=0;t=55``) says until when, or ``Retry-After``."""
    general = client.failure(answer)
    assert isinstance(general, errors.StorageUnavailable)
    found = _RESET.search(answer.headers.get("RateLimit", ""))
    after = general.retry_after if general.retry_after is not None or found is None else float(found.group(1))
    remedy = None if settings.token else "The hub lets users with a token (HF_TOKEN) ask more often."
    return errors.StorageUnavailable(general.reason, remedy=remedy, retry_after=after)


def _elsewhere(answer: Answer) -> errors.StorageError:
    if answer.status in _DENIED:
        # The hub signed this address for this one request, and signs a new one for the next.
        return errors.StorageUnavailable(f"{answer.location}, where the hub redirects to, answered {answer.status}.")
    return client.failure(answer)

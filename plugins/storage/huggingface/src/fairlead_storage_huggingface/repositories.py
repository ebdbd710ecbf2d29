"""Addresses of model repositories: ``hf://owner/model[:revision]``."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from typing import Final

from fairlead import errors

__all__ = ["Repository"]

_PREFIX: Final = "hf://"
_FORM: Final = "The form is hf://owner/model, or hf://owner/model:revision."
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._\-]{0,95}")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_KINDS: Final = ("datasets", "spaces", "models")


@dataclasses.dataclass(frozen=True, slots=True)
class Repository:
    """A model repository at a revision.

    Attributes:
        owner: a user or an organisation.
        model: the name of the repository below its owner.
        revision: a branch, a tag, a commit or another git reference, which may hold slashes.
    """

    owner: str
    model: str
    revision: str = "main"

    @classmethod
    def parse(cls, uri: str) -> Repository:
        """Read an address.

        Raises:
            StorageError: it names no repository.
        """
        name, mark, revision = uri[len(_PREFIX) :].removesuffix("/").partition(":")
        parts = name.split("/")
        if len(parts) > 2 and parts[0] in _KINDS:
            raise errors.StorageError(f"{uri!a} begins with {parts[0]}/; only models are fetched.", remedy=_FORM)
        if len(parts) > 2:
            raise errors.StorageError(
                f"{uri!a} goes on below a repository, which is fetched as a whole.",
                remedy=f"{_FORM} Patterns of the names that are wanted go into STORAGE_ALLOW_PATTERNS.",
            )
        if len(parts) < 2:
            raise errors.StorageError(
                f"{uri!a} does not name an owner and a model.",
                remedy=f"{_FORM} Old names have owners too, for example openai-community/gpt2.",
            )
        owner, model = parts
        for what, text in (("owner", owner), ("model", model)):
            if not text:
                raise errors.StorageError(f"{uri!a}: the name of the {what} is empty.", remedy=_FORM)
            if not _NAME.fullmatch(text) or ".." in text:
                raise errors.StorageError(f"{uri!a}: {text!a} cannot be the name of a {what} on the hub.", remedy=_FORM)
        if mark and not revision:
            raise errors.StorageError(f"{uri!a}: the revision after the colon is empty.", remedy=_FORM)
        if _CONTROL.search(revision) or ".." in revision:
            raise errors.StorageError(f"{uri!a}: {revision!a} cannot be a revision.", remedy=_FORM)
        return cls(owner, model, revision) if mark else cls(owner, model)

    def __str__(self) -> str:
        return f"{self.owner}/{self.model}"

    @property
    def described(self) -> str:
        """The URL of its description at its revision, below the endpoint."""
        return f"/api/models/{self}/revision/{_quoted(self.revision)}"

    def tree(self, commit: str) -> str:
        """The URL of the list of all files of a commit, below the endpoint."""
        return f"/api/models/{self}/tree/{commit}?recursive=true"

    def content(self, commit: str, path: str) -> str:
        """The URL of one file of a commit, below the endpoint."""
        return f"/{self}/resolve/{commit}/{urllib.parse.quote(path, errors='surrogatepass')}"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")

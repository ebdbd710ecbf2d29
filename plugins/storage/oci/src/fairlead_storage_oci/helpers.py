"""Credential helpers: the programs ``docker-credential-<name>`` that keep logins for Docker."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from typing import Final

from fairlead import errors
from fairlead_storage_oci.logins import Login

__all__ = ["Helpers"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")
_TOKEN_USER: Final = "<token>"  # noqa: S105  # a name
"""The user name that says that the secret is an identity token; Docker's credential helper protocol."""


class Helpers:
    """Asks helper programs, one at a time.

    Args:
        timeout: seconds that a program may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None
        self._closed = False

    def get(self, name: str, server: str) -> Login | None:
        """The login that a helper has for a server; None where it has none.

        Raises:
            ConfigurationError: the program is not installed, or answers with something else.
            AccessDenied: the program fails.
            StorageUnavailable: it takes too long, or `close` was called.
        """
        program = f"docker-credential-{name}"
        path = shutil.which(program) if _NAME.fullmatch(name) else None
        if path is None:
            raise errors.ConfigurationError(
                f"The Docker configuration names the credential helper {name!a}, and there is no program "
                f"{program!a} on the PATH.",
                remedy="Install it, or log in without it: give the registry an entry of its own under auths.",
            )
        output, status = self._run(path, program, server)
        if status != 0:
            if "credentials not found" in output:
                return None
            raise errors.AccessDenied(
                f"{program} failed with exit status {status} for {server}.",
                remedy=f"Try it: echo {server} | {program} get",
            )
        return _login(output, program)

    def close(self) -> None:
        """End a program that runs, from any thread."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.kill()

    def _run(self, path: str, program: str, server: str) -> tuple[str, int]:
        with self._lock:
            if self._closed:
                raise errors.StorageUnavailable(f"{program} was not asked: the fetch has ended.")
            process = self._running = subprocess.Popen(
                [path, "get"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
        try:
            with process:
                try:
                    output, _ = process.communicate(server, timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise errors.StorageUnavailable(f"{program} did not answer within {self._timeout:g} s.") from None
        finally:
            with self._lock:
                self._running = None
        if self._closed:
            raise errors.StorageUnavailable(f"{program} was ended: the fetch has ended.")
        return output, process.returncode


def _login(output: str, program: str) -> Login:
    try:
        answer = json.loads(output)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        # The output is not shown, and no cause is kept: it may hold the secret.
        raise errors.ConfigurationError(f"{program} did not answer with a user name and a secret as JSON.") from None
    return Login(identity_token=secret) if user == _TOKEN_USER else Login(username=user, password=secret)

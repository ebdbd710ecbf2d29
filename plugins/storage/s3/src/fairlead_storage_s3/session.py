"""Sessions of botocore: the standard chain of credentials, or one identity and nothing of this machine."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from fairlead_storage_s3.options import Options

__all__ = ["quiet", "session_for"]

_LOGGERS: Final = {
    "aiobotocore": logging.WARNING,
    "aiobotocore.credentials": logging.ERROR,  # as botocore's below
    "aiohttp": logging.WARNING,
    "botocore": logging.WARNING,
    "botocore.credentials": logging.ERROR,  # which warns with the whole answer that it was given
    "fsspec": logging.WARNING,
    "s3fs": logging.WARNING,
}
_PROFILE: Final = "given"


def quiet() -> None:
    """Keep the loggers of the SDK from what they say of requests: signatures, tokens, and answers in whole.

    A level that somebody has set stays.
    """
    for name, level in _LOGGERS.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)


def session_for(options: Options) -> AioSession:
    """The session that credentials come from.

    Where an identity is given, neither the profile nor the files of this machine are read: keys are used as they are,
    and a web identity is asked for by the role that is given, and by no other.
    """
    from aiobotocore.session import AioSession

    if not options.given:
        session = AioSession()
    else:
        session = AioSession(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        if options.role is not None:
            session.register_component("credential_provider", _web_identity(session, options))
    session.register_component("data_loader", _loader())
    return session


@functools.cache
def _loader() -> Any:
    """What reads the SDK's descriptions of services; one for the process, for it keeps what it has read."""
    from botocore.loaders import create_loader

    return create_loader(os.environ.get("AWS_DATA_PATH"))


def _web_identity(session: AioSession, options: Options) -> Any:
    from aiobotocore.config import AioConfig
    from aiobotocore.credentials import AioAssumeRoleWithWebIdentityProvider, AioCredentialResolver

    profile = {"role_arn": options.role, "web_identity_token_file": options.token_file}
    if options.session_name is not None:
        profile["role_session_name"] = options.session_name

    def sts(service: str, config: AioConfig | None = None, **arguments: Any) -> Any:
        timeouts = AioConfig(
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            retries={"total_max_attempts": options.attempts, "mode": "standard"},
        )
        return session.create_client(
            service,
            region_name=options.region,
            endpoint_url=options.sts_endpoint,
            verify=options.verify,
            config=timeouts if config is None else timeouts.merge(config),
            **arguments,
        )

    provider = AioAssumeRoleWithWebIdentityProvider(
        load_config=lambda: {"profiles": {_PROFILE: profile}},
        client_creator=sts,
        profile_name=_PROFILE,
        cache={},
        disable_env_vars=True,
    )
    return AioCredentialResolver([provider])

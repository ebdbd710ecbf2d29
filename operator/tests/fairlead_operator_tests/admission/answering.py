"""What kopf hands to a server of webhooks to ask, with the handlers of the operator behind it."""

from __future__ import annotations

import functools
from typing import Any

import kopf
from kopf._cogs.configs.configuration import OperatorSettings
from kopf._cogs.structs.ephemera import AnyMemo
from kopf._cogs.structs.references import Insights, Resource
from kopf._core.engines.admission import serve_admission_request
from kopf._core.engines.indexing import OperatorIndexers
from kopf._core.reactor.inventory import ResourceMemories

from fairlead_operator import webhooks
from fairlead_operator_tests.admission.views import AView

__all__ = ["answering"]


def answering() -> Any:
    """What kopf gives a server to ask: the real handlers, for the kinds as it finds them in a cluster."""
    registry, memo = kopf.OperatorRegistry(), AnyMemo(kopf.Memo())
    webhooks.register(registry, AView())
    insights = Insights()
    for hook in (*webhooks.configurations({})[0]["webhooks"], *webhooks.configurations({})[1]["webhooks"]):
        rule = hook["rules"][0]
        insights.webhook_resources.add(
            Resource(rule["apiGroups"][0], rule["apiVersions"][0], rule["resources"][0], preferred=True)
        )
    return functools.partial(
        serve_admission_request,
        settings=OperatorSettings(),
        memories=ResourceMemories(),
        memobase=memo,
        registry=registry,
        insights=insights,
        indices=OperatorIndexers().indices,
    )

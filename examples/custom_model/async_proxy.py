"""An async model: asks another server, and adds to its answer. Needs httpx.

The address of the other server is an option: ``--set options='{"upstream": "http://127.0.0.1:9000/v1/models/m"}'``.
"""

from typing import Any

import httpx

from fairlead import CustomModel


class Proxy(CustomModel):
    def load(self) -> None:
        self.url = f"{self.options['upstream']}:predict"
        self.client = httpx.AsyncClient(timeout=10)

    async def predict(self, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        forwarded = {name: value for name, value in headers.items() if name == "x-request-id"}
        answer = await self.client.post(self.url, json=body, headers=forwarded)
        answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return result

    def postprocess(self, result: dict[str, Any]) -> dict[str, Any]:
        return {**result, "served_by": self.name}

    async def unload(self) -> None:
        await self.client.aclose()

"""A loaded model that answers requests by its signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import Capability, InferRequest, InferResponse, Model, ModelMetadata, errors
from fairlead_runtime_tensorflow.signatures import PARAMETER

if TYPE_CHECKING:
    from fairlead_runtime_tensorflow.savedmodel import Opened
    from fairlead_runtime_tensorflow.signatures import ServedSignature

__all__ = ["TensorflowModel"]

_USUAL: Final = "serving_default"


class TensorflowModel(Model):
    """Serves the signatures of a SavedModel or of a Keras model.

    Args:
        opened: what was loaded.
        signature: the one that answers a request which names none; empty for ``serving_default``, or the only one.
        properties: what the metadata says beside it.
        saved_with: the versions that saved it, by distribution.
        notes: findings of the load.

    Raises:
        ModelLoadError: it has no such signature, or one that no request can ask.
    """

    untried = "What its signatures take is not known well enough to make a sample"

    def __init__(
        self,
        opened: Opened,
        *,
        signature: str = "",
        properties: Mapping[str, str] | None = None,
        saved_with: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.native = opened.native
        self.saved_with = dict(saved_with or {})
        self._signatures = dict(opened.signatures)
        self._default = _chosen(opened, signature)
        batches = all(each.batches for each in self._signatures.values())
        self._metadata = ModelMetadata(
            platform="tensorflow",
            inputs=tuple(port.spec for port in self._default.inputs),
            outputs=tuple(port.spec for port in self._default.outputs),
            capabilities=frozenset({Capability.ANY_THREAD, *([Capability.BATCHING] if batches else [])}),
            properties={
                **(properties or {}),
                "signature": self._default.name,
                "signatures": ", ".join(self._signatures),
            },
        )
        self._samples, refused = self._tried()
        self.notes = [
            *notes,
            *(f"The signature {name!r} is not served: {error}" for name, error in opened.refused.items()),
            *refused,
        ]

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs and outputs of the signature that answers a request which names none."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """One request of zeros for each signature, but for those that may not take zeros, and do not."""
        return self._samples

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer by the signature that the parameter ``signature_name`` names, or by the default one.

        Raises:
            InvalidInput: there is no such signature, the request is not what it takes, or it refuses the values.
        """
        outputs = self._asked(request).answer(request)
        return InferResponse(model_name=request.model_name, outputs=outputs, id=request.id)

    def unload(self) -> None:
        """Let TensorFlow have the memory back."""
        self.native = None
        self._signatures = {}

    def _asked(self, request: InferRequest) -> ServedSignature:
        name = request.parameters.get(PARAMETER)
        if name is None:
            return self._default
        found = self._signatures.get(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(map(repr, self._signatures))
            raise errors.InvalidInput(f"The model has no signature {name!r}; it has {known}.")
        return found

    def _tried(self) -> tuple[list[InferRequest], list[str]]:
        """The samples that tell whether the model works, and a sentence for each signature that has none."""
        samples, notes = [], []
        for signature in sorted(self._signatures.values(), key=lambda each: each is not self._default):
            sample = signature.sample()
            refusal = None if sample is None else signature.refusal(sample)
            if sample is None:
                notes.append(
                    f"The signature {signature.name!r} is not tried: there is no small sample of what it takes."
                )
            elif refusal is not None:
                notes.append(f"The signature {signature.name!r} is not tried: it takes no sample of zeros ({refusal}).")
            else:
                samples.append(sample)
        return samples, notes


def _chosen(opened: Opened, wanted: str) -> ServedSignature:
    signatures, refused = opened.signatures, opened.refused
    known = ", ".join(map(repr, (*signatures, *refused)))
    if not known:
        raise errors.ModelLoadError(
            "The model has no signature to ask.",
            remedy="Save it with one: tf.saved_model.save(model, folder, signatures=model.function)",
        )
    name = wanted or (_USUAL if _USUAL in signatures or _USUAL in refused else "")
    if not name and len(signatures) + len(refused) == 1:
        name = next(iter((*signatures, *refused)))
    if name in refused:
        raise errors.ModelLoadError(f"The signature {name!r} cannot be served: {refused[name]}")
    if name not in signatures:
        what = f"no signature {name!r}" if name else f"several signatures, and none is named {_USUAL}"
        raise errors.ModelLoadError(
            f"The model has {what}; it has {known}.",
            remedy="Choose one, for example --set signature="
            f"{next(iter(signatures), 'NAME')}, or name it in each request (signature_name).",
        )
    return signatures[name]

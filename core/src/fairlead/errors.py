"""Every exception that Fairlead raises on purpose, as one tree.

::

    FairleadError                     something went wrong, and the text says what and what to do
    ├── RequestError                  this request cannot be answered
    │   ├── InvalidInput              the client sent something wrong
    │   │   ├── InvalidSchema         ... and here is the place in the body
    │   │   ├── PayloadTooLarge       ... more bytes than the limit
    │   │   └── UnsupportedMediaType  ... an encoding that this route does not take
    │   ├── ModelNotFound             no model of that name is known
    │   ├── ModelNotReady             the model is known, and is loading, failed or unloaded
    │   ├── ServerNotReady            the server is starting or draining
    │   ├── Overloaded                the queue is full, or memory is; try again later
    │   ├── DeadlineExceeded          no answer within the deadline
    │   ├── TooManyCalls              an explanation asks the model more often than the server permits
    │   ├── NotSupported              the model or the server does not offer this
    │   ├── InferenceFailed           the model raised, or answered nonsense
    │   └── PredictorFailed           the predictor behind this server answered with an error
    │       └── PredictorUnavailable  ... or cannot be reached
    ├── ConfigurationError            a setting, a flag or a combination of them is wrong
    │   ├── InvalidManifest           a document declares no object that is known, or declares it wrong
    │   └── Unresolvable              an InferenceService that nothing here can run as it stands
    ├── PluginError                   a plugin cannot be used
    │   ├── PluginNotInstalled        nothing of that name is installed
    │   ├── PluginBroken              it is installed, and raises
    │   ├── PluginIncompatible        it is installed, and made for another version of the core
    │   ├── PluginDuplicate           two distributions claim one name
    │   └── PluginBlocked             it is installed, and not on the allow-list
    ├── StorageError                  an artefact cannot be fetched
    │   ├── ArtifactNotFound          there is nothing at that address
    │   ├── AccessDenied              there is, and these credentials may not read it
    │   ├── StorageUnavailable        a fault that may pass; the fetcher tries again
    │   ├── IntegrityError            size, digest or ETag are not what the source announced
    │   ├── UnsafeArtifact            it would write outside the target, or reach a forbidden host
    │   ├── StorageLimitExceeded      too many bytes, members, or too much expansion
    │   └── StorageTimeout            the deadline of the whole fetch has passed
    ├── PlatformError                 the platform on this machine cannot do what it was asked
    │   ├── PlatformNotRunning        no platform of that name runs
    │   ├── ReplicaFailed             a replica cannot be started, or has ended
    │   └── StateNotSaved             what it is to remember cannot be written; it goes on without
    ├── ClusterError                  the API server of a Kubernetes cluster does not do what it was asked
    │   ├── ClusterUnavailable        it cannot be reached, or asks to be asked again later
    │   ├── ObjectNotFound            there is no such object, or no such kind
    │   ├── ObjectConflict            another changed the object in between, or holds a field of it
    │   ├── ObjectNotReady            what was waited for failed, or is not ready in time
    │   └── ObjectRefused             it does not take the object, or this user may not
    └── ModelLoadError                an artefact was fetched and does not become a model
        ├── ArtifactMissing           no file that the runtime could load
        ├── ArtifactAmbiguous         more than one
        ├── FormatUnknown             no installed runtime takes it, or several do
        ├── UnpicklingRefused         the unpickling policy forbids to load it
        ├── BudgetExceeded            it does not fit in the memory that models may take
        └── SampleFailed              it loads, but does not answer a sample

Domain code raises these and knows no web framework; each protocol shell has one table from class to status.
"""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "ArtifactAmbiguous",
    "ArtifactMissing",
    "ArtifactNotFound",
    "BudgetExceeded",
    "ClusterError",
    "ClusterUnavailable",
    "ConfigurationError",
    "DeadlineExceeded",
    "FairleadError",
    "FormatUnknown",
    "InferenceFailed",
    "IntegrityError",
    "InvalidInput",
    "InvalidManifest",
    "InvalidSchema",
    "ModelLoadError",
    "ModelNotFound",
    "ModelNotReady",
    "NotSupported",
    "ObjectConflict",
    "ObjectNotFound",
    "ObjectNotReady",
    "ObjectRefused",
    "Overloaded",
    "PayloadTooLarge",
    "PlatformError",
    "PlatformNotRunning",
    "PluginBlocked",
    "PluginBroken",
    "PluginDuplicate",
    "PluginError",
    "PluginIncompatible",
    "PluginNotInstalled",
    "PredictorFailed",
    "PredictorUnavailable",
    "ReplicaFailed",
    "RequestError",
    "SampleFailed",
    "ServerNotReady",
    "StateNotSaved",
    "StorageError",
    "StorageLimitExceeded",
    "StorageTimeout",
    "StorageUnavailable",
    "TooManyCalls",
    "UnpicklingRefused",
    "Unresolvable",
    "UnsafeArtifact",
    "UnsupportedMediaType",
]


class FairleadError(Exception):
    """The root of the tree.

    Args:
        reason: what went wrong, in one sentence that a user can act on.
        remedy: what to do next, where that is known; shown after the reason.
    """

    def __init__(self, reason: str, *, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}" if self.remedy else self.reason


# -- requests -------------------------------------------------------------------------------------------


class RequestError(FairleadError):
    """This request cannot be answered; the model and the server go on."""


class InvalidInput(RequestError):
    """The client sent something wrong, and sending it again will not help."""


class InvalidSchema(InvalidInput):
    """The body does not have the shape that the protocol asks for.

    Args:
        reason: what is wrong, without the place.
        location: the path to the place, outermost first, for example ``("inputs", 0, "shape")``.
        kind: a short machine-readable word for the kind of mistake, for example ``"missing"``.
    """

    def __init__(self, reason: str, *, location: tuple[str | int, ...], kind: str = "value_error") -> None:
        super().__init__(reason)
        self.location = location
        self.kind = kind

    def __str__(self) -> str:
        return f"{'.'.join(str(part) for part in self.location)}: {self.reason}"


class PayloadTooLarge(InvalidInput):
    """The body, or what it would expand to, is larger than the limit."""


class UnsupportedMediaType(InvalidInput):
    """The content type or content encoding is not one that this route takes."""


class ModelNotFound(RequestError):
    """No model of that name is known to this server."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Model with name {name} does not exist.")
        self.name = name


class ModelNotReady(RequestError):
    """The model is known, and cannot answer now.

    Args:
        name: the model's name.
        detail: why, where a client may know.
        retry_after: seconds after which a client may try again.
    """

    def __init__(self, name: str, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(f"Model with name {name} is not ready." + (f" {detail}" if detail else ""))
        self.name = name
        self.retry_after = retry_after


class ServerNotReady(RequestError):
    """The server is starting, or drains before it stops."""

    def __init__(self) -> None:
        super().__init__("Server is not ready.")


class Overloaded(RequestError):
    """The bounded queue of a model is full, or there is no memory to load it now.

    Args:
        reason: which bound was met.
        retry_after: seconds after which a client may try again.
    """

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class DeadlineExceeded(RequestError):
    """There was no answer within the deadline of the request."""


class TooManyCalls(RequestError):
    """An explanation asks the model more often than ``explain_max_calls`` permits."""


class NotSupported(RequestError):
    """The model or the server does not offer what was asked for."""


class InferenceFailed(RequestError):
    """The model raised an exception, or answered something that is no answer."""


class PredictorFailed(RequestError):
    """The predictor that a transformer or an explainer asks answered with an error, or with no answer at all.

    Args:
        reason: what it said, where it said something.
        status: the HTTP status for the client: the predictor's own where it tells the client something (400 to 499,
            501, 503, 504), 502 otherwise.
        remedy: what to do next.
        retry_after: seconds after which the client may try again, where that may help.
    """

    def __init__(
        self, reason: str, *, status: int = 502, remedy: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(reason, remedy=remedy)
        self.status = status
        self.retry_after = retry_after


class PredictorUnavailable(PredictorFailed):
    """The predictor cannot be reached, or the connection broke before it had answered."""

    def __init__(self, reason: str, *, remedy: str | None = None, retry_after: int = 1) -> None:
        super().__init__(reason, status=503, remedy=remedy, retry_after=retry_after)


# -- configuration --------------------------------------------------------------------------------------


class ConfigurationError(FairleadError):
    """A setting, a flag, or a combination of them is wrong."""


class InvalidManifest(ConfigurationError):
    """A text declares no object that is known, or declares one wrong.

    Args:
        problems: everything that was found, each with its place, in the order of the text.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unresolvable(ConfigurationError):
    """An InferenceService is well-formed, and nothing here can run it as it stands.

    Args:
        condition: why, as conditions say it in one word, such as ``NoSupportingRuntime``.
        reason: what is wrong, in one sentence.
        remedy: what to do next.
        candidates: the runtimes that were looked at (`fairlead.resolve.Candidate`), the best first.
    """

    def __init__(
        self, condition: str, reason: str, *, remedy: str | None = None, candidates: tuple[object, ...] = ()
    ) -> None:
        super().__init__(reason, remedy=remedy)
        self.condition = condition
        self.candidates = candidates


# -- plugins --------------------------------------------------------------------------------------------


class PluginError(FairleadError):
    """A plugin cannot be used."""


class PluginNotInstalled(PluginError):
    """No installed distribution provides a plugin of that name."""


class PluginBroken(PluginError):
    """The plugin is installed, and its import or its hook raises."""


class PluginIncompatible(PluginError):
    """The plugin is installed, and declares that it needs another version of the core."""


class PluginDuplicate(PluginError):
    """Two distributions claim the same plugin name."""


class PluginBlocked(PluginError):
    """The plugin is installed, and ``FAIRLEAD_PLUGINS`` does not list it."""


# -- storage --------------------------------------------------------------------------------------------


class StorageError(FairleadError):
    """An artefact cannot be fetched."""


class ArtifactNotFound(StorageError):
    """There is nothing at that address."""


class AccessDenied(StorageError):
    """The source refuses these credentials, or their absence."""


class StorageUnavailable(StorageError):
    """The source did not answer, or answered with a fault that may pass.

    Args:
        reason: what went wrong.
        remedy: what to do next.
        retry_after: seconds after which the source asks to be tried again, where it says so.
    """

    def __init__(self, reason: str, *, remedy: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason, remedy=remedy)
        self.retry_after = retry_after


class IntegrityError(StorageError):
    """Size, digest or ETag are not what the source announced."""


class UnsafeArtifact(StorageError):
    """The artefact would write outside its target, or its address is one that must not be reached."""


class StorageLimitExceeded(StorageError):
    """The artefact has more bytes or members, or expands further, than the limits allow."""


class StorageTimeout(StorageError):
    """The deadline of the whole fetch has passed."""


# -- the platform without a cluster ----------------------------------------------------------------------


class PlatformError(FairleadError):
    """The platform on this machine cannot do what it was asked."""


class PlatformNotRunning(PlatformError):
    """No platform of that name runs."""


class ReplicaFailed(PlatformError):
    """A replica cannot be started, or has ended; it is tried again.

    Args:
        condition: why, as conditions say it in one word, such as ``CrashLoopBackOff``.
        reason: why, in sentences.
        fetching: whether that was while its model was fetched.
    """

    def __init__(self, condition: str, reason: str, *, fetching: bool = False) -> None:
        super().__init__(reason)
        self.condition = condition
        self.fetching = fetching


class StateNotSaved(PlatformError):
    """What the platform is to remember cannot be written, for example because the disk is full; it goes on without."""


# -- clusters -------------------------------------------------------------------------------------------


class ClusterError(FairleadError):
    """The API server of a Kubernetes cluster does not do what it was asked.

    Args:
        reason: what it says.
        remedy: what to do next.
        status: the status code of its answer; 0 where there is none.
    """

    def __init__(self, reason: str, *, remedy: str | None = None, status: int = 0) -> None:
        super().__init__(reason, remedy=remedy)
        self.status = status


class ClusterUnavailable(ClusterError):
    """The API server cannot be reached, or asks to be asked again later.

    Args:
        reason: what happened.
        remedy: what to do next.
        status: the status code of its answer; 0 where there is none.
        retry_after: seconds after which it wants to be asked again, where it says so.
    """

    def __init__(
        self, reason: str, *, remedy: str | None = None, status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(reason, remedy=remedy, status=status)
        self.retry_after = retry_after


class ObjectNotFound(ClusterError):
    """There is no such object, or the cluster does not know its kind."""


class ObjectConflict(ClusterError):
    """Another changed the object since it was read, holds a field of it, or has made one of that name."""


class ObjectNotReady(ClusterError):
    """What was waited for failed, or is not ready in time.

    Args:
        reason: what it is, and what its status says.
        remedy: what to do next.
        conditions: its conditions that do not hold (`fairlead.api.status.Condition`).
        events: its events, the oldest first, each as a line.
    """

    def __init__(
        self,
        reason: str,
        *,
        remedy: str | None = None,
        conditions: tuple[object, ...] = (),
        events: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason, remedy=remedy)
        self.conditions = conditions
        self.events = events


class ObjectRefused(ClusterError):
    """The object is not valid, an admission webhook denies it, or this user may not do that."""


# -- models ---------------------------------------------------------------------------------------------


class ModelLoadError(FairleadError):
    """An artefact was fetched, and does not become a model."""


class ArtifactMissing(ModelLoadError):
    """The artefact holds no file that the runtime could load."""


class ArtifactAmbiguous(ModelLoadError):
    """The artefact holds more than one file that the runtime could load."""


class FormatUnknown(ModelLoadError):
    """No installed runtime takes the artefact, or more than one does."""


class UnpicklingRefused(ModelLoadError):
    """The unpickling policy forbids to load a file that could run code."""


class BudgetExceeded(ModelLoadError):
    """The model does not fit in the memory that models may take."""


class SampleFailed(ModelLoadError):
    """The model loads, but does not answer a sample."""

"""What mypy knows of the messages; see messages.py."""

from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Generic, Literal, TypeVar

from google.protobuf.message import Message

C = TypeVar("C")
M = TypeVar("M")

SERVICE: str
FILE: bytes

class _Repeated(Sequence[M]):  # type: ignore[misc]  # it is what the library gives, and never made here
    def add(self, **fields: object) -> M: ...

class _MessageMap(Mapping[str, M]):  # type: ignore[misc]  # as above
    def get_or_create(self, key: str) -> M: ...

class InferParameter(Message):
    bool_param: bool
    int64_param: int
    string_param: str
    double_param: float
    uint64_param: int
    def __init__(
        self,
        *,
        bool_param: bool = ...,
        int64_param: int = ...,
        string_param: str = ...,
        double_param: float = ...,
        uint64_param: int = ...,
    ) -> None: ...
    def WhichOneof(
        self, oneof_group: Literal["parameter_choice"]
    ) -> Literal["bool_param", "int64_param", "string_param", "double_param", "uint64_param"] | None: ...

Parameters = _MessageMap[InferParameter]

class InferTensorContents(Message):
    bool_contents: MutableSequence[bool]
    int_contents: MutableSequence[int]
    int64_contents: MutableSequence[int]
    uint_contents: MutableSequence[int]
    uint64_contents: MutableSequence[int]
    fp32_contents: MutableSequence[float]
    fp64_contents: MutableSequence[float]
    bytes_contents: MutableSequence[bytes]
    def __init__(self, **fields: Iterable[object]) -> None: ...

class PackedContents(Message):
    bool_contents: MutableSequence[bytes]
    int_contents: MutableSequence[bytes]
    int64_contents: MutableSequence[bytes]
    uint_contents: MutableSequence[bytes]
    uint64_contents: MutableSequence[bytes]
    fp32_contents: MutableSequence[bytes]
    fp64_contents: MutableSequence[bytes]
    bytes_contents: MutableSequence[bytes]

class Tensor(Message, Generic[C]):
    name: str
    datatype: str
    shape: MutableSequence[int]
    @property
    def parameters(self) -> Parameters: ...
    @property
    def contents(self) -> C: ...

class RequestedOutput(Message):
    name: str
    @property
    def parameters(self) -> Parameters: ...

class _Request(Message, Generic[C]):
    model_name: str
    model_version: str
    id: str
    raw_input_contents: MutableSequence[bytes]
    def __init__(self, *, model_name: str = ..., model_version: str = ..., id: str = ...) -> None: ...
    @property
    def parameters(self) -> Parameters: ...
    @property
    def inputs(self) -> _Repeated[Tensor[C]]: ...
    @property
    def outputs(self) -> _Repeated[RequestedOutput]: ...

class ModelInferRequest(_Request[InferTensorContents]): ...
class PackedRequest(_Request[PackedContents]): ...

class _Response(Message, Generic[C]):
    model_name: str
    model_version: str
    id: str
    raw_output_contents: MutableSequence[bytes]
    def __init__(self, *, model_name: str = ..., model_version: str = ..., id: str = ...) -> None: ...
    @property
    def parameters(self) -> Parameters: ...
    @property
    def outputs(self) -> _Repeated[Tensor[C]]: ...

class PackedOutput(Tensor[PackedContents]):
    def __init__(self, *, name: str = ..., datatype: str = ..., shape: Iterable[int] = ...) -> None: ...

class ModelInferResponse(_Response[InferTensorContents]): ...
class PackedResponse(_Response[PackedContents]): ...

class TensorMetadata(Message):
    name: str
    datatype: str
    shape: MutableSequence[int]

class ModelMetadataRequest(Message):
    name: str
    version: str
    def __init__(self, *, name: str = ..., version: str = ...) -> None: ...

class ModelMetadataResponse(Message):
    name: str
    versions: MutableSequence[str]
    platform: str
    properties: MutableMapping[str, str]
    def __init__(self, *, name: str = ..., platform: str = ...) -> None: ...
    @property
    def inputs(self) -> _Repeated[TensorMetadata]: ...
    @property
    def outputs(self) -> _Repeated[TensorMetadata]: ...

class ModelReadyRequest(Message):
    name: str
    version: str
    def __init__(self, *, name: str = ..., version: str = ...) -> None: ...

class ModelReadyResponse(Message):
    ready: bool
    def __init__(self, *, ready: bool = ...) -> None: ...

class ModelIndex(Message):
    name: str
    version: str
    state: str
    reason: str

class RepositoryIndexRequest(Message):
    repository_name: str
    ready: bool
    def __init__(self, *, repository_name: str = ..., ready: bool = ...) -> None: ...

class RepositoryIndexResponse(Message):
    def __init__(self) -> None: ...
    @property
    def models(self) -> _Repeated[ModelIndex]: ...

class RepositoryParameter(Message):
    bool_param: bool

class _Named(Message):
    model_name: str
    triton_model_name: str
    def __init__(self, *, model_name: str = ..., triton_model_name: str = ...) -> None: ...
    @property
    def parameters(self) -> _MessageMap[RepositoryParameter]: ...

class RepositoryModelLoadRequest(_Named): ...
class RepositoryModelUnloadRequest(_Named): ...

class RepositoryModelLoadResponse(Message):
    model_name: str
    isLoaded: bool
    def __init__(self, *, model_name: str = ..., isLoaded: bool = ...) -> None: ...

class RepositoryModelUnloadResponse(Message):
    model_name: str
    isUnloaded: bool
    def __init__(self, *, model_name: str = ..., isUnloaded: bool = ...) -> None: ...

class ServerLiveRequest(Message):
    def __init__(self) -> None: ...

class ServerLiveResponse(Message):
    live: bool
    def __init__(self, *, live: bool = ...) -> None: ...

class ServerReadyRequest(Message):
    def __init__(self) -> None: ...

class ServerReadyResponse(Message):
    ready: bool
    def __init__(self, *, ready: bool = ...) -> None: ...

class ServerMetadataRequest(Message):
    def __init__(self) -> None: ...

class ServerMetadataResponse(Message):
    name: str
    version: str
    extensions: MutableSequence[str]
    def __init__(self, *, name: str = ..., version: str = ..., extensions: Iterable[str] = ...) -> None: ...

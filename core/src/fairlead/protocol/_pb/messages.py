"""The messages as classes, made from the descriptors when this is imported.

The descriptors are in a pool of their own: a process may also import the modules that KServe and Triton made from
their proto files, whose messages have the same full names and other fields.

``Packed...`` are the same messages with one difference: the packed numbers of `InferTensorContents` are declared as
``repeated bytes``. On the wire a packed field is a length and the numbers, exactly as a bytes field is a length and
bytes (https://protobuf.dev/programming-guides/encoding/#packed), so that they can be read and written without looking
at each element. A sender may write the numbers in several chunks, which are then several elements, or unpacked, one by
one, which then are unknown fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "inference"
_CONTENTS: Final = "InferTensorContents"


def _described() -> descriptor_pb2.FileDescriptorProto:
    found = descriptor_pb2.FileDescriptorSet.FromString(Path(__file__).with_name("inference.binpb").read_bytes())
    return found.file[0]


def _with_packed_bytes() -> descriptor_pb2.FileDescriptorProto:
    file = _described()
    for message in file.message_type:
        if message.name == _CONTENTS:
            for field in message.field:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    return file


def _pooled(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]  # its types are missing
    return pool


def _class(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
    found = pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")  # type: ignore[no-untyped-call]  # as above
    return message_factory.GetMessageClass(found)


def _all_classes(pool: descriptor_pool.DescriptorPool) -> list[Any]:
    """The classes of all messages, also of those inside of others."""
    left = [pool.FindMessageTypeByName(f"{_PACKAGE}.{each.name}") for each in _described().message_type]  # type: ignore[no-untyped-call]  # as above
    found = []
    while left:
        message = left.pop()
        found.append(message_factory.GetMessageClass(message))
        left.extend(message.nested_types)
    return found


SERVICE: Final = f"{_PACKAGE}.GRPCInferenceService"
FILE: Final = _described().SerializeToString()

_POOL: Final = _pooled(_described())
InferParameter = _class(_POOL, "InferParameter")
InferTensorContents = _class(_POOL, _CONTENTS)
ModelInferRequest = _class(_POOL, "ModelInferRequest")
ModelInferResponse = _class(_POOL, "ModelInferResponse")
ModelMetadataRequest = _class(_POOL, "ModelMetadataRequest")
ModelMetadataResponse = _class(_POOL, "ModelMetadataResponse")
ModelReadyRequest = _class(_POOL, "ModelReadyRequest")
ModelReadyResponse = _class(_POOL, "ModelReadyResponse")
RepositoryIndexRequest = _class(_POOL, "RepositoryIndexRequest")
RepositoryIndexResponse = _class(_POOL, "RepositoryIndexResponse")
RepositoryModelLoadRequest = _class(_POOL, "RepositoryModelLoadRequest")
RepositoryModelLoadResponse = _class(_POOL, "RepositoryModelLoadResponse")
RepositoryModelUnloadRequest = _class(_POOL, "RepositoryModelUnloadRequest")
RepositoryModelUnloadResponse = _class(_POOL, "RepositoryModelUnloadResponse")
ServerLiveRequest = _class(_POOL, "ServerLiveRequest")
ServerLiveResponse = _class(_POOL, "ServerLiveResponse")
ServerMetadataRequest = _class(_POOL, "ServerMetadataRequest")
ServerMetadataResponse = _class(_POOL, "ServerMetadataResponse")
ServerReadyRequest = _class(_POOL, "ServerReadyRequest")
ServerReadyResponse = _class(_POOL, "ServerReadyResponse")

_PACKED: Final = _pooled(_with_packed_bytes())
PackedOutput = _class(_PACKED, "ModelInferResponse.InferOutputTensor")
PackedRequest = _class(_PACKED, "ModelInferRequest")
PackedResponse = _class(_PACKED, "ModelInferResponse")

_KEPT: Final = (_all_classes(_POOL), _all_classes(_PACKED))
"""protobuf makes classes when they are first needed, keeps them weakly, and is not ready for one of them to be found by
a thread while another one's collector clears it: the process then ends by a segmentation fault."""

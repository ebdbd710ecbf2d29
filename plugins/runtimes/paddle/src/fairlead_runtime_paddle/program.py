"""The inputs and outputs of a program, as its file declares them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fairlead import Datatype, TensorSpec

__all__ = ["declared"]

_JSON_TYPES: Final[Mapping[str, Datatype]] = {
    "0.t_bool": Datatype.BOOL,
    "0.t_ui8": Datatype.UINT8,
    "0.t_i8": Datatype.INT8,
    "0.t_i16": Datatype.INT16,
    "0.t_i32": Datatype.INT32,
    "0.t_i64": Datatype.INT64,
    "0.t_f16": Datatype.FP16,
    "0.t_f32": Datatype.FP32,
    "0.t_f64": Datatype.FP64,
}
_OLD_TYPES: Final[Mapping[str, Datatype]] = {each.value: each for each in Datatype} | {
    "SIZE_T": Datatype.UINT64,
}


def declared(path: Path) -> dict[str, TensorSpec]:
    """The tensors that a program declares, inputs, outputs and (in the old form) all others, by name.

    Those of a datatype that the protocol does not have are left out.

    Args:
        path: a program that PaddlePaddle has loaded.
    """
    return _of_json(path) if path.suffix == ".json" else _of_protobuf(path)


def _of_json(path: Path) -> dict[str, TensorSpec]:
    """The operators ``data`` and ``fetch`` of a program; the types of what they return are those of the tensors."""
    found = {}
    for block in json.loads(path.read_bytes())["program"]["regions"][0]["blocks"]:
        for operator in block["ops"]:
            if operator["#"].partition(".")[2] in ("data", "fetch"):
                name = next(each["AT"]["D"] for each in operator["A"] if each["N"] == "name")
                kind, shape = operator["O"][0]["TT"]["D"][:2]
                if (datatype := _JSON_TYPES.get(kind["#"])) is not None:
                    found[name] = TensorSpec(name, datatype, tuple(int(length) for length in shape))
    return found


def _of_protobuf(path: Path) -> dict[str, TensorSpec]:
    from paddle.base.proto import framework_pb2

    program: Any = framework_pb2.ProgramDesc()
    program.ParseFromString(path.read_bytes())
    types = framework_pb2.VarType.Type
    found = {}
    for variable in program.blocks[0].vars:
        for _, inner in variable.type.ListFields():
            tensor = getattr(inner, "tensor", None)
            if tensor is not None and (datatype := _OLD_TYPES.get(types.Name(tensor.data_type))) is not None:
                found[variable.name] = TensorSpec(variable.name, datatype, tuple(tensor.dims))
    return found

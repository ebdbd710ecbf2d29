"""What a SavedModel says before anything of it is loaded: which of its graphs is served, and what that can reach."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from fairlead import errors

__all__ = ["check_assets", "composites", "reaching", "served"]

_TAG: Final = "serve"

_REACHING: Final = re.compile(
    r"""
      ReadFile | WriteFile | ImmutableConst | RecordInput | DumpTensor | Debug\w* | FileSystem\w* | \w*MatchingFiles\w*
    | \w*PyFunc\w* | Rpc\w* | RemoteCall | EncodeProto | DecodeProtoV2 | CreateSummary\w*Writer
    | \w*(TextLine|TFRecord|FixedLengthRecord|WholeFile|LMDB|CSVDataset|SqlDataset)\w*
    | \w*(Cache|Snapshot|Chunk|Save|Load|DataService|Nested|Register)(Dataset|Chunks)\w*
    | InitializeTableFromTextFile\w* | FixedUnigramCandidateSampler | GenerateVocabRemapping | LoadAndRemapMatrix
    | Save(V2|Slices)? | (DTensor)?Restore(V2|Slice)? | DistributedSave | MergeV2Checkpoints
    | CalibrationStatisticsSaver
    """,
    re.VERBOSE,
)
"""Operations that name files, addresses or Python functions."""
_RESTORING: Final = frozenset(["Restore", "RestoreSlice", "RestoreV2", "DTensorRestoreV2"])


def served(proto: Any, name: str) -> Any:
    """The graph that is served: the one with the tag ``serve`` alone, or the only one.

    Args:
        proto: the message ``SavedModel``.
        name: the file, for messages.

    Raises:
        ModelLoadError: there is none, or none of several has that tag.
    """
    graphs = list(proto.meta_graphs)
    tagged = [each for each in graphs if list(each.meta_info_def.tags) == [_TAG]]
    if tagged or len(graphs) == 1:
        return (tagged or graphs)[0]
    if not graphs:
        raise errors.ModelLoadError(f"{name} holds no graph.", remedy="Save the model again, or copy the file again.")
    tags = "; ".join(" ".join(each.meta_info_def.tags) for each in graphs)
    raise errors.ModelLoadError(f"{name} holds several graphs, and none has the tag {_TAG} alone (tags: {tags}).")


def check_assets(graph: Any) -> None:
    """Refuse a graph whose assets lie outside its folder.

    Raises:
        ModelLoadError: one does.
    """
    for asset in graph.asset_file_def:
        name = PurePosixPath(asset.filename)
        if name.is_absolute() or ".." in name.parts:
            raise errors.ModelLoadError(
                f"The asset {asset.filename!r} lies outside the model's folder.",
                remedy="Check where the model comes from: TensorFlow writes no such path.",
            )


def composites(graph: Any) -> frozenset[str]:
    """The signatures whose function takes a ragged or sparse tensor, of which the graph shows only the parts."""
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    known = graph.object_graph_def.concrete_functions
    nodes = {node.name: node for node in graph.graph_def.node}
    found = set()
    for name, signature in graph.signature_def.items():
        called = _called(nodes[each] for each in _fetched(signature) if each in nodes)
        inner = {each for wrapper in called if wrapper in functions for each in _called(functions[wrapper].node_def)}
        if any("type_spec_value" in str(known[each].canonicalized_input_signature) for each in inner & known.keys()):
            found.add(name)
    return frozenset(found)


def reaching(graph: Any) -> tuple[str, ...]:
    """The operations of a graph by which it can reach files, the network or Python, as far as it ever runs them.

    What is looked at is what signatures, initialisers and the restoring of variables need, and every function that an
    object of the model has. What saves the model again is never run.
    """
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    nodes = {node.name: node for node in graph.graph_def.node}
    asked = [name for signature in graph.signature_def.values() for name in _fetched(signature)]
    for key in ("saved_model_main_op", "legacy_init_op"):
        asked += [_node_of(each) for each in graph.collection_def[key].node_list.value]
    found = _operations(functions, _needed(nodes, asked), graph.object_graph_def.concrete_functions)
    restored = _operations(functions, _needed(nodes, [graph.saver_def.restore_op_name]), ())
    return tuple(sorted(found | (restored - _RESTORING)))


def _operations(functions: Mapping[str, Any], nodes: Iterable[Any], called: Iterable[str]) -> frozenset[str]:
    """The operations of `_REACHING` among these nodes, these functions, and all that they call."""
    run = list(nodes)
    pending, seen = [*_called(run), *called], set()
    while pending:
        name = pending.pop()
        if name in functions and name not in seen:
            seen.add(name)
            body = functions[name].node_def
            run += body
            pending += _called(body)
    return frozenset(node.op for node in run if _reaches(node))


def _reaches(node: Any) -> bool:
    if node.op == "PrintV2":
        return bool(node.attr["output_stream"].s.startswith(b"file:"))
    return _REACHING.fullmatch(node.op) is not None


def _needed(nodes: Mapping[str, Any], roots: Iterable[str]) -> Iterator[Any]:
    """The nodes that must run for these to run."""
    pending, seen = list(roots), set()
    while pending:
        name = pending.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        yield nodes[name]
        pending += [_node_of(each) for each in nodes[name].input]


def _called(nodes: Iterable[Any]) -> Collection[str]:
    """The functions that these nodes call."""
    found = set()
    for node in nodes:
        for value in node.attr.values():
            if value.func.name:
                found.add(value.func.name)
            found.update(each.name for each in value.list.func)
    return found


def _fetched(signature: Any) -> list[str]:
    names = []
    for info in signature.outputs.values():
        names += [_node_of(each.name) for each in info.composite_tensor.components] or [_node_of(info.name)]
    return names


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]

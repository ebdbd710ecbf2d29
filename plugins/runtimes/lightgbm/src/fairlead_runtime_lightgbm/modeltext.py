"""Checking the text of a model before LightGBM reads it.

LightGBM reads trees in several threads and trusts what a file says of its own lengths: a truncated or damaged file
ends the process more often than not. So every tree is looked at first, in the order in which LightGBM writes it: the
header with the size of each tree, the trees, ``end of trees``, the importances, the parameters, the pandas categories.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Final

import numpy as np

__all__ = ["check", "fields"]

_NUMBERS: Final = b"0123456789+-.eEinfa "
"""The characters of numbers, infinities and NaN."""

_OF_NODES: Final = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_OF_NODES_PERHAPS: Final = ("split_gain", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES_PERHAPS: Final = ("leaf_weight", "leaf_count")
_CATEGORIES: Final = b"\npandas_categorical:"
_PARAMETERS: Final = b"\nparameters:"
_PARAMETER: Final = re.compile(rb"\[[a-z0-9_]+: [^\r]*\]")
_BY_CATEGORY: Final = 1
"""The bit of a decision type that says that a node compares categories."""


def check(content: bytes) -> None:
    """See that a model's text is whole, and that its trees are trees.

    Args:
        content: the file.

    Raises:
        ValueError: it is not; the text says what is wrong, and in which tree.
    """
    if content.startswith(b"tree\r"):
        raise ValueError("its line ends were rewritten, so that its trees are not as long as it says")
    if b"\0" in content:  # LightGBM would read up to it, and wait for the rest
        raise ValueError(f"byte {content.index(0)} is zero, which no text has")
    if b"\n\n" not in content:
        raise ValueError("it ends within its header")
    head = fields(content)
    features = _number(head, "max_feature_idx") + 1
    for name in ("feature_names", "feature_infos"):
        if len(head.get(name, b"").split()) != features:
            raise ValueError(f"{name} are not {features}, as max_feature_idx says")
    per_iteration = _number(head, "num_tree_per_iteration")
    sizes = _integers(head, "tree_sizes")
    if _number(head, "num_class") < 1 or per_iteration < 1 or len(sizes) % per_iteration:
        raise ValueError(f"{len(sizes)} trees are not a multiple of {per_iteration}")
    place = content.index(b"\n\n") + 2
    for number, size in enumerate(sizes.tolist()):
        tree = content[place : place + size]
        place += size
        if size <= 0 or len(tree) < size or not tree.startswith(b"Tree=%d\n" % number):
            raise ValueError(f"tree {number} is not where tree_sizes says")
        try:
            _check_tree(fields(tree), features)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from error
    _check_end(content[place:])


def fields(content: bytes) -> dict[str, bytes]:
    """The lines ``name=value`` up to the first empty line."""
    lines = content.partition(b"\n\n")[0].split(b"\n")
    pairs = (line.partition(b"=") for line in lines)
    return {name.decode("latin-1"): value for name, equals, value in pairs if equals}


def _check_end(content: bytes) -> None:
    if not content.startswith(b"end of trees"):
        raise ValueError("there is no end of trees")
    _, found, after = content.partition(_PARAMETERS)
    lines, end, _ = after.partition(b"\nend of parameters")
    if not end and (found or _CATEGORIES not in content):  # a model of another trainer may have no parameters
        raise ValueError("there is no end of parameters")
    for line in lines.split(b"\n"):
        if line and _PARAMETER.fullmatch(line) is None:
            raise ValueError(f"{line!r} is no parameter")
    if not content.endswith((b"\n", b"]", b"null")):
        raise ValueError("it ends within a line")


def _check_tree(tree: Mapping[str, bytes], features: int) -> None:
    leaves = _number(tree, "num_leaves")
    _number(tree, "num_cat")
    nodes = leaves - 1
    if leaves < 1:
        raise ValueError(f"it has {leaves} leaves")
    _check_count(tree, "leaf_value", leaves)
    for name in _OF_NODES:
        if nodes or name in tree:
            _check_count(tree, name, nodes)
    for name, count in [
        *((name, nodes) for name in _OF_NODES_PERHAPS),
        *((name, leaves) for name in _OF_LEAVES_PERHAPS),
    ]:
        if tree.get(name, b"").strip():
            _check_count(tree, name, count)
    if nodes:
        _check_nodes(tree, leaves, features)
    if _number(tree, "is_linear", 0):
        _check_linear(tree, leaves, features)


def _check_nodes(tree: Mapping[str, bytes], leaves: int, features: int) -> None:
    split = _integers(tree, "split_feature")
    if split.min() < 0 or split.max() >= features:
        raise ValueError("it splits a feature that the model does not have")
    places = np.arange(leaves - 1)
    for name in ("left_child", "right_child"):
        children = _integers(tree, name)  # below zero: the complement of the number of a leaf
        is_leaf = children < 0
        if (~children[is_leaf] >= leaves).any() or (children >= leaves - 1).any():
            raise ValueError(f"{name} leads to what the tree does not have")
        if (children[~is_leaf] <= places[~is_leaf]).any():
            raise ValueError(f"{name} leads back to a node above")
    categories = _number(tree, "num_cat")
    by_category = (_integers(tree, "decision_type") & _BY_CATEGORY).astype(bool)
    if categories <= 0 and not by_category.any():
        return
    bounds = _integers(tree, "cat_boundaries")
    _check_count(tree, "cat_boundaries", categories + 1)
    _check_count(tree, "cat_threshold", int(bounds[-1]))
    if any(first > second for first, second in itertools.pairwise([0, *bounds.tolist()])):
        raise ValueError("cat_boundaries do not ascend")
    chosen = np.array([float(each) for each in tree["threshold"].split()])[by_category]
    if not ((chosen >= 0) & (chosen < categories)).all():
        raise ValueError("threshold names categories that the tree does not have")


def _check_linear(tree: Mapping[str, bytes], leaves: int, features: int) -> None:
    _check_count(tree, "leaf_const", leaves)
    _check_count(tree, "num_features", leaves)
    count = int(_integers(tree, "num_features").sum())
    _check_count(tree, "leaf_coeff", count)
    _check_count(tree, "leaf_features", count)
    used = _integers(tree, "leaf_features")
    if used.min(initial=0) < 0 or used.max(initial=0) >= features:
        raise ValueError("a leaf has a feature that the model does not have")


def _check_count(tree: Mapping[str, bytes], name: str, count: int) -> None:
    value = tree.get(name, b"")
    if value.translate(None, _NUMBERS):
        raise ValueError(f"{name} holds something else than numbers")
    if len(value.split()) != count:
        raise ValueError(f"{name} has {len(value.split())} numbers, and {count} belong there")


def _number(found: Mapping[str, bytes], name: str, default: int | None = None) -> int:
    if name not in found:
        if default is None:
            raise ValueError(f"there is no {name}")
        return default
    return int(found[name])


def _integers(found: Mapping[str, bytes], name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if name not in found:
        raise ValueError(f"there is no {name}")
    return np.array([int(each) for each in found[name].split()], dtype=np.int64)

"""Checking what a model says of its trees before XGBoost reads them.

XGBoost trusts the places that a file gives: of nodes, features, categories and outputs. A damaged file can end the
process, or make a prediction go round for ever. So every tree is looked at first, whichever form the file has; the
names are those of XGBoost's schema (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np

__all__ = ["Trees"]

Found: TypeAlias = "Mapping[str, Any]"

_ROOT: Final = 2**31 - 1
"""The parent of the first node, and of nodes that were pruned away."""
_NONE: Final = -1
"""The child of a leaf, and the parent of the first node of a tree that has several outputs."""

_NODES: Final = ("left_children", "right_children", "parents", "split_indices", "split_conditions", "default_left")
_STATISTICS: Final = ("loss_changes", "sum_hessian")
"""What trees of several outputs got with XGBoost 3; both or neither."""
_MOST_CATEGORIES: Final = 1 << 24
"""XGBoost's own limit: categories are kept as FP32."""


class Trees:
    """Looks at each object of a file when it has been read, from the innermost to the whole."""

    def __init__(self) -> None:
        self._ids: list[Any] = []
        self._outputs: list[int] = []
        self._highest = -1

    def seen(self, found: dict[str, Any]) -> dict[str, Any] | None:
        """Take an object of the file; a tree is checked, and need not be kept.

        Raises:
            ValueError: it is a tree that is none, or what leads to trees does not.
        """
        try:
            if "left_children" in found:
                self._tree(found)
                return None
            if "trees" in found:
                self._model(found)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"a tree lacks something, or has it in another form ({error!r})") from error
        return found

    def whole(self, found: object) -> None:
        """Take the object that all others are in.

        Raises:
            ValueError: the trees do not fit what the model says of its features and outputs.
        """
        try:
            learner = found["learner"]  # type: ignore[index]  # anything else is a TypeError, which is meant
            parameters, booster = learner["learner_model_param"], learner["gradient_booster"]
            features = int(parameters["num_feature"])
            outputs = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
            weights, dropped = booster.get("model", {}).get("weights"), booster.get("weight_drop")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the model lacks something, or has it in another form ({error!r})") from error
        if self._highest >= features:
            raise ValueError(f"a tree splits feature {self._highest}, and the model has {features}")
        if max(self._outputs, default=0) >= outputs:
            raise ValueError(f"a tree is of output {max(self._outputs)}, and the model has {outputs}")
        if weights is not None and len(weights) != (features + 1) * outputs:
            raise ValueError(f"there are {len(weights)} weights for {features} features and {outputs} outputs")
        if dropped is not None and len(dropped) != len(self._ids):
            raise ValueError(f"there are {len(dropped)} weights for {len(self._ids)} trees")

    def _model(self, found: Found) -> None:
        count = len(self._ids)
        if int(found["gbtree_model_param"]["num_trees"]) != count or sorted(self._ids) != list(range(count)):
            raise ValueError(f"the numbers of the {count} trees are wrong")
        self._outputs = _whole(found, "tree_info").tolist()
        if len(self._outputs) != count or min(self._outputs, default=0) < 0:
            raise ValueError(f"the outputs of the {count} trees are wrong")
        if "iteration_indptr" in found:
            places = _whole(found, "iteration_indptr")
            if not len(places) or places[0] != 0 or places[-1] != count or (np.diff(places) < 0).any():
                raise ValueError(f"the iterations of the {count} trees are wrong")

    def _tree(self, tree: Found) -> None:
        self._ids.append(tree["id"])
        parameters, parents = tree["tree_param"], _whole(tree, "parents")
        count, width = len(parents), max(1, int(parameters["size_leaf_vector"]))
        has_statistics = width == 1 or any(name in tree for name in _STATISTICS)
        names = [*_NODES, *(_STATISTICS if has_statistics else ()), *(["split_type"] if "split_type" in tree else [])]
        if int(parameters["num_nodes"]) != count or any(len(tree[name]) != count for name in names):
            raise ValueError("a tree has arrays of different lengths")
        if count == 0 or parents[0] not in (_ROOT, _NONE):
            raise ValueError("a tree has no root")
        left, right = _whole(tree, "left_children"), _whole(tree, "right_children")
        splits = left != _NONE
        children = np.concatenate((left[splits], right[splits]))
        is_place = (children > 0) & (children < count)
        above = parents[1:][parents[1:] != _ROOT]
        if not is_place.all() or not ((above >= 0) & (above < count)).all():
            raise ValueError("a tree has a node that leads to no node")
        if len(np.unique(children)) != len(children):
            raise ValueError("a tree has a node that two others lead to")
        # A leaf has no children; in a tree of several outputs, the right one says where its weights are.
        weights = right[~splits][right[~splits] != _NONE]
        slots = len(tree.get("leaf_weights", ())) // width if width > 1 else 0
        if len(tree["base_weights"]) != count * width or not ((weights >= 0) & (weights < slots)).all():
            raise ValueError("a tree has a leaf without its weights")
        features = _whole(tree, "split_indices")[splits]
        if features.min(initial=0) < 0:
            raise ValueError("a tree splits a feature that there is not")
        self._highest = max(self._highest, int(features.max(initial=-1)))
        if "split_type" in tree:  # since XGBoost 1.3
            _check_categories(tree)


def _check_categories(tree: Found) -> None:
    nodes, starts = _whole(tree, "categories_nodes"), _whole(tree, "categories_segments")
    sizes, categories, kinds = _whole(tree, "categories_sizes"), _whole(tree, "categories"), _whole(tree, "split_type")
    if not np.isin(kinds, (0, 1)).all() or not np.array_equal(nodes, np.flatnonzero(kinds)):
        raise ValueError("a tree has other categories than its nodes")
    if not len(nodes) == len(starts) == len(sizes):
        raise ValueError("a tree has arrays of different lengths")
    if min(starts.min(initial=0), sizes.min(initial=0)) < 0 or (starts + sizes > len(categories)).any():
        raise ValueError("a tree has categories that are not in the file")
    if categories.min(initial=0) < 0 or categories.max(initial=0) >= _MOST_CATEGORIES:
        raise ValueError("a tree has a category that there cannot be")


def _whole(found: Found, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """An array of whole numbers; an empty one has no type of its own."""
    array = np.asarray(found[name])
    if array.ndim != 1 or (array.dtype.kind not in "iub" and array.size):
        raise ValueError(f"{name} holds something else than whole numbers")
    return array.astype(np.int64)

"""Repositories for tests, made without the program `git`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo

SUBMODULE = b"1" * 40


@dataclasses.dataclass(frozen=True)
class Link:
    target: str


@dataclasses.dataclass(frozen=True)
class Submodule:
    commit: bytes = SUBMODULE


Content: TypeAlias = "bytes | Link | Submodule"


class Repository:
    """A bare repository; each commit holds the whole tree that it is given."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = path
        self._repo = Repo.init_bare(str(path))
        self._last: ObjectID | None = None

    def commit(self, tree: Mapping[str, Content], branch: str = "main", message: str = "a commit") -> str:
        entries = []
        for name, content in tree.items():
            mode = 0o160000 if isinstance(content, Submodule) else 0o120000 if isinstance(content, Link) else 0o100644
            if isinstance(content, Submodule):
                identifier = ObjectID(content.commit)
            else:
                blob = Blob.from_string(content.target.encode() if isinstance(content, Link) else content)
                self._repo.object_store.add_object(blob)
                identifier = blob.id
            entries.append((name.encode(), identifier, mode))
        commit = Commit()
        commit.tree = commit_tree(self._repo.object_store, entries)
        commit.parents = [] if self._last is None else [self._last]
        commit.author = commit.committer = b"A Tester <tester@example.com>"
        commit.author_time = commit.commit_time = 1_700_000_000
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = message.encode()
        self._repo.object_store.add_object(commit)
        self._last = commit.id
        self.point(f"refs/heads/{branch}", commit.id.decode())
        self._repo.refs.set_symbolic_ref(Ref(b"HEAD"), Ref(b"refs/heads/main"))
        return commit.id.decode()

    def tag(self, name: str, commit: str) -> None:
        """An annotated tag."""
        tag = Tag()
        tag.name = name.encode()
        tag.object = (Commit, ObjectID(commit.encode()))
        tag.tagger = b"A Tester <tester@example.com>"
        tag.tag_time, tag.tag_timezone, tag.message = 1_700_000_000, 0, b"a tag"
        self._repo.object_store.add_object(tag)
        self.point(f"refs/tags/{name}", tag.id.decode())

    def point(self, ref: str, commit: str) -> None:
        self._repo.refs[Ref(ref.encode())] = ObjectID(commit.encode())

    def pack(self) -> None:
        """Store all as one pack, with deltas."""
        self._repo.object_store.pack_loose_objects()

    def close(self) -> None:
        self._repo.close()

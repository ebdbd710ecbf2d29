"""An author's file as a module of its own, with the files beside it, apart from every other model's.

Each load makes a package with a unique name (``fairlead_model_1``), whose submodules are the model's file and its
siblings. So two models whose files have the same name do not meet in `sys.modules`, a reload runs the new code while
the old model still answers with the old, and everything that looks a module up by name (dataclasses, typing, pickle)
finds it.

Siblings are imported as plain scripts import them, ``import helpers``. That works because the modules of the package
see an ``__import__`` of their own, which looks for a sibling when nothing installed has the name: an installed package
is never shadowed, `sys.path` is not touched, and no other model can import them. Every file is read through the
unpickling policy. What imports by other means (pickle, `importlib.import_module`) does not see siblings, unless the
author puts them into `sys.modules` under their plain names.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead.contracts.unpickling import UnpicklingPolicy

__all__ = ["SourcePackage"]

_numbers = itertools.count(1)
_packages: Final[dict[str, SourcePackage]] = {}


class SourcePackage:
    """The code of one loaded model.

    Args:
        file: the model's file.
        policy: decides whether a file may be run.
    """

    def __init__(self, file: Path, policy: UnpicklingPolicy) -> None:
        self.file = file
        self.folder = file.parent
        self.policy = policy
        self.name = f"fairlead_model_{next(_numbers)}"
        self.builtins = {**vars(builtins), "__import__": self._import}
        # A stem that is no identifier (`my-model.py`) still needs a module name without dots.
        self._main = f"{self.name}.{file.stem.replace('.', '_')}"
        self._installed: dict[str, bool] = {}

    def load(self) -> ModuleType:
        """Run the model's file.

        Raises:
            Exception: whatever the file raises.
            UnpicklingRefused: the policy does not permit the file, or a sibling that it imports.
        """
        package = ModuleType(self.name, f"The code of {self.file}.")
        package.__path__ = []
        sys.modules[self.name] = package
        _packages[self.name] = self
        if _FINDER not in sys.meta_path:
            sys.meta_path.append(_FINDER)
        try:
            return importlib.import_module(self._main)
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Take the modules out of `sys.modules`; objects that still use them keep them alive."""
        _packages.pop(self.name, None)
        for name in [name for name in sys.modules if name == self.name or name.startswith(f"{self.name}.")]:
            del sys.modules[name]

    def path_of(self, fullname: str) -> Path | None:
        """The file of one of the package's modules; None when there is none of that name."""
        if fullname == self._main:
            return self.file
        stem = self.folder.joinpath(*fullname.split(".")[1:])
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file():
                return path
        return None

    def is_sibling(self, name: str) -> bool:
        """Whether a plain import of this name means a file beside the model's, and nothing that is installed."""
        if self.path_of(f"{self.name}.{name}") is None:
            return False
        if name not in self._installed:
            self._installed[name] = _is_importable_elsewhere(name, self.folder)
        return not self._installed[name]

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002  # the names that __import__ has
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not self.is_sibling(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if fromlist:
            return builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist, 0)
        importlib.import_module(f"{self.name}.{name}")
        return sys.modules[f"{self.name}.{top}"]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of `SourcePackage`, and no others."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the interface of a finder
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        package = _packages.get(fullname.partition(".")[0])
        file = package.path_of(fullname) if package is not None else None
        if package is None or file is None:
            return None
        spec = importlib.util.spec_from_file_location(fullname, file, loader=_Loader(package, file))
        if spec is not None and file.name == "__init__.py" and file != package.file:
            # Without a folder to search, no other finder loads its submodules past the policy.
            spec.submodule_search_locations = []
        return spec


_FINDER: Final = _Finder()


class _Loader(importlib.abc.InspectLoader):
    """Runs one file of a package."""

    def __init__(self, package: SourcePackage, file: Path) -> None:
        self._package = package
        self._file = file

    def get_source(self, fullname: str) -> str:  # noqa: ARG002  # one loader is one module
        with self._package.policy.open(self._file) as file:
            return importlib.util.decode_source(file.read())

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        with self._package.policy.open(self._file) as file:
            code: CodeType = compile(file.read(), str(self._file), "exec", dont_inherit=True)
            return code

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._package.builtins
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102  # the policy has permitted the file


def _is_importable_elsewhere(name: str, folder: Path) -> bool:
    """Whether an import of this name would find something outside the folder."""
    if name in sys.stdlib_module_names:
        return True
    known = sys.modules.get(name)
    try:
        spec = known.__spec__ if known is not None else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return known is not None
    if spec is None:
        return False
    # The folder itself may be on sys.path, as the working directory; its files are siblings all the same.
    homes = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return not homes or any(folder.resolve() not in Path(home).resolve().parents for home in homes)

"""Walking through the opcodes of a pickle, without running anything of it.

A pickle is a program for a machine with a stack. Here that machine is run with stand-ins: no class is imported, no
function is called, and of the values only short texts, whole numbers and tuples are kept. What the opcodes do to the
stack is read from `pickletools`. joblib writes the elements of arrays between the opcodes, and they are stepped over.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickletools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final

__all__ = ["Global", "Made", "Walk"]

_CODES: Final = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_SIZES: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_LONGEST_TEXT: Final = 1 << 8
_MOST_ITEMS: Final = 64
_CHUNK: Final = 1 << 20

_MARK: Final = object()
_TEXTS: Final = frozenset(
    ["STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"]
)
_WIDTHS: Final = {"U": 4}
"""Bytes for each unit of a numpy type code, where it is not one."""
_ARRAYS: Final = "NumpyArrayWrapper"
"""joblib's stand-in for an array, whose elements follow in the file."""


@dataclasses.dataclass(frozen=True, slots=True)
class Global:
    """A class or a function that a pickle names.

    Attributes:
        module: its module, with dots.
        name: its name there.
    """

    module: str
    name: str


@dataclasses.dataclass(slots=True)
class Made:
    """An object that a pickle would make by calling something.

    Attributes:
        by: what is called: a class or a function; None where it is not known.
        args: the arguments, where they are known.
        state: the state that it is given, where it is known.
    """

    by: Global | None
    args: tuple[Any, ...] = ()
    state: Any = None


class Walk:
    """One walk through the opcodes of a stream.

    Args:
        file: the stream, at the start of a pickle.
        opcodes: how many opcodes are looked at.
        size: how many bytes are read; those that a plain file lets one step over do not count.
        arrays: whether joblib's arrays may be among the opcodes.

    Attributes:
        stack: what lies on the machine's stack, the oldest first.
        named: the classes and functions that were named so far.
    """

    def __init__(self, file: IO[bytes], opcodes: int, size: int, *, arrays: bool = True) -> None:
        self.stack: list[Any] = []
        self.named: set[Global] = set()
        self._file = file
        self._opcodes = opcodes
        self._size = size
        self._arrays = arrays
        self._is_plain = isinstance(getattr(file, "raw", None), io.FileIO)
        self._memo: dict[int, Any] = {}

    def steps(self) -> Iterator[None]:
        """Take one opcode after the other, up to the last one or the bound.

        Raises:
            EOFError: the stream ends within the pickle, or is longer than what is read.
            ValueError: this is no pickle.
        """
        while self._opcodes > 0:
            self._opcodes -= 1
            code = self._exactly(1)[0]
            if code not in _CODES:
                raise ValueError(f"{code} is no opcode")
            opcode = _CODES[code]
            if opcode.name == "STOP":
                return
            try:
                self._step(opcode)
            except (LookupError, AttributeError, TypeError, OverflowError) as error:
                raise ValueError(f"{opcode.name} does not fit the opcodes before it") from error
            yield

    # -- one opcode -------------------------------------------------------------------------------------

    def _step(self, opcode: pickletools.OpcodeInfo) -> None:
        argument = self._argument(opcode)
        if opcode.name in _TEXTS:
            self.stack.append(None if argument is None else _text(argument))
        elif handle := _HANDLERS.get(opcode.name):
            handle(self, argument)
        else:
            self._pop(opcode)
            self.stack.extend(None for _ in opcode.stack_after)

    def _pop(self, opcode: pickletools.OpcodeInfo) -> None:
        for kind in reversed(opcode.stack_before):
            if kind is pickletools.stackslice:
                self.above_mark()
                return
            self.stack.pop()

    def _argument(self, opcode: pickletools.OpcodeInfo) -> bytes | None:
        """The bytes of an opcode's argument; None for one that is longer than any name."""
        if opcode.arg is None:
            return b""
        if opcode.arg.n == pickletools.UP_TO_NEWLINE:
            count = 2 if opcode.arg is pickletools.stringnl_noescape_pair else 1
            lines = [line for line in (self._line() for _ in range(count)) if line is not None]
            return b"".join(lines) if len(lines) == count else None
        if opcode.arg.n >= 0:
            return self._exactly(opcode.arg.n)
        size = int.from_bytes(self._exactly(_SIZES[opcode.arg.n]), "little")
        if size > _LONGEST_TEXT:
            self._skip(size)
            return None
        return self._exactly(size)

    def above_mark(self) -> list[Any]:
        """Take what lies above the last mark, and the mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("there is no mark")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def drop(self, count: int | None = None) -> None:
        """Forget the last values on the stack; by default those above the last mark."""
        if count is None:
            self.above_mark()
        else:
            del self.stack[-count]

    def name(self, module: str, name: str) -> Global:
        """Note that something is named."""
        found = Global(module, name)
        self.named.add(found)
        return found

    def get(self, key: int) -> None:
        """Put what was remembered on the stack."""
        self.stack.append(self._memo[key])

    def remember(self, key: int | None = None) -> None:
        """Remember what lies on top of the stack."""
        self._memo[len(self._memo) if key is None else key] = self.stack[-1]

    def make(self, by: Any, args: Any) -> None:
        """Put an object on the stack that something would make."""
        self.stack.append(Made(by if isinstance(by, Global) else None, args if isinstance(args, tuple) else ()))

    def build(self) -> None:
        """Give the object on the stack its state; of joblib's arrays, step over the elements that follow."""
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, Made):
            made.state = state
            if self._arrays and made.by is not None and made.by.name == _ARRAYS:
                self._skip_array(state)

    def _skip_array(self, state: Mapping[str, Any]) -> None:
        code = state["dtype"].args[0]
        if code.startswith("O"):  # a pickle of its own
            inner = Walk(self._file, self._opcodes, self._size, arrays=False)
            inner.named = self.named
            for _ in inner.steps():
                self._opcodes -= 1
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self._skip(self._exactly(1)[0])
        width = int(re.sub(r"\D", "", code)) * _WIDTHS.get(code[0], 1)
        self._skip(math.prod(state["shape"]) * width)

    # -- bytes ------------------------------------------------------------------------------------------

    def _exactly(self, size: int) -> bytes:
        self._size -= size
        found = self._file.read(size) if self._size >= 0 else b""
        if len(found) < size:
            raise EOFError
        return found

    def _line(self) -> bytes | None:
        """The next line; None for one that is longer than any name, which is read to its end."""
        first = found = self._file.readline(_LONGEST_TEXT)
        while not found.endswith(b"\n"):
            self._size -= len(found)
            if not found or self._size < 0:
                raise EOFError
            found = self._file.readline(_CHUNK)
        return first if found is first else None

    def _skip(self, size: int) -> None:
        if self._is_plain and size > _CHUNK:
            self._file.seek(size, io.SEEK_CUR)
            return
        while size > 0:
            size -= len(self._exactly(min(size, _CHUNK)))


def _text(argument: bytes) -> str:
    return argument.decode("utf-8", "replace").strip("\n'\"")


def _number(walk: Walk, argument: bytes | None) -> None:
    walk.stack.append(None if argument is None else int.from_bytes(argument, "little", signed=True))


def _unsigned(walk: Walk, argument: bytes | None) -> None:
    walk.stack.append(int.from_bytes(argument or b"", "little"))


def _decimal(walk: Walk, argument: bytes | None) -> None:
    walk.stack.append(int((argument or b"").rstrip(b"L\n")))


def _tuple(count: int) -> Callable[[Walk, bytes | None], None]:
    def handle(walk: Walk, _: bytes | None) -> None:
        items = tuple(walk.stack.pop() for _ in range(count))
        walk.stack.append(items[::-1])

    return handle


def _container(name: str) -> Callable[[Walk, bytes | None], None]:
    return lambda walk, _: walk.stack.append(Made(Global("builtins", name)))


def _filled(name: str) -> Callable[[Walk, bytes | None], None]:
    def handle(walk: Walk, _: bytes | None) -> None:
        walk.above_mark()
        walk.stack.append(Made(Global("builtins", name)))

    return handle


def _set_items(walk: Walk, items: list[Any]) -> None:
    target = walk.stack[-1]
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, str) and len(target) < _MOST_ITEMS:
                target[key] = value


def _new_dict(walk: Walk, items: list[Any]) -> None:
    walk.stack.append({})
    _set_items(walk, items)


def _two_lines(argument: bytes | None) -> tuple[str, str]:
    module, name = (argument or b"").decode("ascii").splitlines()
    return module, name


def _pop_two(walk: Walk) -> tuple[Any, Any]:
    last = walk.stack.pop()
    return walk.stack.pop(), last


def _stack_global(walk: Walk, _: bytes | None) -> None:
    module, name = _pop_two(walk)
    walk.stack.append(walk.name(module, name) if isinstance(module, str) and isinstance(name, str) else None)


def _new_object(walk: Walk, _: bytes | None) -> None:
    walk.make(*_pop_two(walk))


def _new_object_ex(walk: Walk, _: bytes | None) -> None:
    walk.stack.pop()
    walk.make(*_pop_two(walk))


def _object(walk: Walk, _: bytes | None) -> None:
    items = walk.above_mark()
    walk.make(items[0], tuple(items[1:]))


def _instance(walk: Walk, argument: bytes | None) -> None:
    args = tuple(walk.above_mark())
    walk.make(walk.name(*_two_lines(argument)), args)


_HANDLERS: Final[Mapping[str, Callable[[Walk, bytes | None], None]]] = {
    "MARK": lambda walk, _: walk.stack.append(_MARK),
    "BININT": _number,
    "BININT1": _unsigned,
    "BININT2": _unsigned,
    "LONG1": _number,
    "LONG4": _number,
    "INT": _decimal,
    "LONG": _decimal,
    "EMPTY_TUPLE": _tuple(0),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda walk, _: walk.stack.append(tuple(walk.above_mark())),
    "EMPTY_LIST": _container("list"),
    "EMPTY_SET": _container("set"),
    "LIST": _filled("list"),
    "FROZENSET": _filled("frozenset"),
    "APPEND": lambda walk, _: walk.drop(1),
    "APPENDS": lambda walk, _: walk.drop(),
    "ADDITEMS": lambda walk, _: walk.drop(),
    "EMPTY_DICT": lambda walk, _: walk.stack.append({}),
    "DICT": lambda walk, _: _new_dict(walk, walk.above_mark()),
    "SETITEM": lambda walk, _: _set_items(walk, list(_pop_two(walk))),
    "SETITEMS": lambda walk, _: _set_items(walk, walk.above_mark()),
    "DUP": lambda walk, _: walk.stack.append(walk.stack[-1]),
    "GET": lambda walk, argument: walk.get(int(argument or b"")),
    "BINGET": lambda walk, argument: walk.get(int.from_bytes(argument or b"", "little")),
    "LONG_BINGET": lambda walk, argument: walk.get(int.from_bytes(argument or b"", "little")),
    "PUT": lambda walk, argument: walk.remember(int(argument or b"")),
    "BINPUT": lambda walk, argument: walk.remember(int.from_bytes(argument or b"", "little")),
    "LONG_BINPUT": lambda walk, argument: walk.remember(int.from_bytes(argument or b"", "little")),
    "MEMOIZE": lambda walk, _: walk.remember(),
    "GLOBAL": lambda walk, argument: walk.stack.append(walk.name(*_two_lines(argument))),
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "NEWOBJ": _new_object,
    "NEWOBJ_EX": _new_object_ex,
    "REDUCE": _new_object,
    "BUILD": lambda walk, _: walk.build(),
}

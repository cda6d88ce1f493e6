"""A reader of pickles that runs nothing: an interpreter of its own for the opcodes that checkpoints have.

Python's `pickle` imports and calls what a file names. Here a name stands for a function of a table that the caller
gives, and one that is not in it is refused; what such a function is called with are numbers, texts and containers. The
opcodes are those of protocols 0 to 5 (``pickletools`` in Python's library documents them) without those that reach
registries of extensions or buffers outside of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from mmap import mmap
from typing import Any

from ivyhub.errors import IvyhubError
from ivyhub.registry.checkpoints.mapped import corrupt, unsafe

_LONGEST_TEXT = 1 << 26
_LONGEST_INTEGER = 1 << 10
_MOST_STEPS = 1 << 24
"""Each may make an object of many bytes; 200,000 tensors take a quarter of them."""
_SCALARS = (str, int, float, complex, bytes, type(None))


class Record:
    """An object of a class of the file's, as plain data.

    Args:
        kind: the name of its class.
        args: what it was made from.

    Attributes:
        state: what was set on it afterwards; empty where nothing was.
    """

    def __init__(self, kind: str, args: tuple[Any, ...]) -> None:
        self.kind = kind
        self.args = args
        self.state: list[Any] = []

    def fields(self) -> dict[Any, Any]:
        """The attributes that were set on it."""
        return {key: value for state in self.state if isinstance(state, dict) for key, value in state.items()}


def record(kind: str) -> Callable[..., Record]:
    """What a table has for a class whose objects are kept as they are."""
    return lambda *args: Record(kind, args)


def plain(value: Any) -> bool:
    """Whether a value may be a key: tuples in tuples, each twice in the next, would be hashed for ever.

    Example:
        >>> plain("a"), plain((1, "a")), plain(((1, 2), 3))
        (True, True, False)
    """
    return isinstance(value, (*_SCALARS, Record)) or (
        isinstance(value, tuple) and all(isinstance(item, _SCALARS) for item in value)
    )


class _Mark:
    """Where a list of operands begins on the stack."""


_MARK = _Mark()


class Unpickler:
    """Reads one pickle after the other from some bytes.

    Args:
        data: the bytes, or a mapped file.
        where: their name, for messages.
        known: by module and name, what a call of it gives; a value that cannot be called stands for itself.
        persistent: what an id of something outside of the pickle stands for.
        position: where the first pickle begins.

    Example:
        >>> import pickle
        >>> Unpickler(pickle.dumps({"a": [1, 2.5, None]}), "a file", {}).load()
        {'a': [1, 2.5, None]}
    """

    def __init__(
        self,
        data: bytes | mmap,
        where: object,
        known: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.position = position
        self._data = data
        self._where = where
        self._known = known
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._room = 1024 + 2 * len(data)

    def load(self) -> Any:
        """The next object.

        Raises:
            CorruptFileError: the bytes are no pickle, or end within it.
            UnsafeError: it names something that is not in the table.
        """
        self._stack, self._memo = [], {}
        try:
            for _ in range(_MOST_STEPS):
                step = self.byte()
                if step == _STOP:
                    return self.pop()
                action = _ACTIONS.get(step)
                if action is None:
                    raise self.bad(f"the opcode 0x{step:02x}")
                action(self)
        except IvyhubError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError, struct.error, OverflowError) as error:
            raise self.bad(f"{type(error).__name__} at byte {self.position}") from None
        raise self.bad(f"more than {_MOST_STEPS} steps")

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def bad(self, fault: str) -> Exception:
        return corrupt(self._where, f"expected a pickle of a checkpoint, received {fault}")

    def byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def take(self, count: int) -> bytes:
        found = self._data[self.position : self.position + count]
        if len(found) != count or count < 0:
            raise self.bad("bytes that end within it")
        self.position += count
        return found

    def number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self) -> bytes:
        end = self._data.find(b"\n", self.position)
        if end < 0 or end - self.position > _LONGEST_TEXT:
            raise self.bad("a line that does not end")
        return self.take(end + 1 - self.position)[:-1]

    def text(self, width: int) -> bytes:
        count = self.number(width)
        if count > _LONGEST_TEXT:
            raise self.bad(f"a text of {count} bytes")
        return self.take(count)

    # -- the stack -----------------------------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        return self._stack.pop()

    def top(self) -> Any:
        return self._stack[-1]

    def operands(self) -> list[Any]:
        """What lies above the last mark, which goes too."""
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                found = self._stack[place + 1 :]
                del self._stack[place:]
                return found
        raise self.bad("operands without their mark")

    def put(self, place: int | None = None) -> None:
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def get(self, place: int) -> None:
        self.push(self._memo[place])

    # -- what needs more than a line -----------------------------------------------------------------------------------

    def global_(self, module: str, name: str) -> None:
        if (module, name) not in self._known:
            raise unsafe(
                self._where,
                f"its pickle names {module[:80]}.{name[:80]}, which no checkpoint of tensors needs, and "
                "reading it with pickle could run any code",
            )
        self.push(self._known[module, name])

    def call(self, args: Any) -> None:
        function = self.pop()
        if not callable(function) or not isinstance(args, tuple):
            raise self.bad("a call of what is no function")
        # One text or list may be given to many functions, each of which would copy it.
        self._room -= sum(len(arg) for arg in args if isinstance(arg, str | bytes | list | tuple | dict | set))
        if self._room < 0:
            raise self.bad("calls with more than its bytes")
        self.push(function(*args))

    def reduce(self) -> None:
        self.call(self.pop())

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise self.bad("a name that is no text")
        self.global_(module, name)

    def dictionary(self) -> None:
        items = self.operands()
        self.push({})
        self.set_items(items)

    def last(self, count: int) -> None:
        """The topmost objects as a tuple."""
        if len(self._stack) < count:
            raise self.bad("fewer objects than it takes")
        found = tuple(self._stack[-count:])
        del self._stack[-count:]
        self.push(found)

    def entry(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def new_ex(self) -> None:
        named = self.pop()
        args = self.pop()
        if named:
            raise self.bad("a call with keywords")
        self.call(args)

    def build(self) -> None:
        state = self.pop()
        target = self._stack[-1]
        if isinstance(target, Record):
            target.state.append(state)
        elif not isinstance(target, dict):  # attributes of an OrderedDict: versions of the modules in a state dict
            raise self.bad(f"attributes of a {type(target).__name__}")

    def set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise self.bad("entries of what is no dictionary")
        self.keys(items[::2])
        target.update(zip(items[::2], items[1::2], strict=True))

    def append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        else:
            raise self.bad("items of what is no list")

    def add(self) -> None:
        items = self.operands()
        target = self.top()
        if not isinstance(target, set):
            raise self.bad("items of what is no set")
        target.update(self.keys(items))

    def keys(self, items: list[Any]) -> list[Any]:
        """Items, each of which may be a key."""
        if not all(map(plain, items)):
            raise self.bad("keys of containers in containers")
        return items

    def persistent(self, name: Any) -> None:
        if self._persistent is None:
            raise self.bad("something outside of it")
        self.push(self._persistent(name))

    def integer_line(self) -> None:
        text = self.line()
        self.push({b"00": False, b"01": True}[text] if text in (b"00", b"01") else self.integer(text))

    def integer(self, text: bytes) -> int:
        if len(text) > _LONGEST_INTEGER:
            raise self.bad("an integer of thousands of digits")
        return int(text.rstrip(b"L"))

    def long(self, width: int) -> None:
        count = self.number(width)
        if count > _LONGEST_INTEGER:
            raise self.bad(f"an integer of {count} bytes")
        self.push(self.number(count, signed=True))

    def quoted(self) -> None:
        text = self.line()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
            raise self.bad("a text without its quotes")
        self.push(text[1:-1].decode("unicode_escape"))

    def protocol(self) -> None:
        if (number := self.byte()) > 5:
            raise self.bad(f"protocol {number}")


_STOP = ord(".")
_ACTIONS: dict[int, Callable[[Unpickler], Any]] = {
    ord(code): action
    for code, action in {
        "\x80": Unpickler.protocol,
        "\x95": lambda self: self.take(8),  # a frame: how far one may read ahead
        "(": lambda self: self.push(_MARK),
        "0": lambda self: self.pop(),
        "1": lambda self: self.operands(),
        "2": lambda self: self.push(self.top()),
        "N": lambda self: self.push(None),
        "\x88": lambda self: self.push(True),
        "\x89": lambda self: self.push(False),
        "I": Unpickler.integer_line,
        "J": lambda self: self.push(self.number(4, signed=True)),
        "K": lambda self: self.push(self.number(1)),
        "M": lambda self: self.push(self.number(2)),
        "L": lambda self: self.push(self.integer(self.line())),
        "\x8a": lambda self: self.long(1),
        "\x8b": lambda self: self.long(4),
        "F": lambda self: self.push(float(self.line())),
        "G": lambda self: self.push(struct.unpack(">d", self.take(8))[0]),
        "S": Unpickler.quoted,
        "T": lambda self: self.push(self.text(4).decode("latin-1")),
        "U": lambda self: self.push(self.text(1).decode("latin-1")),
        "B": lambda self: self.push(self.text(4)),
        "C": lambda self: self.push(self.text(1)),
        "\x8e": lambda self: self.push(self.text(8)),
        "V": lambda self: self.push(self.line().decode("raw-unicode-escape")),
        "X": lambda self: self.push(self.text(4).decode("utf-8", "surrogatepass")),
        "\x8c": lambda self: self.push(self.text(1).decode("utf-8", "surrogatepass")),
        "\x8d": lambda self: self.push(self.text(8).decode("utf-8", "surrogatepass")),
        "]": lambda self: self.push([]),
        "}": lambda self: self.push({}),
        ")": lambda self: self.push(()),
        "\x8f": lambda self: self.push(set()),
        "l": lambda self: self.push(self.operands()),
        "d": lambda self: self.dictionary(),
        "t": lambda self: self.push(tuple(self.operands())),
        "\x85": lambda self: self.last(1),
        "\x86": lambda self: self.last(2),
        "\x87": lambda self: self.last(3),
        "\x91": lambda self: self.push(frozenset(self.keys(self.operands()))),
        "\x90": Unpickler.add,
        "a": lambda self: self.append([self.pop()]),
        "e": lambda self: self.append(self.operands()),
        "s": lambda self: self.entry(),
        "u": lambda self: self.set_items(self.operands()),
        "p": lambda self: self.put(self.integer(self.line())),
        "q": lambda self: self.put(self.number(1)),
        "r": lambda self: self.put(self.number(4)),
        "\x94": lambda self: self.put(),
        "g": lambda self: self.get(self.integer(self.line())),
        "h": lambda self: self.get(self.number(1)),
        "j": lambda self: self.get(self.number(4)),
        "c": lambda self: self.global_(self.line().decode(), self.line().decode()),
        "\x93": lambda self: self.stack_global(),
        "R": Unpickler.reduce,
        "\x81": Unpickler.reduce,
        "\x92": Unpickler.new_ex,
        "b": Unpickler.build,
        "P": lambda self: self.persistent(self.line().decode()),
        "Q": lambda self: self.persistent(self.pop()),
    }.items()
}

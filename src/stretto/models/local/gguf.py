"""What a GGUF file says of its model, read from its header alone.

Source of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Ours, because the package `gguf` needs
numpy for it.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.ground.regex import regex

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)  # what llama.cpp reads; a file of the other byte order has a version beyond these
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_LONGEST = 4096  # numbers of a list that are kept: one a layer, not the scores of a vocabulary
_PART = regex(r"-(\d{5})-of-(\d{5})(?=\.gguf$)")
_F16 = 2  # bytes of a number in the cache


class ModelFile(Struct, frozen=True):
    """A GGUF file: `size` is bytes of all its parts, `trained` the context in tokens that its model was trained for.

    `cache` is the bytes that a token of context takes; `vocabulary`, how many tokens there are; `name`, what its makers
    call it.
    """

    path: Path
    name: str
    architecture: str
    size: int
    trained: int
    cache: int
    vocabulary: int


def parts(path: Path) -> list[Path]:
    """All files of a model, from the first: large ones are cut up as `NAME-00001-of-00003.gguf`."""
    found = _PART.search(path.name)
    if found is None:
        return [path]
    count = int(found[2])
    return [path.with_name(_PART.sub(f"-{n:05d}-of-{found[2]}", path.name)) for n in range(1, count + 1)]


def read(path: Path, called: str = "") -> ModelFile:
    """What the header says; raises `ConfigError`, which calls the file as it was `called`, if it cannot be a model."""
    place = called or str(path)
    size = sum(_size(part, place) for part in parts(path))
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            facts, needed = _header(data, place)
            if needed > len(data):
                raise _cut_off(place, len(data))
    except (struct.error, IndexError):
        raise _cut_off(place, size) from None
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror or error}") from error
    architecture = str(facts.get("general.architecture", ""))
    own = {key.removeprefix(f"{architecture}."): value for key, value in facts.items()}
    if not isinstance(own.get("context_length"), int):
        kind = f" ({architecture})" if architecture else ""
        raise ConfigError(f"{place}: no language model{kind}: it says nothing of a context; name the model's own GGUF")
    name, words = facts.get("general.name"), facts.get("tokenizer.ggml.tokens", 0)
    return ModelFile(path, str(name or path.stem), architecture, size, own["context_length"], _cache(own), words)


def _size(path: Path, place: str) -> int:
    if path.is_dir():
        raise ConfigError(f"{place}: a folder; name the GGUF file in it")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ConfigError(f"{place}: {error.strerror or error}: {path.name}") from error
    if not size:
        raise ConfigError(f"{place}: empty; get the file again")
    return size


def _cut_off(place: str, size: int) -> ConfigError:
    return ConfigError(f"{place}: cut off after {size:,} bytes, before its model ends; get the file again")


def _header(data: mmap.mmap, place: str) -> tuple[dict[str, Any], int]:
    """The facts in the header, and how many bytes the file must have at the least."""
    if data[:4] != _MAGIC:
        raise ConfigError(f"{place}: no GGUF file (it does not begin with GGUF); llama.cpp takes no other format")
    reader = _Reader(data)
    (version,) = reader.take("I")
    if version not in _VERSIONS:
        raise ConfigError(f"{place}: GGUF of version {version:,}, which llama.cpp does not read; get a newer file")
    tensors, pairs = reader.take("QQ")
    facts = {}
    for _ in range(pairs):
        key, (kind,) = reader.text(), reader.take("I")
        facts[key] = reader.value(kind)
    last = 0
    for _ in range(tensors):
        reader.text()
        (dimensions,) = reader.take("I")
        *_, offset = reader.take(f"{dimensions}QIQ")
        last = max(last, offset)
    alignment = int(facts.get("general.alignment") or 32)
    begin = -(-reader.at // alignment) * alignment
    return facts, begin + last + 1 if tensors else reader.at


class _Reader:
    """Reads values one after another; past the end it raises `struct.error` or `IndexError`."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.at = len(_MAGIC)

    def take(self, form: str) -> tuple[Any, ...]:
        """Numbers, little-endian."""
        numbers = struct.Struct(f"<{form}")
        found = numbers.unpack_from(self._data, self.at)
        self.at += numbers.size
        return found

    def text(self) -> str:
        """A text with its length before it."""
        (length,) = self.take("Q")
        begin = self._skip(length)
        return self._data[begin : self.at].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A value; of a long list, or one of texts, how many there are."""
        if kind in _SCALARS:
            return self.take(_SCALARS[kind])[0]
        if kind == _TEXT:
            return self.text()
        if kind != _LIST:
            raise IndexError(kind)  # whatever stands here, no header goes on like that
        inner, count = self.take("IQ")
        if inner in _SCALARS:
            if count <= _LONGEST:
                return list(self.take(f"{count}{_SCALARS[inner]}"))
            self._skip(count * struct.calcsize(_SCALARS[inner]))
            return count
        if inner != _TEXT:
            raise IndexError(inner)
        for _ in range(count):  # of a vocabulary: a hundred thousand, of which nobody wants to see any
            self._skip(*self.take("Q"))
        return count

    def _skip(self, length: int) -> int:
        """Go on by so many bytes; from where."""
        if self.at + length > len(self._data):
            raise IndexError(length)
        begin, self.at = self.at, self.at + length
        return begin


def _cache(facts: dict[str, Any]) -> int:
    """Bytes that a token of context takes in the cache of keys and values, over all layers."""
    layers = _number(facts, "block_count") or 1
    heads = facts.get("attention.head_count_kv", facts.get("attention.head_count", 1))
    in_all = sum(heads) if isinstance(heads, list) else int(heads) * layers
    most = facts.get("attention.head_count", 1)
    width = _number(facts, "embedding_length") // max(1, max(most) if isinstance(most, list) else int(most))
    key, value = (_number(facts, f"attention.{each}_length") or width for each in ("key", "value"))
    return in_all * (key + value) * _F16


def _number(facts: dict[str, Any], key: str) -> int:
    found = facts.get(key)
    return found if isinstance(found, int) else 0

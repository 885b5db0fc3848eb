"""Variables of MATLAB files of level 5, as versions 5 to 7 write them.

A file is a header and then one element per variable. An element is a tag, which says its type
and size, and its bytes; that of a variable holds more elements: flags, dimensions, name, values,
and whole variables again for cells and structures. Elements may be compressed. Nothing is
allocated for a size that is only declared: bytes are read and inflated as they come.
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skmil.bags._errors import DataFileError
from skmil.datasets.readers._open import read_bytes

_MATRIX, _COMPRESSED = 14, 15
#: Types of stored numbers.
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
#: Types of stored text; MATLAB also stores text as numbers, one for each character.
_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE = range(1, 6)
_NUMERIC = range(6, 16)
_COMPLEX_FLAG, _LOGICAL_FLAG = 0x0800, 0x0200
_UNREADABLE = {16: "a function", 17: "an object of a class of its own"}

_MOST_DIMENSIONS = 32
_MOST_DEPTH = 16
#: Arrays may be this many, and one more for each byte of the file.
_MOST_ARRAYS = 10_000
#: More than this many bytes never come out of one compressed byte.
_MOST_EXPANSION = 1100
_PIECE = 1 << 16


def read_variables(path, pack=None):
    """Return all variables of a MATLAB file.

    Parameters
    ----------
    path : str or path-like
        The file, compressed as a whole with gzip or not.
    pack : callable, default=None
        Called with the values, column after column, and the shape of each matrix of real
        numbers inside a cell array, as soon as it is read; what it returns takes the place of
        the matrix. Thus matrices that are mostly zero never lie in memory all together.

    Returns
    -------
    variables : dict
        The variables by name. Numbers are arrays of the type in which they are stored, which
        may be a smaller one than in MATLAB; logical values are bool. Text is an array with a
        string for each row. Sparse matrices are CSC matrices, cell arrays are arrays of
        objects, and structures and objects are dictionaries, in an array of objects if there
        is not exactly one.

    Raises
    ------
    DataFileError
        If the file is damaged, of another version, or holds functions or new-style objects.
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    content = read_bytes(path)
    place = []
    try:
        order = _byte_order(content)
        file = _Plain(content)
        file.read(_HEADER_SIZE)
        budget = _Budget(path.stat().st_size)
        variables = {}
        while file.position < len(content):
            place[:] = [f"byte {file.position}"]
            name, value = _variable(file, order, budget, pack, place)
            if name in variables:
                raise ValueError("the file has this variable twice.")
            if name:  # one without is data about functions and objects
                variables[name] = value
        return variables
    except ValueError as error:
        raise DataFileError(path, str(error), ", ".join(map(_spell, place)) or None) from error


def _spell(place):
    """Return a place in words; that of a cell is its number and the shape of the array."""
    if isinstance(place, str):
        return place
    position = np.unravel_index(*place, order="F")
    return f"cell {{{','.join(str(k + 1) for k in position)}}}"


_HEADER_SIZE = 128


def _byte_order(content):
    """Return how `struct` and NumPy call the order of bytes, from the header of the file."""
    if content.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise ValueError(
            "this is a MATLAB file of version 7.3, which is another format. "
            "Load it in MATLAB and save it with: save(name, '-v7')."
        )
    mark = bytes(content[126:128])
    version = {b"IM": content[124:126][::-1], b"MI": content[124:126]}.get(mark)
    if version != b"\x01\x00":
        raise ValueError(
            "this is not a MATLAB file of version 5 to 7. If MATLAB can load it, "
            "save it there with: save(name, '-v7')."
        )
    return "<" if mark == b"IM" else ">"


def _variable(file, order, budget, pack, place):
    """Return name and value of the next variable of the file."""
    kind, n_bytes = struct.unpack(order + "II", file.read(8))
    if kind == _COMPRESSED:
        stream = _Inflated(file.read(n_bytes), budget)
        kind, n_bytes = struct.unpack(order + "II", stream.read(8))
    else:
        stream = file
    if kind != _MATRIX:
        raise ValueError(f"a variable begins here, but its type is {kind}: the file is damaged.")
    variable = _Parser(stream, order, budget, pack, place).array(stream.position + n_bytes, 0)
    stream.finish()
    return variable


class _Budget:
    """How much may still come out of a file, which may be compressed twice."""

    def __init__(self, n_bytes):
        self._n_inflated = _MOST_EXPANSION * n_bytes + _PIECE
        self._n_arrays = _MOST_ARRAYS + n_bytes

    def take_bytes(self, n_bytes):
        self._n_inflated -= n_bytes
        if self._n_inflated < 0:
            raise ValueError(f"more than {_MOST_EXPANSION} bytes come out of one. Decompress it.")

    def take_array(self):
        self._n_arrays -= 1
        if self._n_arrays < 0:
            raise ValueError("there are more cells than a file of this size can have.")


class _Plain:
    """Bytes as they are in the file."""

    def __init__(self, content):
        self._content = memoryview(content)
        self.position = 0

    def read(self, n_bytes):
        if n_bytes > len(self._content) - self.position:
            raise ValueError("the file is cut short or damaged: it ends inside this variable.")
        self.position += n_bytes
        return self._content[self.position - n_bytes : self.position]

    def finish(self):
        """There may be more: the next variable."""


class _Inflated:
    """Bytes of a compressed variable, inflated when they are asked for."""

    def __init__(self, compressed, budget):
        self._rest = compressed
        self._input = b""
        self._ready = b""
        self._n_taken = 0  # of these
        self._inflate = zlib.decompressobj()
        self._budget = budget
        self.position = 0

    def read(self, n_bytes):
        self.position += n_bytes
        start, self._n_taken = self._n_taken, self._n_taken + n_bytes
        if self._n_taken <= len(self._ready):
            return self._ready[start : self._n_taken]
        content = bytearray(self._ready[start:])
        while len(content) < n_bytes:
            content += self._next()
        self._ready = bytes(content[n_bytes:])
        self._n_taken = 0
        del content[n_bytes:]
        return content

    def finish(self):
        """Check that nothing is left, and so also the checksum at the end."""
        n_left = len(self._ready) - self._n_taken
        while not n_left and not self._inflate.eof:
            n_left = len(self._next())
        if n_left:
            raise ValueError("the compressed data are longer than the variable says.")

    def _next(self):
        while True:
            if not self._input:
                self._input, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
            was_complete, has_none = self._inflate.eof, not self._input
            try:
                piece = self._inflate.decompress(self._input, _PIECE)
            except zlib.error as error:
                raise ValueError(f"the compressed data are damaged ({error}).") from error
            self._input = self._inflate.unconsumed_tail
            if piece or (self._inflate.eof and not was_complete):
                self._budget.take_bytes(len(piece))
                return piece
            if was_complete or has_none:
                raise ValueError("the compressed data are cut short or damaged.")


class _Parser:
    """The elements of one variable; `place` says where the parser is, for messages."""

    def __init__(self, stream, order, budget, pack, place):
        self._stream = stream
        self._order = order
        self._budget = budget
        self._pack = pack
        self._place = place

    def array(self, end, depth):
        """Return name and value of an array whose tag has been read; its bytes go up to `end`."""
        self._budget.take_array()
        if depth > _MOST_DEPTH:
            raise ValueError(f"cells are nested more than {_MOST_DEPTH} deep.")
        if self._stream.position == end and depth:  # how some writers store what is empty
            return "", np.empty((0, 0))
        flags = self._integers(end, "u4", "flags")
        if len(flags) != 2:
            raise ValueError("the flags are damaged.")
        class_ = flags[0] & 0xFF
        if class_ in _UNREADABLE:
            raise ValueError(
                f"it holds {_UNREADABLE[class_]}, which is not read. Save the numbers only; "
                "struct() turns an object into a structure."
            )
        shape = tuple(self._integers(end, "i4", "dimensions"))
        if not 2 <= len(shape) <= _MOST_DIMENSIONS or min(shape) < 0:
            raise ValueError(f"the dimensions {shape} are damaged.")
        name = self._name(end)
        if depth == 0:
            self._place[:] = [f"variable {name!r}"]
        value = self._value(class_, flags[0], shape, end, depth)
        self._skip(end)
        return name, value

    def _value(self, class_, flags, shape, end, depth):
        if class_ == _CELL:
            return self._cells(shape, end, depth)
        if class_ in (_STRUCT, _OBJECT):
            if class_ == _OBJECT:
                self._name(end)  # of its class
            return self._structs(shape, end, depth)
        if class_ == _CHAR:
            return self._text(shape, end)
        if class_ == _SPARSE:
            return self._sparse(flags, shape, end)
        if class_ in _NUMERIC:
            values = self._numbers(flags, math.prod(shape), end)
            if self._pack is not None and depth and values.dtype.kind in "biuf":
                return self._pack(values, shape)
            return values.reshape(shape, order="F")
        raise ValueError(f"its class has the number {class_}, which is unknown.")

    def _element(self, end):
        """Return type and bytes of the next element."""
        tag = self._unpack("I", self._take(4, end))
        kind, n_bytes = tag & 0xFFFF, tag >> 16
        if n_bytes:  # a small element: type, size and bytes in eight bytes
            if n_bytes > 4:
                raise ValueError(f"an element is damaged: {n_bytes} bytes where 4 fit.")
            return kind, self._take(4, end)[:n_bytes]
        n_bytes = self._unpack("I", self._take(4, end))
        content = self._take(n_bytes, end)
        self._take(min(-n_bytes % 8, end - self._stream.position), end)
        return kind, content

    def _take(self, n_bytes, end):
        left = end - self._stream.position
        if n_bytes > left:
            raise ValueError(f"an element of {n_bytes} bytes is declared where {left} are left.")
        return self._stream.read(n_bytes)

    def _skip(self, end):
        left = end - self._stream.position
        if left >= 8:
            raise ValueError(f"{left} bytes are left over.")
        self._take(left, end)

    def _unpack(self, kind, content):
        return struct.unpack(self._order + kind, content)[0]

    def _integers(self, end, dtype, what):
        kind, content = self._element(end)
        if _TYPES.get(kind) != dtype or len(content) % 4 or len(content) > 4 * _MOST_DIMENSIONS:
            raise ValueError(f"the {what} are damaged.")
        return np.frombuffer(content, self._order + dtype).tolist()

    def _name(self, end):
        kind, content = self._element(end)
        if kind not in (1, 16):
            raise ValueError("a name is damaged.")
        return bytes(content).decode("utf-8", errors="replace").rstrip("\0")

    def _stored(self, end):
        """Return numbers in the type in which they are stored."""
        kind, content = self._element(end)
        if kind not in _TYPES:
            raise ValueError(f"numbers have the type {kind}, which is unknown.")
        dtype = np.dtype(self._order + _TYPES[kind])
        if len(content) % dtype.itemsize:
            raise ValueError(f"{len(content)} bytes are no numbers of {dtype.itemsize} bytes.")
        return np.frombuffer(content, dtype)

    def _numbers(self, flags, n_values, end, may_have_more=False):
        """Return so many numbers, real or complex."""
        parts = [self._stored(end) for _ in range(2 if flags & _COMPLEX_FLAG else 1)]
        for i, part in enumerate(parts):
            if len(part) < n_values or (len(part) > n_values and not may_have_more):
                raise ValueError(f"{n_values} numbers are declared, but there are {len(part)}.")
            parts[i] = part[:n_values]
        if len(parts) == 2:
            values = np.empty(n_values, dtype=complex)
            values.real, values.imag = parts
            return values
        return parts[0] != 0 if flags & _LOGICAL_FLAG else parts[0]

    def _sparse(self, flags, shape, end):
        rows, starts = self._stored(end), self._stored(end)
        if len(shape) != 2 or not rows.dtype.str[1:] == starts.dtype.str[1:] == "i4":
            raise ValueError("the indices of the sparse matrix are damaged.")
        if len(starts) != shape[1] + 1:
            raise ValueError(f"{shape[1]} sparse columns need one start more, not {len(starts)}.")
        n_values = int(starts[-1])
        if starts[0] != 0 or (starts[1:] < starts[:-1]).any() or n_values > len(rows):
            raise ValueError("the starts of the sparse columns are damaged.")
        rows = rows[:n_values].astype(np.int32, copy=False)
        new_column = np.zeros(n_values + 1, dtype=bool)
        new_column[starts] = True
        if n_values and (
            rows.min() < 0
            or rows.max() >= shape[0]
            or ((rows[1:] <= rows[:-1]) & ~new_column[1:n_values]).any()
        ):
            raise ValueError("the rows of a sparse column do not rise, or are too many.")
        values = self._numbers(flags, n_values, end, may_have_more=True)
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return sp.csc_matrix((native, rows, starts.astype(np.int32)), shape=shape)

    def _text(self, shape, end):
        kind, content = self._element(end)
        if kind not in _CODECS:
            raise ValueError(f"text has the type {kind}, which is unknown.")
        codec = _CODECS[kind]
        if codec[-2:] in ("16", "32"):
            codec += "-le" if self._order == "<" else "-be"
        text = bytes(content).decode(codec, errors="replace")
        if math.prod(shape) == 0:
            return np.array([], dtype=str)
        if shape[0] == math.prod(shape[:-1]) == 1:
            return np.array([text])
        if len(text) != math.prod(shape):
            raise ValueError(f"text of {math.prod(shape)} characters has {len(text)}.")
        letters = np.array([text]).view("U1").reshape(shape, order="F")
        return np.ascontiguousarray(letters).view(f"U{shape[-1]}").reshape(shape[:-1])

    def _cells(self, shape, end, depth):
        n_cells = math.prod(shape)
        if n_cells * 8 > end - self._stream.position:  # each has a tag at least
            raise ValueError(f"{n_cells} cells are more than the bytes of the variable.")
        values = []
        for i in range(n_cells):
            self._place.append((i, shape))
            values.append(self._nested(end, depth))
            self._place.pop()
        return _object_array(values, shape)

    def _structs(self, shape, end, depth):
        width = self._integers(end, "i4", "lengths of names")
        kind, content = self._element(end)
        if len(width) != 1 or not 0 < width[0] <= 64 or kind != 1 or len(content) % width[0]:
            raise ValueError("the names of the fields are damaged.")
        text = bytes(content)
        names = [
            text[i : i + width[0]].split(b"\0")[0].decode("utf-8", errors="replace")
            for i in range(0, len(text), width[0])
        ]
        n_structs = math.prod(shape) if names else 1
        if n_structs * len(names) * 8 > end - self._stream.position:
            raise ValueError(f"{n_structs} structures are more than the bytes of the variable.")
        structs = []
        for _ in range(n_structs):
            structs.append({})
            for name in names:
                self._place.append(f"field {name!r}")
                structs[-1][name] = self._nested(end, depth)
                self._place.pop()
        return structs[0] if n_structs == 1 else _object_array(structs, shape)

    def _nested(self, end, depth):
        kind, n_bytes = struct.unpack(self._order + "II", self._take(8, end))
        left = end - self._stream.position
        if kind != _MATRIX or n_bytes > left:
            raise ValueError(
                f"an array is expected, but there is type {kind} of {n_bytes} bytes where "
                f"{left} are left."
            )
        return self.array(self._stream.position + n_bytes, depth + 1)[1]


def _object_array(values, shape):
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):  # slices would be taken apart into their rows
        array[i] = value
    return array.reshape(shape, order="F")

"""The syntax of Weka's ARFF: quoted values and the header."""

import re
from typing import NamedTuple

from skmil.bags._errors import DataFileError, errors_name
from skmil.datasets.readers._text import parse_name, parse_numbers, shorten

_BLANKS = re.compile(rb"[ \t\r\f\v]*")
_WORD = re.compile(rb"[^ \t\r\f\v{]*")
_END = re.compile(rb"[,%]")
#: What Weka writes after a backslash, besides another one, and what it means.
_ESCAPES = {
    rb"\n": b"\n",
    rb"\r": b"\r",
    rb"\t": b"\t",
    rb"\'": b"'",
    rb"\"": b'"',
    rb"\%": b"%",
    rb"\u001E": b"\x1e",
}
_KINDS = {
    b"numeric": "numeric",
    b"real": "numeric",
    b"integer": "numeric",
    b"string": "string",
    b"date": "date",
    b"relational": "relational",
}


class Attribute(NamedTuple):
    """An attribute as the header declares it.

    Attributes
    ----------
    name : str
        Its name.
    kind : {"numeric", "nominal", "string", "date", "relational"}
        Its type.
    places : dict of bytes to bytes or None
        Of a nominal attribute, each value and its place among the values, from 0, in digits.
    attributes : dict of str to Attribute or None
        Of a relational attribute, those of its rows.
    """

    name: str
    kind: str
    places: dict | None = None
    attributes: dict | None = None

    def check(self, field):
        """Return the value that a field holds, as a string."""
        if field == b"?":
            raise ValueError(f"the value of {self.name!r} is missing ('?').")
        if self.kind == "numeric":
            parse_numbers([field], [self.name])
        elif self.kind == "nominal":
            self.place(field)
        return parse_name(field, f"value of {self.name!r}")

    def place(self, field):
        """Return the place of a nominal value among all, from 0, in digits."""
        place = self.places.get(field)
        if place is None:
            problem = "is missing" if field == b"?" else "is not one of those declared"
            raise ValueError(f"the value of {self.name!r} {problem}: {shorten(field)}.")
        return place


def split_values(line, n_values=None):
    """Return the values between the commas of a line, without their quotes.

    Parameters
    ----------
    line : bytes
        The line. Everything from a ``%`` that is not quoted is a comment.
    n_values : int, default=None
        How many values there must be; None for any number.

    Returns
    -------
    values : list of bytes
        The values.

    Raises
    ------
    ValueError
        If a quote is not closed or stands where none may be, or the number is another.
    """
    if b"'" not in line and b'"' not in line:
        content = line.partition(b"%")[0]
        _check_number(content.count(b",") + 1, n_values)
        return [field.strip() for field in content.split(b",")]
    values, place = [], 0
    while True:
        value, place = _take_value(line, place)
        values.append(value)
        if place == len(line) or line[place : place + 1] == b"%":
            _check_number(len(values), n_values)
            return values
        if len(values) == n_values:
            raise ValueError(f"it has more values than the {n_values} that are declared.")
        if line[place : place + 1] != b",":
            raise ValueError(f"a comma is missing before {shorten(line[place : place + 60])}.")
        place += 1


def _check_number(n_values, n_declared):
    if n_declared is not None and n_values != n_declared:
        raise ValueError(f"it has {n_values} values, but {n_declared} are declared.")


def _take_value(line, place):
    """Return the value that begins at a place of a line, and the place after it."""
    place = _BLANKS.match(line, place).end()
    if line[place : place + 1] in (b"'", b'"'):
        value, place = _take_quoted(line, place)
        return value, _BLANKS.match(line, place).end()
    match = _END.search(line, place)
    end = len(line) if match is None else match.start()
    value = line[place:end].rstrip()
    if b"'" in value or b'"' in value:
        raise ValueError(f"a quote stands inside a value: {shorten(value)}.")
    return value, end


def _take_quoted(line, place):
    """Return the content of the quotes that open at a place, and the place after them."""
    quote = line[place : place + 1]
    start = after = place + 1
    while True:
        end = line.find(quote, after)
        if end < 0:
            raise ValueError(f"a quote is not closed: {shorten(line[place : place + 60])}.")
        between = line[after:end]
        n_backslashes = len(between) - len(between.rstrip(b"\\"))
        if n_backslashes % 2 == 0:
            return _unescape(line[start:end]), end + 1
        after = end + 1


def _unescape(text):
    """Return a quoted text without its backslashes; each step is one pass over the text."""
    if b"\0" in text:
        raise ValueError(f"there is a zero byte in {shorten(text)}.")
    text = text.replace(rb"\\", b"\0")  # what it hides is no escape: \\n is a backslash and an n
    n_backslashes = text.count(b"\\")
    for escape, meaning in _ESCAPES.items():
        if n_backslashes == 0:
            break
        n_backslashes -= text.count(escape)
        text = text.replace(escape, meaning)
    if n_backslashes:
        wrong = text[text.index(b"\\") :][:2]
        raise ValueError(f"{shorten(wrong)} is no escape sequence of this format.")
    return text.replace(b"\0", b"\\")


def read_header(path, lines):
    """Return the attributes that the header declares, and leave the data in `lines`.

    Parameters
    ----------
    path : Path
        The file, for errors.
    lines : iterator of (int, bytes)
        The lines of the file and their numbers.

    Returns
    -------
    attributes : dict of str to Attribute
        The attributes, of which the relational ones hold those of their rows.
    """
    levels = [Attribute("", "relational", attributes={})]  # the file, and the relation that is open
    for number, line in lines:
        if line.startswith(b"%"):
            continue
        with errors_name(path, f"line {number}"):
            words = line.split(None, 1)
            keyword, rest = words[0].lower(), words[1] if len(words) > 1 else b""
            if keyword == b"@data":
                _check_closed(levels)
                return levels[0].attributes
            if keyword == b"@attribute":
                _declare(_parse_attribute(rest), levels)
            elif keyword == b"@end":
                _close(rest, levels)
            elif keyword != b"@relation":
                raise ValueError(
                    f"@relation, @attribute, @end or @data must begin the line, "
                    f"got {shorten(line)}."
                )
    raise DataFileError(path, "there is no line @data: it is no ARFF file, or cut short.")


def _declare(attribute, levels):
    siblings = levels[-1].attributes
    if attribute.name in siblings:
        raise ValueError(f"the attribute {attribute.name!r} is declared twice.")
    siblings[attribute.name] = attribute
    if attribute.kind == "relational":
        if len(levels) > 1:
            raise ValueError(f"the relation {attribute.name!r} is inside another one.")
        levels.append(attribute)


def _close(rest, levels):
    name, _ = _take_name(rest)
    if len(levels) == 1 or name != levels[-1].name:
        raise ValueError(f"@end closes {name!r}, which is not open.")
    levels.pop()


def _check_closed(levels):
    if len(levels) > 1:
        raise ValueError(f"the relation {levels[-1].name!r} has no '@end {levels[-1].name}'.")


def _parse_attribute(text):
    """Return the attribute that the text after @attribute declares."""
    name, rest = _take_name(text)
    if rest.startswith(b"{"):
        return Attribute(name, "nominal", places=_parse_places(rest, name))
    kind = _KINDS.get(_WORD.match(rest)[0].lower())
    if kind is None:
        raise ValueError(f"the type of attribute {name!r} is unknown: {shorten(rest)}.")
    return Attribute(name, kind, attributes={} if kind == "relational" else None)


def _take_name(text):
    """Return the name at the beginning of a text, quoted or not, and the rest of the text."""
    if text[:1] in (b"'", b'"'):
        name, end = _take_quoted(text, 0)
    else:
        end = _WORD.match(text).end()
        name = text[:end]
    return parse_name(name, "name of an attribute"), text[end:].strip()


def _parse_places(text, name):
    """Return the place of each of the values in braces."""
    end = text.rfind(b"}")
    if end < 0:
        raise ValueError(f"the values of {name!r} have no closing brace.")
    values = split_values(text[1:end])
    places = {value: b"%d" % i for i, value in enumerate(values)}
    if len(places) < len(values):
        raise ValueError(f"a value of {name!r} is declared twice.")
    return places

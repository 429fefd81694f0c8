"""Read Protocol Buffers without their schema, to know a file before any framework opens it.

https://protobuf.dev/programming-guides/encoding: a message is a row of fields, each a number, a
wire type and a value.
"""

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
Field = tuple[int, int, int | memoryview]


def fields(message: memoryview) -> Iterator[Field]:
    """Yield (number, wire type, value) of a message's fields.

    Raises
    ------
    ValueError
        Where it is no message any more, after the fields before.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("no field has the number 0")
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == LENGTH:
            size, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} does not exist")
        if at + size > len(message):
            yield number, kind, message[at:]
            raise ValueError("the last field is cut off")
        yield number, kind, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("the last number is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number has more than 10 bytes")


def submessages(message: memoryview, *numbers: int) -> Iterator[memoryview]:
    """Yield the values of the fields with these numbers that have a length."""
    for number, kind, value in fields(message):
        if kind == LENGTH and number in numbers and isinstance(value, memoryview):
            yield value


def text(message: memoryview, number: int) -> str:
    """Return the first string field with this number, "" if there is none."""
    for value in submessages(message, number):
        return bytes(value).decode("utf-8", errors="replace")
    return ""


def message_kind(message: memoryview) -> str | None:
    """Return "onnx", "graph" (a TensorFlow GraphDef) or "saved_model.pb"; None for anything else.

    A file that is cut off is still recognised by its beginning.
    """
    seen: list[Field] = []
    try:
        for entry in fields(message):
            seen.append(entry)
            if len(seen) >= 64:
                break
    except ValueError:
        pass
    if not seen:
        return None
    number, kind, value = seen[0]
    numbers = {entry[0] for entry in seen}
    if number == 1 and kind == LENGTH and isinstance(value, memoryview):
        return "graph" if _is_node(value) else None
    if number != 1 or kind != VARINT:
        return None
    if numbers == {1, 2} and value == 1 and _holds(seen[1], 1):  # MetaGraphDef.meta_info_def
        return "saved_model.pb"
    if 7 in numbers and max(numbers) <= 25:  # ModelProto.graph
        return "onnx"
    return None


def _holds(entry: Field, number: int) -> bool:
    """Tell whether a field is a message that begins with a message of this number."""
    if not isinstance(entry[2], memoryview):
        return False
    try:
        inner = next(fields(entry[2]), None)
    except ValueError:
        return False
    return inner is not None and inner[:2] == (number, LENGTH)


def _is_node(message: memoryview) -> bool:
    """Tell whether a message is a NodeDef: a name, and an operation in CamelCase."""
    try:
        name, operation = text(message, 1), text(message, 2)
    except ValueError:
        return False
    return bool(name) and operation.isidentifier() and operation[0].isupper()

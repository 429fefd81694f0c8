"""Look for code in a torch.export file (.pt2) before PyTorch opens it.

`torch.export.load` trusts its files: it unpickles example inputs, looks operations up by name from
the module ``torch`` on, and evaluates symbolic sizes as Python expressions
(torch/_export/serde/serialize.py). Ordinary programs use none of that beyond tensors, operators
and sums of sizes, and this is what is let through.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xai_widgets.errors import ModelError
from xai_widgets.models.archives import opened_archive, read_member

OPERATORS = re.compile(
    r"torch\.ops\.(?!aten\.(from_file|save)\b)(aten|prims)\.\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond|map_impl"
    r"|while_loop|scan)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt)"
    r"|torch\.sym_\w+"
)
LOOKED_UP = ("torch", "_operator", "math", "#")
SIZES = re.compile(r"[\w\s+\-*/%(),.<>=!&|~'\[\]]*")
SIZE_NAMES = re.compile(
    r"[suz]u?f?\d+|Symbol|positive|nonnegative|integer|Integer|Rational|Float|Add|Mul|Pow"
    r"|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|Where|Eq|Ne"
    r"|Lt|Le|Gt|Ge|And|Or|Not|True|False|int_oo|oo|inf|floor|ceiling|Identity|e\d*"
)
NAMES = re.compile(
    r"[su]\d+|zf\d+|zuf\d+|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|Where|Eq|Ne"
    r"|Lt|Le|Gt|Ge|And|Or|Not|True|False|int_oo|oo|inf|floor|ceiling|Identity|e\d*"
)
NAMES = re.compile(r"[A-Za-z_]\w*")


def find_code(path: Path, torch: Any) -> str | None:
    """Return what in an exported program could run code, "calls ...", or None if nothing does.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    with opened_archive(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json") or "/models/" in f"/{name}":
                found = _in_json(path, archive, name, torch)
            elif "/sample_inputs/" in f"/{name}" or name.endswith((".pt", ".pkl")):
                found = _in_pickle(read_member(path, archive, name), name, torch)
            elif "custom_obj" in name or "opaque_obj" in name:
                found = f"holds the object {name!r}"
            elif name.endswith((".so", ".py", ".cpp", ".dll", ".dylib", ".pyd")):
                found = f"holds the compiled or written code {name!r}"
            else:
                found = None
            if found is not None:
                return found
    return None


def _in_json(path: Path, archive: zipfile.ZipFile, name: str, torch: Any) -> str | None:
    try:
        content = json.loads(read_member(path, archive, name))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{name!r} in {path.name} is no JSON ({error}): the file is damaged. Save it again."
        ) from error
    folder = name.rpartition("/")[0]
    for key, value, owner in _walk(content):
        found = _in_text(key, value)
        if key == "use_pickle" and value:
            member = f"{folder}/{owner.get('path_name', '')}"
            if member not in archive.namelist():
                return f"names the pickle {member!r}, which it does not hold"
            found = _in_pickle(read_member(path, archive, member), member, torch)
        if found is not None:
            return found
    return None


def _in_text(key: str, value: Any) -> str | None:
    """Return what a field of the program would run if it were opened, or None."""
    if key == "target" and isinstance(value, str) and value.startswith(LOOKED_UP):
        if not OPERATORS.fullmatch(value):
            return f"calls {value[:80]!r}, which is no operator of PyTorch's own"
    elif key == "expr_str" and not _is_size(str(value)):
        return f"computes a size from {str(value)[:80]!r}"
    elif key == "guards_code" and value:
        return "checks its inputs with Python code (guards_code)"
    elif key == "forward_arg_names" and value:
        if not all(str(name).isidentifier() for name in value):
            return f"has arguments called {str(value)[:80]!r}"
    elif key in ("in_spec", "out_spec") and "__enum__" in str(value):
        return "imports a module to read its arguments"
    return None


def _walk(content: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield every key of every object with its value and the object itself."""
    waiting = [content]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            for key, value in entry.items():
                yield key, value, entry
                waiting.append(value)
        elif isinstance(entry, list):
            waiting.extend(entry)


def _is_size(expression: str) -> bool:
    names = NAMES.findall(expression)
    return (
        SIZES.fullmatch(expression) is not None
        and "__" not in expression
        and not re.search(r"[A-Za-z_)\]']\s*\.", expression)
        and all(SIZE_NAMES.fullmatch(name) for name in names)
    )


def _in_pickle(content: bytes, name: str, torch: Any) -> str | None:
    """Return why a pickle inside of the file is more than tensors, or None."""
    if not content:
        return None
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:
        return f"holds the pickle {name!r} with more than tensors in it"
    return None

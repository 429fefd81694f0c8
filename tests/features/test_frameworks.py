"""The room is written once, over the model's primitives: no module of it imports a framework."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import xai_widgets

ROOM = Path(xai_widgets.__file__).parent / "features"
FORBIDDEN = ("torch", "tensorflow", "keras", "xai_widgets.widgets", "xai_widgets.explainers")


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.stem)
def test_no_framework_and_no_widget_is_imported(path: Path) -> None:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    assert not [name for name in names if name.startswith(FORBIDDEN)]

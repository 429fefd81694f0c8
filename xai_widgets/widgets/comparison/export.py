"""Exports of a comparison: figures, tables and numbers, each with what it was made from."""

import csv
import io
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_widgets import __version__
from xai_widgets.errors import DependencyError, XaiError
from xai_widgets.evaluation.masks import describe_masks
from xai_widgets.explanation import write_whole
from xai_widgets.widgets.checking import plain
from xai_widgets.widgets.comparison.setup import parameters_text
from xai_widgets.widgets.comparison.table import cells_on_screen, records
from xai_widgets.widgets.comparison.tex import to_tex

if TYPE_CHECKING:
    from xai_widgets.widgets.comparison.comparison import Comparison

FORMAT = "xai_widgets comparison"
FORMAT_VERSION = 1
DPI = 300
FLOATS = frozenset(
    {
        "value", "mean", "low", "high", "control", "control_mean", "gain_low", "gain_high",
        "minimum", "maximum", "confidence", "score",
    }
)  # fmt: skip
PICTURES = {".png": "png", ".svg": "svg", ".pdf": "pdf"}


def save(comparison: "Comparison", path: str | Path) -> Path:
    """Write a file; see `Comparison.save`."""
    try:
        path = Path(path)
    except TypeError:
        raise XaiError(f"path is {path!r}: give the name of a file.") from None
    suffix = path.suffix.lower()
    writers: dict[str, Callable[[Comparison], bytes]] = {
        ".csv": _csv,
        ".parquet": _parquet,
        ".tex": _tex,
        ".json": _json,
    }
    if suffix not in writers and suffix not in PICTURES:
        raise XaiError(
            f"A comparison cannot be saved as {path.suffix or path.name!r}: use one of "
            f"{', '.join([*PICTURES, *writers])}."
        )
    if not path.parent.is_dir():
        raise XaiError(f"The folder {str(path.parent)!r} does not exist: create it first.")
    comparison.wait()
    if suffix in writers:
        write_whole(path, writers[suffix](comparison))
    else:
        write_whole(path, _picture(comparison, PICTURES[suffix]))
    return path


def provenance(comparison: "Comparison") -> dict[str, Any]:
    """Return what a comparison was made from, JSON-ready."""
    axes = comparison.axes
    versions = {"python": platform.python_version(), "xai-widgets": __version__}
    for model in axes.models:
        versions |= model.versions
    with comparison._state_lock:
        hashes = {
            cell.images: origin["provenance"]["image"]["hash"]
            for cell, origin in comparison.board.sources.items()
        }
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {**versions, "numpy": np.__version__},
        "models": [
            {"name": name, **model.describe()}
            for name, model in zip(axes.names, axes.models, strict=True)
        ],
        "images": [
            {"name": axes.images.name(index), "hash": hashes.get(index)}
            for index in range(len(axes.images))
        ],
        "methods": [
            {
                "label": subject.label,
                "method": subject.method,
                "layer": subject.layer,
                "parameters": {k: _value(v) for k, v in subject.parameters.items()},
                "parameters_text": parameters_text(subject.parameters),
            }
            for subject in axes.subjects
        ],
        "layers": [entry.label for entry in axes.layers],
        "targets": [entry.label for entry in axes.targets],
        "metrics": [
            {
                "name": name,
                "direction": comparison.metric_of[name].direction,
                "unit": comparison.metric_of[name].unit,
                "parameters": {
                    k: _value(v) for k, v in comparison.metric_of[name].parameters().items()
                },
            }
            for name in comparison.metrics
        ],
        "masks": describe_masks(comparison.masks),
        "normalisation": comparison.normalisation.to_dict(),
        "seed": comparison.seed,
        "grid": {**comparison._grid().to_dict(), "sort": comparison.sort},
    }


def to_png(comparison: "Comparison") -> bytes:
    """Return the beginning of the grid as it is now as a PNG, for hosts that show no widgets."""
    return _picture(comparison, "png", beginning=True)


def _picture(comparison: "Comparison", kind: str, beginning: bool = False) -> bytes:
    import matplotlib as mpl

    from xai_widgets.widgets.comparison.figure import Style, draw_comparison

    style = Style(max_rows=6, max_columns=8) if beginning else Style()
    figure = draw_comparison(comparison, style, compute=not beginning)
    told = json.dumps(plain(provenance(comparison)))
    metadata = {"Subject" if kind == "pdf" else "Description": told}
    buffer = io.BytesIO()
    # Text stays text in SVG, and fonts are embedded whole in PDF, as publishers ask.
    with mpl.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        dpi = 110 if beginning else DPI
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def _rows(comparison: "Comparison") -> list[dict[str, Any]]:
    """Return the records with one plain value a column: nested ones as JSON."""
    return [
        {name: _flat(name, value) for name, value in record.items()}
        for record in records(comparison)
    ]


def _csv(comparison: "Comparison") -> bytes:
    rows = _rows(comparison)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows({name: _as_text(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _as_text(value: Any) -> Any:
    """Keep a spreadsheet from reading a user's text as a formula."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value


def _parquet(comparison: "Comparison") -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DependencyError(
            "Writing Parquet needs pyarrow: run `pip install xai-widgets[export]`, or save as .csv."
        ) from error
    table = pa.Table.from_pylist(_rows(comparison))
    told = json.dumps(plain(provenance(comparison))).encode()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"xai_widgets": told})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _tex(comparison: "Comparison") -> bytes:
    return to_tex(comparison, provenance(comparison)).encode()


def _json(comparison: "Comparison") -> bytes:
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "provenance": provenance(comparison),
        "cells": [_cell(comparison, cell) for row in cells_on_screen(comparison) for cell in row],
        "records": records(comparison),
    }
    return json.dumps(plain(_value(record)), indent=1).encode()


def _cell(comparison: "Comparison", cell: Any) -> dict[str, Any]:
    source = comparison.axes.source(cell)
    about = comparison.board.cells.get(source, {"state": "waiting"})
    origin = comparison.board.sources.get(source, {})
    labels = {axis: comparison.axes.label(axis, at) for axis, at in cell.to_dict().items()}
    return {"key": cell.key, **labels, **about, **origin}


def _flat(name: str, value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(plain(_value(value)))
    if name in FLOATS and value is not None:
        return float(value)
    return value


def _value(value: Any) -> Any:
    """Return a value as JSON takes it; arrays by shape and hash."""
    import hashlib

    if isinstance(value, Mapping):
        return {str(key): _value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16)
        return {"shape": list(value.shape), "hash": digest.hexdigest()}
    plain_types = (str, int, float, bool, type(None))
    return value if isinstance(value, plain_types) else str(value)


__all__: Sequence[str] = ["provenance", "save", "to_png"]

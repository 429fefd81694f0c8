"""Concept sets as Label Studio's JSON: rectangles, polygons, brushes and choices.

https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks. A label is a concept;
a choice for a whole picture is an example that is the whole picture. Positions are percent of the
picture's width and height.
"""

import math
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xai_widgets.concepts.annotation import clean_time
from xai_widgets.concepts.atomic import write_file
from xai_widgets.concepts.examples import ExampleStore
from xai_widgets.concepts.formats import rle
from xai_widgets.concepts.formats.pictures import Pictures
from xai_widgets.concepts.formats.placing import (
    MAX_ANNOTATIONS,
    Found,
    Skipped,
    exported,
    full_mask,
    open_json,
    place,
    say_what_is_lost,
    short,
)
from xai_widgets.concepts.json_text import to_bytes
from xai_widgets.concepts.records import Example, ImageRef, Transfer
from xai_widgets.errors import StoreError, XaiError
from xai_widgets.models.images import DisplayImage
from xai_widgets.regions import encode_runs

WHAT = "Label Studio"
DECIMALS = 9
"""Of a pixel; percent come back as what they were made from."""
LABELS = {
    "rectanglelabels": "rectanglelabels",
    "polygonlabels": "polygonlabels",
    "brushlabels": "brushlabels",
    "choices": "choices",
}


def read(store: ExampleStore, source: Any, images: Any) -> Transfer:
    """Add the annotations of a Label Studio export to a store.

    Parameters
    ----------
    store
        Gets them.
    source
        The JSON file, or its content as a list of tasks.
    images
        The pictures, found by their file names; see `Pictures`. Nothing is fetched.
    """
    tasks = open_json(source, (list, dict))
    if isinstance(tasks, dict):
        tasks = [tasks]
    if len(tasks) > MAX_ANNOTATIONS:
        raise StoreError(f"The file has {len(tasks)} tasks: at most {MAX_ANNOTATIONS} are taken.")
    skipped = Skipped()
    return place(store, _found(tasks, Pictures(images), skipped), skipped)


def _found(tasks: list[Any], pictures: Pictures, skipped: Skipped) -> Iterator[Found]:
    for number, task in enumerate(tasks):
        where = f"Task {number + 1}"
        if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
            skipped.out(where, "it has no list 'annotations'; export as JSON, not as JSON-MIN")
            continue
        if task.get("predictions"):
            skipped.say(f"{where}: the predictions in it were left out.")
        done = [a for a in task["annotations"] if isinstance(a, dict) and _results(a)]
        if not done:
            continue
        try:
            image = pictures.find(*_name(task.get("data")))
        except XaiError as error:
            skipped.out(where, error)
            continue
        for annotation in done:
            if annotation.get("was_cancelled") is True:
                skipped.out(where, "its annotation was cancelled")
                continue
            for result in _results(annotation):
                yield from _of_result(where, result, annotation, image, skipped)


def _results(annotation: Mapping[str, Any]) -> list[Any]:
    results = annotation.get("result")
    return results if isinstance(results, list) else []


def _name(data: Any) -> tuple[str, str]:
    """Return the file name in a task's data, and our own hash of the picture if it is there."""
    if not isinstance(data, dict):
        raise StoreError("its 'data' is no object")
    texts = [data.get("image"), data.get("img"), *data.values()]
    for text in texts:
        if isinstance(text, str) and text and len(text) < 4096:
            try:
                parts = urllib.parse.urlsplit(text)
            except ValueError:
                continue
            stored = urllib.parse.parse_qs(parts.query).get("d")
            name = stored[0] if stored else urllib.parse.unquote(parts.path)
            image_hash = data.get("hash", "")
            return name, image_hash if isinstance(image_hash, str) else ""
    raise StoreError("its 'data' names no picture")


def _of_result(
    task: str,
    result: Any,
    annotation: Mapping[str, Any],
    image: DisplayImage,
    skipped: Skipped,
) -> Iterator[Found]:
    if not isinstance(result, dict):
        skipped.out(f"{task}: a result", "it is no object")
        return
    where = f"{task}, result {short(result.get('id', '?'), 40)}"
    kind = result.get("type")
    if kind not in LABELS:
        skipped.out(where, f"it is of the type {short(kind, 40)}, which no region here can hold")
        return
    try:
        value = result.get("value")
        if not isinstance(value, dict):
            raise StoreError("its 'value' is no object")
        labels = value.get(LABELS[kind])
        if not isinstance(labels, list) or not labels or len(labels) > 100:
            raise StoreError("it has no label")
        region = _region(kind, value, result, image)
        for label in labels:
            yield Found(
                where=where,
                concept=label,
                image=image,
                region=region,
                comment=_comment(result.get("meta")),
                author=_author(annotation.get("completed_by")),
                created=clean_time(annotation.get("created_at") or ""),
            )
    except XaiError as error:
        skipped.out(where, error)


def _region(
    kind: str, value: Mapping[str, Any], result: Mapping[str, Any], image: DisplayImage
) -> dict[str, Any] | None:
    if kind == "choices":
        return None
    size = (result.get("original_height"), result.get("original_width"))
    if size not in ((None, None), (image.height, image.width)):
        raise StoreError(
            f"its picture {short(image.name)} has {image.width} x {image.height} pixels here and "
            f"{short(size[1], 20)} x {short(size[0], 20)} in the file"
        )
    if _number(result.get("image_rotation") or 0):
        raise StoreError("its picture was turned in Label Studio; turn it back there")
    if kind == "brushlabels":
        if value.get("format") != "rle":
            raise StoreError("its brush is not written as run lengths ('rle')")
        mask = rle.from_label_studio(value.get("rle"), (image.height, image.width))
        return {"type": "mask", "size": [*mask.shape], "counts": encode_runs(mask)}
    across, down = image.width / 100, image.height / 100
    if kind == "polygonlabels":
        points = value.get("points")
        if not isinstance(points, list) or not 3 <= len(points) <= 5000:
            raise StoreError("its polygon is no list of 3 to 5000 points")
        if not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise StoreError("a point of its polygon is no pair of numbers")
        pairs = [[_pixels(x, across), _pixels(y, down)] for x, y in points]
        return {"type": "polygon", "points": pairs}
    x, width = (_pixels(value.get(name), across) for name in ("x", "width"))
    y, height = (_pixels(value.get(name), down) for name in ("y", "height"))
    angle = math.radians(_number(value.get("rotation") or 0))
    if angle:
        # Label Studio turns a rectangle clockwise about its upper left corner.
        corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
        cos, sin = math.cos(angle), math.sin(angle)
        turned = [[x + a * cos - b * sin, y + a * sin + b * cos] for a, b in corners]
        return {"type": "polygon", "points": turned}
    return {"type": "rect", "x": x, "y": y, "width": width, "height": height}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StoreError(f"{short(value, 20)} is no number of percent")
    return float(value)


def _pixels(percent: Any, pixels_per_percent: float) -> float:
    return round(_number(percent) * pixels_per_percent, DECIMALS)


def _comment(meta: Any) -> str:
    text = meta.get("text", "") if isinstance(meta, dict) else ""
    if isinstance(text, list):
        text = "\n".join(line for line in text if isinstance(line, str))
    return text if isinstance(text, str) else ""


def _author(completed_by: Any) -> str | None:
    if isinstance(completed_by, dict):
        email = completed_by.get("email")
        return email if isinstance(email, str) and len(email) <= 200 else None
    return None


def write(store: ExampleStore, path: str | Path) -> Transfer:
    """Write the included examples of a store as tasks for Label Studio.

    Parameters
    ----------
    store
        What is written.
    path
        The file; replaced whole if it is there.
    """
    skipped = Skipped()
    tasks: dict[tuple[str, str], dict[str, Any]] = {}
    done: list[Example] = []
    n_excluded = 0
    for concept, example, image in exported(store, skipped, WHAT):
        if not example.included:
            n_excluded += 1
            continue
        try:
            result = _result(concept, example, image)
        except XaiError as error:
            skipped.out(f"Example {example.id}", error)
            continue
        task = tasks.setdefault(
            (image.hash, image.name),
            {
                "id": len(tasks) + 1,
                "data": {"image": urllib.parse.quote(image.name), "hash": image.hash},
                "annotations": [{"id": len(tasks) + 1, "result": []}],
            },
        )
        task["annotations"][0]["result"].append(result)
        done.append(example)
    if n_excluded:
        skipped.say(
            f"{n_excluded} excluded examples were left out: {WHAT} cannot say that they are."
        )
    if done:
        skipped.say(f"Authors and times were left out: {WHAT} has its own users.")
    if any(concept.role == "random" and concept.examples for concept in store.concepts):
        skipped.say(f"Random sets are labels like others: {WHAT} does not tell them apart.")
    say_what_is_lost(store, skipped, WHAT)
    write_file(Path(path), to_bytes(list(tasks.values())))
    return Transfer(tuple(done), skipped.sentences)


def _result(concept: str, example: Example, image: ImageRef) -> dict[str, Any]:
    kind, value = _value(example.region, image)
    value[LABELS[kind]] = [concept]
    result = {
        "id": example.id[:10],
        "type": kind,
        "from_name": kind.removesuffix("labels"),
        "to_name": "image",
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "value": value,
    }
    if example.comment:
        result["meta"] = {"text": [example.comment]}
    return result


def _value(region: dict[str, Any] | None, image: ImageRef) -> tuple[str, dict[str, Any]]:
    across, down = 100 / image.width, 100 / image.height
    if region is None:
        return "choices", {}
    if region["type"] == "rect":
        return "rectanglelabels", {
            "x": region["x"] * across,
            "y": region["y"] * down,
            "width": region["width"] * across,
            "height": region["height"] * down,
            "rotation": 0,
        }
    if region["type"] == "polygon":
        points = [[x * across, y * down] for x, y in region["points"]]
        return "polygonlabels", {"points": points, "closed": True}
    return "brushlabels", {"format": "rle", "rle": rle.to_label_studio(full_mask(region, image))}

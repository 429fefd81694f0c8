"""Exports of a scrubbed path: a file that scrubs offline, the stack, films, single frames."""

import base64
import gzip
import io
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import XaiError
from xai_widgets.explainers.path_stack import PathStack
from xai_widgets.explanation import SIGNED_COLOURS, Explanation, write_whole
from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.protocol import pack
from xai_widgets.widgets.scrubber.picture import LINES, interpolated, largest
from xai_widgets.widgets.scrubber.state import ASKED

if TYPE_CHECKING:
    from xai_widgets.widgets.scrubber.scrubber import PathScrubber

FRAME_MS = 60
PANE = 288
GAP, CHART = 12, 84

# An in-memory model stands in for the kernel: it answers hello with the messages of this file.
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline';
 img-src data: blob:">
<title>$title</title>
<style>
body { margin: 24px auto; padding: 0 16px; max-width: 1100px; font: 14px system-ui, sans-serif; }
.xaiw { --fg: #1d2127; }
@media (prefers-color-scheme: dark) {
body { background: #111; --jp-layout-color1: #181a1e; --jp-ui-font-color0: #e8eaee; color: #e8eaee;
--jp-brand-color1: #64b5f6; }
.xaiw { --fg: #e8eaee; }
}
$styles
</style>
</head>
<body>
<main id="host"></main>
<script type="text/plain" id="module">$module</script>
<script type="text/plain" id="data">$data</script>
<script type="module">
const text = (id) => document.getElementById(id).textContent;
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
async function unpack(base64) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
const packed = await unpack(text("data"));
const size = new DataView(packed.buffer).getUint32(0, true);
const { traits, messages } = JSON.parse(new TextDecoder().decode(packed.subarray(4, 4 + size)));
let at = 4 + size;
for (const message of messages) {
  message.buffers = message.sizes.map((length) => {
    const view = new DataView(packed.buffer, at, length);
    at += length;
    return view;
  });
}
const listeners = new Map();
const emit = (name, ...values) => {
  for (const each of listeners.get(name) ?? []) each(...values);
};
const model = {
  get: (name) => traits[name],
  set(name, value) {
    traits[name] = value;
    emit("change:" + name);
  },
  save_changes() {},
  on(name, listener) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(listener);
  },
  off() {},
  send(message) {
    const ack = { v: 1, id: "f", kind: "ack", revision: 1, payload: { id: message.id } };
    emit("msg:custom", ack, []);
    if (message.kind === "hello") {
      for (const { content, buffers } of messages) emit("msg:custom", content, buffers);
    }
  },
};
const url = URL.createObjectURL(new Blob([text("module")], { type: "text/javascript" }));
const widget = (await import(url)).default();
const signal = new AbortController().signal;
widget.initialize({ model, signal });
widget.render({ model, el: document.getElementById("host"), signal });
</script>
</body>
</html>
""")


def to_html(scrubber: "PathScrubber") -> bytes:
    """Return a page that scrubs without kernel and network; waits for the job."""
    explanation = scrubber.explanation
    messages, buffers = [], []
    for kind, payload in scrubber.messages():
        content, parts = pack(kind, 1, _lean(kind, payload))
        messages.append({"content": content, "sizes": [len(part) for part in parts]})
        buffers += parts
    traits = {name: getattr(scrubber, name) for name in ASKED}
    head = json.dumps(
        {"traits": {**traits, "region": None, "offline": True}, "messages": messages}
    ).encode()
    packed = gzip.compress(b"".join([len(head).to_bytes(4, "little"), head, *buffers]), 6, mtime=0)
    title = f"{explanation.title} for {explanation.target_text}"
    return PAGE.substitute(
        title=_text(title),
        styles=bundle("scrubber.css"),
        # The module's only way out of its element is a closing tag inside a string of its own.
        module=bundle("scrubber.js").replace("</script", "<\\/script"),
        data=base64.b64encode(packed).decode("ascii"),
    ).encode()


def _lean(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what only the Explorer's pickers need."""
    return {**payload, "methods": [], "layers": []} if kind == "setup" else payload


def _text(text: str) -> str:
    from html import escape

    return escape(text)


def to_npz(stack: PathStack, explanation: Explanation, path: Mapping[str, Any]) -> bytes:
    """Return the stack as arrays: alphas, scores with their names, maps, attribution, JSON."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        alphas=stack.alphas,
        weights=stack.weights,
        maps=stack.maps,
        scores=stack.scores,
        series=np.asarray([line["text"] for line in path["series"]]),
        attribution=explanation.attribution,
        ends=path["ends"],
        json=np.asarray(json.dumps(explanation.to_dict())),
    )
    return buffer.getvalue()


class Film:
    """Frames of a sweep: input, step, attribution so far, and the score below them."""

    def __init__(self, stack: PathStack, explanation: Explanation, path: Mapping[str, Any]) -> None:
        import matplotlib

        self._stack, self._path = stack, path
        self._maps, self._sums = stack.contributions, stack.accumulated
        self._alphas, self._scores = stack.alphas, stack.scores
        self._scales = largest(self._maps), largest(self._sums[-1])
        self._colours = matplotlib.colormaps[SIGNED_COLOURS]
        self._target = explanation.target_text

    def __len__(self) -> int:
        """How many frames there are: one for each point."""
        return len(self._alphas)

    def frame(self, index: int) -> Any:
        """Return one frame as a PIL image, its sides even, as films want them."""
        from PIL import Image, ImageDraw

        width = 3 * PANE + 4 * GAP
        image = Image.new("RGB", (width, PANE + CHART + 4 * GAP + 24), "white")
        ink = ImageDraw.Draw(image)
        panes = [
            interpolated(self._stack, self._path, index),
            self._coloured(self._maps[index], self._scales[0]),
            self._coloured(self._sums[index], self._scales[1]),
        ]
        titles = ("What the model sees", "This step", "Attribution so far")
        for i, (pixels, title) in enumerate(zip(panes, titles, strict=True)):
            picture = Image.fromarray(pixels)
            height, wide = pixels.shape[:2]
            scale = PANE / max(height, wide)
            picture = picture.resize((round(wide * scale), round(height * scale)))
            left = GAP + i * (PANE + GAP)
            image.paste(picture, (left, 24 + GAP))
            ink.text((left, GAP), title, fill="#3c434d")
        self._chart(ink, index, (GAP, PANE + 24 + 3 * GAP, width - GAP, image.height - GAP))
        return image

    def _coloured(self, values: Any, scale: float) -> npt.NDArray[np.uint8]:
        colours = self._colours(np.clip(values / scale / 2 + 0.5, 0, 1), bytes=True)
        return np.asarray(colours[..., :3])

    def _chart(self, ink: Any, index: int, box: tuple[int, int, int, int]) -> None:
        left, top, right, bottom = box
        low, high = float(self._scores.min()), float(self._scores.max())
        span = high - low or 1.0

        def at(alpha: float, score: float) -> tuple[float, float]:
            return left + alpha * (right - left), bottom - (score - low) / span * (bottom - top)

        ink.line([(left, bottom), (right, bottom)], fill="#c9ced6")
        for line, scores in zip(self._path["series"], self._scores.T, strict=True):
            points = [at(a, s) for a, s in zip(self._alphas, scores, strict=True)]
            ink.line(points, fill=LINES[line["role"]], width=2 if line["role"] == "target" else 1)
        alpha, score = float(self._alphas[index]), float(self._scores[index, 0])
        x, y = at(alpha, score)
        ink.line([(x, top), (x, bottom)], fill="#1d2127")
        ink.ellipse([x - 4, y - 4, x + 4, y + 4], fill="white", outline=LINES["target"], width=2)
        text = f"alpha {alpha:.2f}   score for {self._target} {score:.3g}"
        ink.text((left, top - 2 * GAP + 4), text, fill="#1d2127")


def to_gif(film: Film) -> bytes:
    """Return the sweep as an animated GIF; its ends stand still for a while."""
    from PIL import Image

    frames = [
        film.frame(index).quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for index in range(len(film))
    ]
    times = [600, *[FRAME_MS] * (len(frames) - 2), 1800]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    return buffer.getvalue()


def to_mp4(film: Film) -> bytes:
    """Return the sweep as an H.264 film.

    Raises
    ------
    XaiError
        If the encoder is not installed.
    """
    try:
        av: Any = import_module("av")
    except ImportError:
        raise XaiError(
            "A film needs the video encoder: install it with pip install 'xai-widgets[video]', "
            "or save the sweep as .gif."
        ) from None
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=round(1000 / FRAME_MS))
        stream.pix_fmt = "yuv420p"
        stream.width, stream.height = film.frame(0).size
        for index in [*[0] * 8, *range(len(film)), *[len(film) - 1] * 20]:
            picture = av.VideoFrame.from_image(film.frame(index))
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return buffer.getvalue()


def save(scrubber: "PathScrubber", path: str | Path, alpha: float) -> Path:
    """Write a file whose suffix decides what of the path; see `PathScrubber.save`."""
    path = Path(path)
    found = scrubber._finished()
    described = scrubber._shown["path"]

    def film() -> Film:
        return Film(found.stack, found.explanation, described)

    def png() -> bytes:
        made = film()
        buffer = io.BytesIO()
        made.frame(int(np.abs(found.stack.alphas - alpha).argmin())).save(buffer, "PNG")
        return buffer.getvalue()

    writers: dict[str, Callable[[], bytes]] = {
        ".html": lambda: to_html(scrubber),
        ".npz": lambda: to_npz(found.stack, found.explanation, described),
        ".png": png,
        ".gif": lambda: to_gif(film()),
        ".mp4": lambda: to_mp4(film()),
    }
    if path.suffix.lower() not in writers:
        raise XaiError(
            f"A path cannot be saved as {path.suffix or path.name!r}: "
            f"use one of {', '.join(writers)}."
        )
    if not path.parent.is_dir():
        raise XaiError(f"The folder {str(path.parent)!r} does not exist: create it first.")
    write_whole(path, writers[path.suffix.lower()]())
    return path

"""The attention view's kernel side: once per picture, bounded, from memory, shown static."""

from __future__ import annotations

import base64
import gc
import io
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from torch import nn

import xai_widgets as xw
from xai_widgets.errors import ModelError, XaiError
from xai_widgets.models.architecture import Grid
from xai_widgets.models.attention import AttentionLayer
from xai_widgets.widgets.attention.record import AttentionRecord, _merge, recorded
from xai_widgets.widgets.attention.view import AttentionView

Make = Callable[..., AttentionView]
SIDE, PATCH = 32, 8
N_PATCHES = (SIDE // PATCH) ** 2


class TinyViT(nn.Module):
    """Two blocks of three heads over 4 x 4 patches and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, PATCH, PATCH)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.place = nn.Parameter(torch.randn(1, 1 + N_PATCHES, 12))
        self.blocks = nn.ModuleList(
            nn.MultiheadAttention(12, 3, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(12, 4)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.place
        for block in self.blocks:
            tokens = tokens + block(tokens, tokens, tokens)[0]
        return self.head(tokens[:, 0])


@pytest.fixture
def vit() -> TinyViT:
    torch.manual_seed(0)
    return TinyViT().eval()


@pytest.fixture
def model(vit: TinyViT) -> xw.ExplainableModel:
    return xw.load(vit, labels=["zebra", "leopard", "cow", "horse"], input_size=(SIDE, SIDE))


@pytest.fixture
def make(model: xw.ExplainableModel, pictures: np.ndarray, recorded: Any) -> Iterator[Make]:
    made: list[AttentionView] = []

    def build(source: Any = None, **traits: Any) -> AttentionView:
        made.append(AttentionView(source or model, pictures[0], **traits))
        return made[-1]

    yield build
    for view in made:
        view.close()


def browser(view: AttentionView, kind: str, payload: dict[str, Any] | None = None) -> None:
    content = {"v": 1, "id": "b1", "kind": kind, "revision": 1, "payload": payload or {}}
    view._receive(view, content, [])


def put_together(recorded: Any, after: int = 0) -> list[np.ndarray]:
    """Return the matrices as a browser would have them."""
    messages = [m for m in recorded.messages[after:] if m["kind"] in ("attention", "rows")]
    layers = [m for m in messages if m["kind"] == "attention"][-1]["payload"]["layers"]
    found = [np.full(((e["heads"] + 1) * e["tokens"], e["tokens"]), np.nan) for e in layers]
    for message in messages:
        if message["kind"] == "rows":
            payload = message["payload"]
            rows = payload["array"]
            found[payload["layer"]][payload["start"] : payload["start"] + len(rows)] = rows
    return [
        each.reshape(e["heads"] + 1, e["tokens"], -1) for each, e in zip(found, layers, strict=True)
    ]


def test_all_layers_and_heads_are_sent_once_and_are_what_the_model_computes(
    make: Make, recorded, model, vit: TinyViT, pictures
) -> None:
    make()
    assert recorded.final(1)["kind"] == "result"
    kinds = [message["kind"] for message in recorded.messages if message["kind"] != "progress"]
    assert kinds == ["accepted", "picture", "attention", "rows", "rows", "result"]
    layers = recorded.of("attention")[0]["payload"]["layers"]
    assert [(layer["heads"], layer["rows"], layer["columns"]) for layer in layers] == [
        (3, 4, 4)
    ] * 2
    assert [layer["prefix"] for layer in layers] == [1, 1]
    matrices = put_together(recorded)
    with torch.no_grad():
        x = torch.from_numpy(model.prepare(pictures[0]).values).permute(2, 0, 1)[None]
        tokens = vit.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([vit.token, tokens], 1) + vit.place
        expected = []
        for block in vit.blocks:
            out, weights = block(tokens, tokens, tokens, average_attn_weights=False)
            expected.append(weights[0].numpy())
            tokens = tokens + out
    for shown, exact in zip(matrices, expected, strict=True):
        np.testing.assert_allclose(shown[:3], exact, atol=1e-3)


def test_the_rollout_is_the_product_of_the_layers_with_half_of_each_token_kept(
    make: Make, recorded
) -> None:
    make()
    recorded.final(1)
    flow = np.eye(1 + N_PATCHES)
    for matrices in put_together(recorded):
        flow = (0.5 * matrices[:3].mean(0) + 0.5 * np.eye(1 + N_PATCHES)) @ flow
        np.testing.assert_allclose(matrices[3], flow, atol=2e-3)
        np.testing.assert_allclose(matrices[3].sum(1), 1, atol=5e-3)


def test_a_new_view_is_filled_without_computing(make: Make, recorded, vit: TinyViT) -> None:
    view = make()
    recorded.final(1)
    calls, before = vit.calls, len(recorded.messages)
    browser(view, "hello")
    kinds = [message["kind"] for message in recorded.messages[before:]]
    assert kinds == ["ack", "setup", "accepted", "picture", "attention", "rows", "rows", "result"]
    np.testing.assert_array_equal(put_together(recorded, before), put_together(recorded))
    make()
    assert recorded.wait("result", after=before + 8)["payload"]["cached"]
    assert vit.calls == calls, "the same picture is not computed again for another view"


def test_traits_ask_nothing_of_the_model(make: Make, recorded, vit: TinyViT) -> None:
    view = make()
    recorded.final(1)
    calls, before = vit.calls, len(recorded.messages)
    view.layer, view.head, view.query = 0, 2, (1, 3)
    assert view.query == [1, 3]
    assert vit.calls == calls
    assert len(recorded.messages) == before


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("layer", 2, "There is no attention layer 2"),
        ("layer", -1, "There is no attention layer -1"),
        ("head", 3, "There is no head 3"),
        ("head", "median", "one of"),
        ("query", (4, 0), "the grid has 4 x 4"),
        ("query", "CLS", "position of a token"),
    ],
)
def test_a_wrong_value_gets_a_sentence(make: Make, trait: str, value: Any, sentence: str) -> None:
    view = make()
    assert view.attention is not None
    with pytest.raises(traitlets.TraitError, match=sentence):
        setattr(view, trait, value)
    assert getattr(view, trait) == ("mean" if trait == "head" else None)


def test_a_model_without_attention_gets_one_sentence(make: Make, recorded, net) -> None:
    view = make(net)
    message = recorded.final(1)
    assert message["kind"] == "error"
    sentence = message["payload"]["message"]
    assert "attention" in sentence
    assert sentence.endswith(".")
    with pytest.raises(XaiError, match="attention"):
        _ = view.attention
    data, _ = view._repr_mimebundle_()
    assert "image/png" not in data


def test_chunks_stay_below_the_limit_and_cover_every_row_once() -> None:
    from xai_widgets.widgets.attention.record import ShownLayer

    weights = np.arange(3 * 20 * 20, dtype=np.float16).reshape(3, 20, 20)
    layer = ShownLayer("a", 2, Grid(4, 5), weights)
    record = AttentionRecord((layer, layer), np.zeros(1, dtype=np.float32), 1, 0)
    chunks = list(record.chunks(limit_bytes=1000))
    assert max(chunk["array"].nbytes for chunk in chunks) <= 1000
    for index in range(2):
        rows = [chunk["array"] for chunk in chunks if chunk["layer"] == index]
        np.testing.assert_array_equal(np.concatenate(rows), weights.reshape(60, 20))


def test_too_many_patches_are_merged_so_that_rows_still_sum_to_one() -> None:
    weights = np.random.default_rng(0).random((2, 22, 22), dtype=np.float32)
    weights /= weights.sum(-1, keepdims=True)
    merged, grid = _merge(weights, Grid(3, 7, 1), 2)
    assert grid == Grid(2, 4, 1)
    assert merged.shape == (2, 9, 9)
    np.testing.assert_allclose(merged.sum(-1), 1, atol=1e-5)
    block = [1 + 0, 1 + 1, 1 + 7, 1 + 8]
    np.testing.assert_allclose(
        merged[:, 1, 1], weights[:, block][:, :, block].sum(2).mean(1), atol=1e-6
    )


def test_the_size_is_bounded_by_merging(model, pictures) -> None:
    stream = recorded(model, model.prepare(pictures[0]), limit_bytes=2000)
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            record = stop.value
            break
    assert record.merged == 2
    assert record.nbytes <= 2000
    assert [layer.grid for layer in record.layers] == [Grid(2, 2, 1)] * 2


def test_attention_inside_windows_is_refused_with_a_sentence(
    model, pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Windows:
        layers = (AttentionLayer("blocks.0", 3, 16, Grid(4, 4), windows=4),)

    monkeypatch.setattr(type(model), "attention", lambda *_: Windows())
    with pytest.raises(ModelError, match="inside small windows"):
        next(recorded(model, model.prepare(pictures[0])))


@pytest.mark.parametrize(
    "traits", [{}, {"query": [1, 2], "head": 1, "layer": 0}, {"head": "rollout"}]
)
def test_the_mimebundle_holds_a_picture_beside_the_live_view(make: Make, traits: Any) -> None:
    data, _ = make(**traits)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 800


def test_a_snapshot_asks_the_browser_for_its_own_picture(
    make: Make, recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    view = make()
    view.snapshot()
    assert base64.b64decode(shown[0]["image/png"]).startswith(b"\x89PNG")
    assert recorded.wait("snapshot")["payload"]["token"]


def test_a_cancelled_view_can_be_tried_again(make: Make, recorded) -> None:
    view = make()
    browser(view, "cancel")
    recorded.final(1)
    browser(view, "retry")
    assert recorded.final(2)["kind"] == "result"
    assert len(view.attention.layers) == 2


def test_a_closed_view_is_released(model, pictures) -> None:
    view = AttentionView(model, pictures[0])
    assert view.attention is not None
    reference = weakref.ref(view)
    view.close()
    del view
    gc.collect()
    assert reference() is None

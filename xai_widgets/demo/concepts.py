"""Concept examples for TCAV: pictures of one texture or thing, and pools of everything else.

Textures come from the code that draws the coats, rulers from the code that lays them beside the
lesions, but from streams of their own: no example shares its randomness with a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from .backgrounds import GROUNDS, landscape
from .fields import Picture, grid, noise, paint, rotated, step, to_uint8
from .lesions import SIZE, outline, pigment
from .names import DemoError, choice, whole_number
from .skin import hairs, lighting, ruler, skin
from .streams import balanced, stream
from .textures import COATS, coat

Example = Callable[[np.random.Generator], Picture]


def _coat(kind: str) -> Example:
    def example(rng: np.random.Generator) -> Picture:
        x, y = grid(SIZE)
        # A zebra's bands run every way over body, neck and legs, so a concept's do too.
        along, across = rotated(x, y, rng.uniform(0, 2 * np.pi))
        picture = coat(rng, kind, along, across, rng.uniform(0.9, 1.35))
        return _photographed(rng, picture)

    return example


def _photographed(rng: np.random.Generator, picture: Picture) -> Picture:
    """Return the picture under the light and with the noise of the animals' pictures."""
    light = rng.uniform(0.75, 1.08) * (1 + 0.08 * noise(rng, SIZE, 90))
    grain = rng.normal(0, rng.uniform(0.004, 0.02), picture.shape)
    return np.asarray(picture * light[..., None] + grain, np.float32)


def _ground(name: str) -> Example:
    return lambda rng: _photographed(rng, GROUNDS[name](rng, SIZE))


def _landscape(rng: np.random.Generator) -> Picture:
    return _photographed(rng, landscape(rng, SIZE, rng.uniform(0.55, 0.95) * SIZE))


def _surface(rng: np.random.Generator) -> Picture:
    """Return a plain surface of any colour, not only an animal's."""
    base = rng.uniform(0.15, 0.9, 3)
    picture = base * (1 + rng.uniform(0, 0.08) * noise(rng, SIZE, 30, 3))[..., None]
    return _photographed(rng, np.asarray(picture, np.float32))


def _ruler(rng: np.random.Generator) -> Picture:
    return lighting(rng, ruler(rng, hairs(rng, skin(rng, SIZE)), anywhere=rng.random() < 0.5)[0])


def _bare_skin(rng: np.random.Generator) -> Picture:
    return lighting(rng, skin(rng, SIZE))


def _hairs(rng: np.random.Generator) -> Picture:
    picture = skin(rng, SIZE)
    for _ in range(3):
        picture = hairs(rng, picture)
    return lighting(rng, picture)


def _tones(several: float) -> Example:
    """Return what draws pigment that fills the picture, with one tone or several."""

    def example(rng: np.random.Generator) -> Picture:
        x, _ = grid(SIZE)
        deep = np.full_like(x, -9.0)
        return lighting(rng, skin(rng, SIZE) * pigment(rng, deep, several))

    return example


def _border(ragged: float) -> Example:
    """Return what draws a border of one tone, smooth or ragged."""

    def example(rng: np.random.Generator) -> Picture:
        cover = step(-outline(rng, ragged), rng.uniform(1.5, 4.5))
        picture = skin(rng, SIZE)
        tone = pigment(rng, np.full_like(cover, -9.0), 0.0)
        return lighting(rng, paint(picture, picture * tone, cover))

    return example


FAMILIES: dict[str, dict[str, Example]] = {
    "animals": {
        **{kind: _coat(kind) for kind in COATS},
        **{name: _ground(name) for name in GROUNDS},
        "landscape": _landscape,
        "surface": _surface,
    },
    "lesions": {
        "ruler": _ruler,
        "hairs": _hairs,
        "skin": _bare_skin,
        "one tone": _tones(0.0),
        "several tones": _tones(1.0),
        "smooth border": _border(0.05),
        "ragged border": _border(0.9),
    },
}
"""Concepts by the data set they belong to."""

NAMES = tuple(name for family in FAMILIES.values() for name in family)


def members(exclude: str | Iterable[str] = ()) -> tuple[str, ...]:
    """Return the concepts that a random pool is made of.

    The pool belongs to the data sets of what is excluded (to all, where nothing is): what a ruler
    is compared with are hairs and skin, not giraffes.

    Parameters
    ----------
    exclude : str or iterable of str
        Concepts that must not be in the pool.
    """
    if not isinstance(exclude, Iterable):
        raise DemoError(f"exclude must be a concept's name or several, not {exclude!r}.")
    names = [exclude] if isinstance(exclude, str) else list(exclude)
    for name in names:
        choice(name, NAMES, "concept to exclude")
    families = [f for f in FAMILIES.values() if not names or any(name in f for name in names)]
    pool = tuple(name for family in families for name in family if name not in names)
    # A plain coat and a plain surface are the same thing under two names.
    twins = {"plain": "surface", "surface": "plain"}
    return tuple(name for name in pool if twins.get(name) not in names)


def concept(
    name: str, n: int = 40, seed: int = 0, exclude: str | Iterable[str] | None = None
) -> NDArray[np.uint8]:
    """Return examples of a concept, or a pool of everything else.

    Parameters
    ----------
    name : str
        For "animals": a coat ("stripes", "spots", "patches", "network", "plain"), a ground
        ("grass", "earth", "stones", "snow", "leaves"), "landscape" or "surface". For "lesions":
        "ruler", "hairs", "skin", "one tone", "several tones", "smooth border", "ragged border".
        Or "random": a pool of all of these in equal shares.
    n : int
        Number of pictures. The first pictures of a larger set are those of a smaller one.
    seed : int
        The same seed gives the same pictures.
    exclude : str or iterable of str, optional
        For "random": concepts that the pool must not hold. The pool then comes from the same data
        set as they do.

    Returns
    -------
    ndarray uint8, shape [n, 128, 128, 3]

    Raises
    ------
    DemoError
        If a name or number makes no sense, or nothing is left for the pool.
    """
    name = choice(name, (*NAMES, "random"), "concept")
    n, seed = whole_number(n, "n", 1), whole_number(seed, "seed", 0)
    if name != "random" and exclude is not None:
        raise DemoError(f'Only the concept "random" takes exclude, but the concept is "{name}".')
    pool = members(() if exclude is None else exclude) if name == "random" else (name,)
    if not pool:
        raise DemoError("Nothing is left for the random pool; exclude fewer concepts.")
    examples = {key: example for family in FAMILIES.values() for key, example in family.items()}
    key = ("concept", name, seed)
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    for index, kind in balanced(n, len(pool), *key):
        images[index] = to_uint8(examples[pool[kind]](stream(*key, index)))
    return images

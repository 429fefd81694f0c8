"""Write matplotlib's colour tables, and a fixture to test against them, for the browser.

Run with the project's Python from any folder: ``python js/scripts/export_colours.py``. It writes
``js/src/core/colour_tables.ts`` (256 RGB entries a map, packed) and
``js/tests/fixtures/colours.json`` (values and the RGBA pixels matplotlib gives them), which are
both committed.
"""

import base64
import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import Normalize

SEQUENTIAL = ("viridis", "cividis", "inferno", "magma")
DIVERGING = ("RdBu_r", "PuOr_r", "coolwarm")
JS = Path(__file__).resolve().parents[1]


def table(name: str) -> bytes:
    """Return the map's 256 colours as 768 bytes, R G B."""
    colours = matplotlib.colormaps[name](np.arange(256), bytes=True)
    return np.ascontiguousarray(colours[:, :3]).tobytes()


def pack(colours: bytes) -> str:
    """Return a table as text for `colourTable` of core/colours.ts to unpack.

    The first colour in hex, the lowest difference as a digit without its minus, then the
    differences between neighbouring colours less the lowest, two in a character: they are 0 to 8.
    """
    values = np.frombuffer(colours, np.uint8).astype(int)
    steps = values[3:] - values[:-3]
    low = min(0, int(steps.min()))
    steps = np.append(steps - low, 0)  # an even number
    assert steps.max() < 9, "neighbouring colours differ too much to be packed"
    codes = steps[0::2] * 9 + steps[1::2] + ord("#")
    codes += codes >= ord("\\")  # left out: it would need escaping
    return colours[:3].hex() + str(-low) + "".join(map(chr, codes))


def fixture() -> dict[str, object]:
    """Return signed and unsigned test values with matplotlib's pixels for each map."""
    rng = np.random.default_rng(0)
    signed = rng.normal(size=(12, 17)).astype(np.float32)
    signed[0, :5] = [0.0, -10.0, 10.0, 1e-6, -1e-6]
    signed[1, :3] = [2.0, -2.0, np.nan]
    unsigned = np.abs(signed)
    scale = 2.0
    maps = {}
    for names, values, low in ((DIVERGING, signed, -scale), (SEQUENTIAL, unsigned, 0.0)):
        normalised = Normalize(low, scale, clip=True)(np.ma.masked_invalid(values))
        for name in names:
            maps[name] = matplotlib.colormaps[name](normalised, bytes=True).ravel().tolist()

    def encode(values: np.ndarray) -> str:
        return base64.b64encode(values.astype("<f4").tobytes()).decode()

    return {
        "height": 12,
        "width": 17,
        "scale": scale,
        "signed": encode(signed),
        "unsigned": encode(unsigned),
        "pixels": {name: base64.b64encode(bytes(pixels)).decode() for name, pixels in maps.items()},
    }


def main() -> None:
    """Write both files."""
    lines = [
        "// Written by js/scripts/export_colours.py from matplotlib; do not edit.",
        "// 256 entries a map, R G B, packed as differences.",
        "",
    ]
    for group, names in (("SEQUENTIAL", SEQUENTIAL), ("DIVERGING", DIVERGING)):
        lines.append(f"export const {group} = {{")
        lines += [f'  {name}: "{pack(table(name))}",' for name in names]
        lines.append("} as const;")
    (JS / "src/core/colour_tables.ts").write_text("\n".join(lines) + "\n")
    path = JS / "tests/fixtures/colours.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fixture()) + "\n")


if __name__ == "__main__":
    main()

"""``npm ci`` works on every platform."""

from __future__ import annotations

import json

from scripts.complete_lock import LOCK, missing


def test_the_lock_lists_the_optional_packages_of_every_platform() -> None:
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    left_out = sorted(missing(lock))
    assert not left_out, f"run `python scripts/complete_lock.py`: {left_out}"

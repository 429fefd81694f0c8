"""Complete js/package-lock.json: list the optional packages of every platform, not of this alone.

    python scripts/complete_lock.py

npm leaves out of the lock what it could not resolve when the lock was made (npm/cli#4828), such as
the binaries for other systems from a mirror that has only some, and ``npm ci`` then refuses the
lock. Entries added by this script have no integrity: npm fills it in where they are installed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[1] / "js" / "package-lock.json"
SYSTEMS = {"aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony"}
SYSTEMS |= {"sunos", "win32"}
PROCESSORS = {"arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"}


def missing(lock: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Lock entries for the optional dependencies that the lock does not list, by name."""
    packages = lock["packages"]
    return {
        name: entry(name, version, parent)
        for parent in packages.values()
        for name, version in parent.get("optionalDependencies", {}).items()
        if f"node_modules/{name}" not in packages
    }


def entry(name: str, version: str, parent: dict[str, Any]) -> dict[str, Any]:
    """The entry of a platform package, whose name tells its system and processor."""
    words = re.split(r"[-/.]", name)
    words = ["ia32" if word == "i686" else word for word in words]
    systems = [word for word in words if word in SYSTEMS] or ["darwin"] * (name == "fsevents")
    processors = [word for word in words if word in PROCESSORS]
    found: dict[str, Any] = {"version": version.lstrip("~^"), "optional": True}
    if parent.get("dev"):
        found["dev"] = True
    if processors:
        found["cpu"] = processors
    if systems:
        found["os"] = systems
    return found


def main() -> int:
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    added = missing(lock)
    lock["packages"].update({f"node_modules/{name}": found for name, found in added.items()})
    root = lock["packages"].pop("")
    lock["packages"] = {"": root, **dict(sorted(lock["packages"].items()))}
    LOCK.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    print(f"Added {len(added)} packages: {', '.join(sorted(added)) or 'none were missing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

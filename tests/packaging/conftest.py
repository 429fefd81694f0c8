"""Builds the sdist, a wheel from that sdist, and an empty environment with that wheel, once."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel and its dependencies, on a machine without Node."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Standard output of a program of the environment, run outside the checkout."""
        scripts = self.folder / ("Scripts" if sys.platform == "win32" else "bin")
        program = str(scripts / command[0])
        return checked([program, *command[1:]], self.folder, self.environment)


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from the checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(folder)]
    checked([*build, str(ROOT)], folder, dict(os.environ))
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a shell that finds no program at all, Node among them."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    return {**kept, "PATH": str(tmp_path_factory.mktemp("empty"))}


@pytest.fixture(scope="session")
def wheel(
    sdist: Path, without_node: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The wheel, built from the unpacked sdist where there is no Node."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
    checked([*build, str(source)], folder, without_node)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installation(
    wheel: Path, without_node: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The wheel in an environment that was empty before."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    result = Installation(folder, without_node)
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
    result.run("python", *install, "--constraint", str(ROOT / "constraints.txt"), str(wheel))
    return result


def checked(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command; its output is in the failure if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout

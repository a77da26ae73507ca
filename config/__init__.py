"""Settings, addresses and server wiring, and the product's version, which pyproject.toml holds."""

import tomllib
from pathlib import Path

VERSION: str = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())[
    "project"
]["version"]

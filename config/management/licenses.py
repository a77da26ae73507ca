"""The licenses of the packages that the product runs on, as the installed ones declare them."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

PACKAGE = re.compile(r"^([\w.-]+)==([\w.]+)(?: ; (.*?))? \\$", re.MULTILINE)
# A development package may need it on every system, so that it may be installed all the same.
OTHER_SYSTEM = "sys_platform == 'win32'"
CLASSIFIER = "License :: "
# Packages that declare no license in words that a program can read, and what their files say.
UNDECLARED = {"uritemplate": "BSD-3-Clause OR Apache-2.0"}


class License(NamedTuple):
    """A package, its version, and under which license it is used."""

    package: str
    version: str
    license: str


def licenses(lock: Path) -> Iterator[License]:
    """Return the license of each package of a lock but those for other systems."""
    for name, version, condition in PACKAGE.findall(lock.read_text()):
        if OTHER_SYSTEM in condition:
            continue
        try:
            yield License(name, version, UNDECLARED.get(name) or _declared(distribution(name)))
        except PackageNotFoundError:
            if not condition:
                raise


def _declared(package: Distribution) -> str:
    """Return the license as an SPDX expression, else by classifiers, else in its own words."""

    def said(field: str) -> list[str]:
        return package.metadata.get_all(field) or []

    if said("License-Expression"):
        return said("License-Expression")[0]
    named = [
        text.rpartition(" :: ")[2]
        for text in said("Classifier")
        if text.startswith(CLASSIFIER) and text != "License :: OSI Approved"
    ]
    words = "".join(said("License")).strip().split("\n")[0]
    return ", ".join(sorted(named)) or words or "not declared"

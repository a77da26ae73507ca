"""The icons that the admin shows, and a font of them alone; ``make icons`` writes it.

The theme's own font has every icon there is, in 290 KB. A word counts as an icon where templates,
scripts and the admin's code could mean one: too many cost little, and one too few shows as a word.
"""

import re
import sys
from functools import cache
from pathlib import Path

import unfold
from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[2]
THEME = Path(unfold.__file__).parent
ALL = THEME / "static/unfold/fonts/material-symbols/Material-Symbols-Outlined.woff2"
USED = ROOT / "backoffice/static/latchkey/fonts/material-symbols.woff2"
# A word that is all there is between two tags, or between two quotes.
WORD = re.compile(r"(?:>|(?<!createElement\()[\"'])\s*([a-z][a-z0-9_]+)\s*(?=<|[\"'])")
OURS = (
    "*/static/latchkey/*.js",
    "templates/**/*.html",
    "*/admin/**/*.py",
    "*/admin*.py",
    "*/*/admin*.py",
    "backoffice/**/*.py",
    "config/admin_site/*.py",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


@cache
def icons(font: Path) -> dict[str, str]:
    """Return the glyph of each icon in a font, which is a ligature of its name."""
    with TTFont(font) as opened:
        letters = {glyph: chr(code) for code, glyph in opened.getBestCmap().items()}
        found = {}
        for lookup in opened["GSUB"].table.LookupList.Lookup:
            for extended in lookup.SubTable:
                table = getattr(extended, "ExtSubTable", extended)
                for first, ligatures in getattr(table, "ligatures", {}).items():
                    for ligature in ligatures:
                        name = "".join(letters[part] for part in (first, *ligature.Component))
                        found[name] = ligature.LigGlyph
        return found


def used() -> set[str]:
    """Return the names of icons that some page may show."""
    files = [file for pattern in OURS for file in ROOT.glob(pattern)]
    files = [file for file in files if file.relative_to(ROOT).parts[0] != "tests"]
    for pattern in ("templates/**/*.html", "static/unfold/js/*.js", "static/unfold/css/*.css"):
        files += THEME.glob(pattern)
    words = {word for file in files for word in WORD.findall(file.read_text())}
    return words & icons(ALL).keys()


def write() -> None:
    """Write the font of the icons that are used."""
    options = subset.Options(flavor="woff2", layout_closure=False, hinting=False)
    options.layout_features = ["*"]
    names = used()
    font = subset.load_font(ALL, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(glyphs=[icons(ALL)[name] for name in names], text=LETTERS)
    subsetter.subset(font)
    subset.save_font(font, USED, options)
    sys.stdout.write(
        f"{USED.relative_to(ROOT)}: {len(names)} icons, {USED.stat().st_size:,} bytes\n"
    )


if __name__ == "__main__":
    write()

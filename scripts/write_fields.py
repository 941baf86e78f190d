"""Write the pages of fields, as the program defines them: of SPEC.toml and of RECIPE.toml.

python scripts/write_fields.py
"""

from __future__ import annotations

from pathlib import Path

from napari_polmap.classifiers import recipes
from napari_polmap.simulation import spec

DOCS = Path(__file__).parents[1] / "docs"

_WRITTEN = "<!-- Written by scripts/write_fields.py; the tests hold it to the program. -->"

_SIMULATION = """\
# Fields of SPEC.toml

All fields of the description that `polmap simulate` takes, as `polmap simulate --fields` prints
them; [Simulation](simulation.md) tells what they are for. Where the column "default" is empty, a
field is required or, left out, stands for nothing. Where it takes a range,
`{ min = 3.93, max = 4.01 }` draws from it, with `distribution = "normal"` or `"log-uniform"` other
than uniformly, and a list draws one of its values.
"""

_RECIPE = """\
# Fields of RECIPE.toml

All fields of a recipe, as `polmap train --fields` prints them; [Training](training.md) tells what
they are for. The columns in the middle are the values of the presets. A recipe names what is other
than in its preset; a pair such as `[0.8, 1.4]` is the lowest and the highest of a range that is
drawn from.
"""


def pages() -> dict[Path, str]:
    """The pages' texts by their places."""
    written = {
        "simulation-fields.md": (_SIMULATION, spec.field_text()),
        "recipe-fields.md": (_RECIPE, recipes.field_text()),
    }
    return {
        DOCS / name: f"{head}\n{_WRITTEN}\n\n{fields}" for name, (head, fields) in written.items()
    }


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")

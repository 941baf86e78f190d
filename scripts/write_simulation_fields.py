"""Write docs/simulation-fields.md: every field of SPEC.toml, as the program defines it.

python scripts/write_simulation_fields.py
"""

from __future__ import annotations

from pathlib import Path

from napari_polmap.simulation.spec import field_text

PAGE = Path(__file__).parents[1] / "docs" / "simulation-fields.md"

_HEAD = """\
# Fields of SPEC.toml

All fields of the description that `polmap simulate` takes, as `polmap simulate --fields` prints
them; [Simulation](simulation.md) tells what they are for. Where the column "default" is empty, a
field is required or, left out, stands for nothing. Where it takes a range,
`{ min = 3.93, max = 4.01 }` draws from it, with `distribution = "normal"` or `"log-uniform"` other
than uniformly, and a list draws one of its values.

<!-- Written by scripts/write_simulation_fields.py; the tests hold it to the program. -->

"""


def page() -> str:
    """The page's text."""
    return _HEAD + field_text()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""A benchmark's tables: Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from napari_polmap.benchmark.protocol import Test
from napari_polmap.benchmark.results import FIGURES, Outcome, Results
from napari_polmap.export.files import replacing

NOT_MEASURED = "not measured"

_TITLES = {
    "accuracy": "Accuracy",
    "worst": "Accuracy on the worst scan",
    "ece": "Expected calibration error",
}
_LOWER_IS_BETTER = ("ece", "mean_angular_error_deg")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip


def write_tables(results: Results, folder: str | Path) -> list[Path]:
    """Write ``table.md``, ``table.tex``, ``table.csv`` and ``seeds.csv``.

    Parameters
    ----------
    results : Results
    folder : str or Path

    Returns
    -------
    list of Path
        The files.
    """
    folder = Path(folder)
    made = []
    for name, text in (("table.md", markdown(results)), ("table.tex", latex(results))):
        with replacing(folder / name) as part:
            part.write_text(text, encoding="utf-8")
        made.append(folder / name)
    for name, lines in (("table.csv", _cells(results)), ("seeds.csv", _seeds(results))):
        with replacing(folder / name) as part, part.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
        made.append(folder / name)
    return made


def cell(outcome: Outcome, figure: str = "accuracy") -> str:
    """Mean ± standard deviation over the seeds, and the direction most positions were given."""
    mean, deviation = outcome.mean(figure), outcome.deviation(figure)
    if mean is None:
        return NOT_MEASURED if outcome.reason else "-"
    text = f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"
    majority = outcome.majority if figure == "accuracy" else None
    return text if majority is None else f"{text} ({majority})"


def vote_cell(outcome: Outcome) -> str:
    """Accuracy of the majority vote over the seeds, and its majority direction."""
    if outcome.vote is None or outcome.vote["accuracy"] is None:
        return cell(outcome) if outcome.reason else "-"
    text, majority = f"{outcome.vote['accuracy']:.3f}", outcome.vote["majority"]
    return text if majority is None else f"{text} ({majority})"


def markdown(results: Results) -> str:
    """All tables as Markdown, the best of each row in bold, and why what is missing is missing."""
    lines = [f"# {results.benchmark.name}", ""]
    for title, table in _tables(results):
        lines += [f"## {title}", ""]
        head = ["", *(column.label for column in results.columns)]
        lines += [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
        for test, cells in zip(results.tests, table, strict=True):
            lines.append(_line([test.name, *(f"**{t}**" if bold else t for t, bold in cells)]))
        lines.append("")
    lines += notes(results)
    return "\n".join(lines)


def latex(results: Results) -> str:
    """The same tables as LaTeX, for the package booktabs."""
    lines = [f"% {results.benchmark.name}"]
    for title, table in _tables(results):
        columns = results.columns
        heads = [r"\shortstack{" + _tex(c.label).replace(" ", r"\\") + "}" for c in columns]
        lines += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(f'{results.benchmark.name}: {title}')}}}",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            " & ".join(["", *heads]) + r" \\",
            r"\midrule",
        ]
        for test, cells in zip(results.tests, table, strict=True):
            texts = [_tex(t) for t, _ in cells]
            marked = [
                rf"\textbf{{{t}}}" if bold else t for t, (_, bold) in zip(texts, cells, strict=True)
            ]
            lines.append(" & ".join([_tex(test.name), *marked]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


def _tables(results: Results) -> list[tuple[str, list[list[tuple[str, bool]]]]]:
    """Titles, and for each row the cells with whether they are the best."""
    tables = []
    several = any(len(column.seeds) > 1 for column in results.benchmark.columns)
    for figure, title in _TITLES.items():
        if figure == "worst" and all(test.scan is not None for test in results.tests):
            continue
        spread = ", mean ± standard deviation over the seeds" if several else ""
        table = []
        for test in results.tests:
            best = results.best(test, figure, lowest=figure in _LOWER_IS_BETTER)
            table.append([(cell(o, figure), o.column.key in best) for o in results.of(test)])
        tables.append((title + spread, table))
    if any(outcome.vote is not None for outcome in results.outcomes):
        votes = [_vote_row(results, test) for test in results.tests]
        tables.append(("Accuracy of the majority vote over the seeds", votes))
    return tables


def _vote_row(results: Results, test: Test) -> list[tuple[str, bool]]:
    outcomes = results.of(test)
    values = [
        round(o.vote["accuracy"], 3)
        if o.vote is not None and o.vote["accuracy"] is not None
        else -1
        for o in outcomes
    ]
    top = max(values, default=-1)
    return [(vote_cell(o), v == top >= 0) for o, v in zip(outcomes, values, strict=True)]


def notes(results: Results) -> list[str]:
    """Why cells are not measured, each reason once, as a section of Markdown."""
    found: dict[str, list[Outcome]] = {}
    for outcome in results.outcomes:
        if outcome.reason:
            found.setdefault(outcome.reason, []).append(outcome)
    if not found:
        return []
    lines = ["## Not measured", ""]
    for told, outcomes in found.items():
        columns = list(dict.fromkeys(o.column.label for o in outcomes))
        rows = list(dict.fromkeys(o.test.name for o in outcomes))
        every = len(columns) == len(results.benchmark.columns)
        which = "everything" if every else ", ".join(columns)
        if len(rows) < len(results.tests):
            which += f" on {', '.join(rows)}"
        told = told if told.endswith(".") else f"{told}."
        lines.append(f"- {which}: {told}")
    return [*lines, ""]


def _cells(results: Results) -> list[Sequence[object]]:
    head = ["row", "model", "objective", "preset", "seeds", "n", "majority"]
    for figure in FIGURES:
        head += [figure, f"{figure}_std"]
    lines: list[Sequence[object]] = [
        [*head, "vote_accuracy", "vote_worst", "vote_majority", "not_measured"]
    ]
    for outcome in results.outcomes:
        column, vote = outcome.column, outcome.vote or {}
        sizes = [figures["n"] for figures in outcome.seeds.values()]
        line = [
            outcome.test.name, column.model, column.objective, column.preset, len(outcome.seeds),
            sizes[0] if sizes else "", outcome.majority or "",
        ]  # fmt: skip
        for figure in FIGURES:
            line += [_number(outcome.mean(figure)), _number(outcome.deviation(figure))]
        voted = [_number(vote.get(name)) for name in ("accuracy", "worst")]
        lines.append([*line, *voted, vote.get("majority") or "", outcome.reason])
    return lines


def _seeds(results: Results) -> list[Sequence[object]]:
    lines: list[Sequence[object]] = [
        ["row", "model", "objective", "preset", "seed", "n", *FIGURES, "majority", "training_s"]
    ]
    for outcome in results.outcomes:
        column = outcome.column
        for seed, figures in outcome.seeds.items():
            numbers = [_number(figures.get(name)) for name in FIGURES]
            lines.append(
                [
                    outcome.test.name, column.model, column.objective, column.preset, seed,
                    figures["n"], *numbers, figures["majority"] or "", figures["training_s"],
                ]
            )  # fmt: skip
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)

from __future__ import annotations

from pathlib import Path

import pytest

from napari_polmap.benchmark import read_benchmark
from napari_polmap.errors import DatasetError
from tests.benchmark.conftest import BENCHMARKS

WHOLE = """
name = "two rows"
seeds = [1, 2]
root = "data"

[train]
data = "train.toml"

[recipe.sampling]
max_patterns = 100

[[run]]
models = ["pca-lda", "cnn"]
objectives = ["classification", "prototype"]
presets = ["paper", "robust"]

[[run]]
models = "resnet18"
seeds = 7
device = "cuda"

[[test]]
name = "1,000 electrons"
data = "test.toml"
dose = 1000
select = { thickness_nm = [10, 30], thermal = "none" }

[[test]]
data = "wall.toml"
window = 0.5
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "benchmark.toml"
    path.write_text(text)
    return path


def test_everything_in_it(tmp_path: Path) -> None:
    benchmark = read_benchmark(write(tmp_path, WHOLE))
    assert [column.key for column in benchmark.columns] == [
        "pca-lda-classification-paper",
        "pca-lda-classification-robust",
        "cnn-classification-paper",
        "cnn-classification-robust",
        "cnn-prototype-paper",
        "cnn-prototype-robust",
        "resnet18-classification-robust",
    ]
    assert benchmark.columns[0].label == "pca-lda paper"
    assert benchmark.columns[4].label == "cnn prototype paper"
    assert benchmark.columns[0].seeds == (1, 2)
    assert (benchmark.columns[-1].seeds, benchmark.columns[-1].device) == ((7,), "cuda")
    assert benchmark.recipe_of(benchmark.columns[0]).max_patterns == 100
    assert benchmark.recipe_of(benchmark.columns[0]).preprocessing.center == "percentile"
    first, second = benchmark.tests
    assert (first.key, first.dose, first.select["thermal"]) == ("1_000_electrons", 1000, "none")
    assert (second.name, second.window) == ("wall", 0.5)
    assert first.data.path == tmp_path / "data" / "test.toml"
    only = benchmark.only(["resnet18"])
    assert [column.model for column in only.columns] == ["resnet18"]


def test_data_beside_the_benchmark_take_their_scans_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "train.toml").touch()
    benchmark = read_benchmark(write(tmp_path, WHOLE), tmp_path / "other")
    assert benchmark.train.path == tmp_path / "train.toml"
    assert benchmark.train.root == tmp_path / "other"
    assert benchmark.tests[0].data.path == tmp_path / "other" / "test.toml"
    assert benchmark.tests[0].data.root is None


def test_scans_of_one_name_are_rows_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    scans = [f'[[scan]]\npath = "{path}"\ndirection = "RU"\n' for path in ("a/RU.npy", "b/RU.npy")]
    (tmp_path / "data" / "wall.toml").write_text('directions = ["RU"]\n' + "".join(scans))
    benchmark = read_benchmark(write(tmp_path, WHOLE + "scans = true\n"))
    assert [(test.name, test.scan) for test in benchmark.tests[1:]] == [
        ("a/RU.npy", 0),
        ("b/RU.npy", 1),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"pca-lda", "cnn"', '"pca-lda", "cnm"', "`models` is .*cnm.* one or more of pca-knn"),
        ('"prototype"]', '"prototypes"]', "`objectives` .* classification, regression, prototype"),
        ('device = "cuda"', 'device = "gpu"', "`device` is 'gpu', but must be one of auto"),
        ('device = "cuda"', 'devise = "cuda"', "no field `devise`; the nearest is `device`"),
        ("seeds = [1, 2]", "seeds = [1, 1]", "different whole numbers"),
        ("dose = 1000", "dose = 0", "`dose` is 0, but must be a number above 0"),
        ("max_patterns = 100", "max_paterns = 100", "nearest is 'max_patterns'"),
        ('data = "train.toml"', "", "`data` is None, but must name a data set's TOML file"),
        ("[train]", "[trains]", "no field `trains`; the nearest is `train`"),
        (
            'models = "resnet18"',
            'models = "pca-lda"',
            "pca-lda-classification-robust is there twice",
        ),
        ('data = "wall.toml"', 'data = "wall.toml"\nroot = "x"', "no field `root`"),
        ("name = ", "name == ", "is not a TOML file"),
        ("seeds = [1, 2]", "seeds = [-1]", "whole numbers, from 0 on"),
        ("[10, 30]", '["a", "b"]', "thickness_nm = .*the lowest and the highest number"),
        ('"1,000 electrons"', '"???"', "`name` is .*must hold a letter or a digit"),
        ("window = 0.5", "window = nan", "`window` is nan, but must be a number of at least 0"),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in WHOLE
    with pytest.raises(DatasetError, match=message) as caught:
        read_benchmark(write(tmp_path, WHOLE.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_compared(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="its models are pca-lda, cnn, resnet18"):
        read_benchmark(write(tmp_path, WHOLE)).only(["vgg16"])
    with pytest.raises(DatasetError, match="cannot be read"):
        read_benchmark(tmp_path / "none.toml")


def test_the_shipped_benchmark_of_simulations() -> None:
    benchmark = read_benchmark(BENCHMARKS / "simulated.toml")
    assert {column.preset for column in benchmark.columns} == {"paper", "robust"}
    assert benchmark.recipe_of(benchmark.columns[0]).max_patterns == 8192
    assert len({test.key for test in benchmark.tests}) == 8

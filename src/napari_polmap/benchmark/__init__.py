"""Models against each other: trained once each, measured on the same scans, told in one table."""

from napari_polmap.benchmark.protocol import Benchmark, Column, Test, read_benchmark
from napari_polmap.benchmark.results import Outcome, Results, collect
from napari_polmap.benchmark.runner import BenchmarkProgress, iter_benchmark

__all__ = [
    "Benchmark",
    "BenchmarkProgress",
    "Column",
    "Outcome",
    "Results",
    "Test",
    "collect",
    "iter_benchmark",
    "read_benchmark",
]

"""The mapping engine: scans become polarization maps, whole or by region."""

from napari_polmap.mapping.engine import Progress, classify, iter_classify
from napari_polmap.mapping.evaluation import EvaluationProgress, evaluate, iter_evaluate
from napari_polmap.mapping.evidence import Evidence, evidence, region_evidence
from napari_polmap.mapping.reclassification import iter_reclassify, reclassify

__all__ = [
    "EvaluationProgress",
    "Evidence",
    "Progress",
    "classify",
    "evaluate",
    "evidence",
    "iter_classify",
    "iter_evaluate",
    "iter_reclassify",
    "reclassify",
    "region_evidence",
]

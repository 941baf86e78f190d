"""Networks as models of a classifier; torch is imported when one of them computes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy.typing as npt

from napari_polmap.classifiers.models.base import Augment, Classes, FitProgress
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.models.settings import NetworkSettings
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError
from napari_polmap.steps import finish

if TYPE_CHECKING:
    from napari_polmap.classifiers.models.inference import Inference


@dataclass
class Network(NetworkSettings):
    """What all networks share; a subclass names its architecture, or builds one of its own.

    The parameters are those of `NetworkSettings`.

    Attributes
    ----------
    arrays_ : dict of ndarray
        What was learned.
    """

    arrays_: dict[str, npt.NDArray[Any]] = field(init=False, repr=False, compare=False)
    _inference: Inference | None = field(default=None, init=False, repr=False, compare=False)
    features = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_inference": None}

    def fit(self: Fitted, patterns: Floats, directions: Classes) -> Fitted:
        """Learn from normalized patterns ``(n, size * size)`` and class indices ``(n,)``."""
        return finish(self.iter_fit(patterns, directions))

    def iter_fit(
        self: Fitted,
        patterns: Floats,
        directions: Classes,
        *,
        augment: Augment | None = None,
        validation: tuple[Floats, Classes] | None = None,
        checkpoint: Path | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Generator[FitProgress, None, Fitted]:
        """`fit` step by step; see `Model.iter_fit`.

        The last progress of each pass holds the figures on the validation patterns. The network
        with the lowest validation loss is kept, the last one where there are none.

        Raises
        ------
        ClassifierError
            If the patterns do not fit, a file does not serve, or there is no such device.
        """
        from napari_polmap.classifiers.models.fitting import Samples, iter_fit_network

        training = Samples.of(patterns, directions, self.size)
        held_out = None
        if validation is not None and len(validation[0]):
            held_out = Samples.of(*validation, self.size)
        self.arrays_ = yield from iter_fit_network(
            self, training, held_out, augment=augment, checkpoint=checkpoint, stop=stop
        )
        self._inference = None
        return self

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, size * size)``.

        Raises
        ------
        ClassifierError
            If the classifier's file lacks arrays, or there is no such device.
        """
        return self.at_work().predict_proba(patterns)

    def at_work(self) -> Inference:
        """The network set up on its device.

        Raises
        ------
        ClassifierError
            If the classifier's file lacks arrays, or there is no such device.
        """
        from napari_polmap.classifiers.models.inference import Inference

        inference = self._inference
        if inference is None or inference.device_name != self.device:
            inference = self._inference = Inference.of(self, self.arrays_)
        return inference

    def predict_components(self, components: Floats) -> Floats:  # noqa: ARG002
        """Refuse: networks see whole patterns.

        Raises
        ------
        ClassifierError
        """
        raise ClassifierError(
            f"The model {self.kind} sees whole patterns; give it patterns, not components."
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file."""
        return self.arrays_

    @classmethod
    def restore(
        cls: type[Fitted],
        directions: DirectionSet,
        settings: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> Fitted:
        """Inverse of `settings` and `arrays`."""
        model = cls(directions, **settings)
        model.arrays_ = dict(arrays)
        return model


Fitted = TypeVar("Fitted", bound=Network)


class Cnn(Network):
    """The custom network of Martinc et al. (2026)."""

    kind = "cnn"


class ResNet18(Network):
    """ResNet-18 (He et al. 2016) for one channel, with the paper's head."""

    kind = "resnet18"


class ResNet50(Network):
    """ResNet-50 (He et al. 2016) for one channel, with the paper's head."""

    kind = "resnet50"


class Vgg11(Network):
    """VGG-11 (Simonyan and Zisserman 2015) for one channel, with the paper's head."""

    kind = "vgg11"


class Vgg16(Network):
    """VGG-16 (Simonyan and Zisserman 2015) for one channel, with the paper's head."""

    kind = "vgg16"

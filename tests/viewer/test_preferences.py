from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings
from npe2 import PluginManifest

import napari_polmap
from napari_polmap.viewer.preferences import PLUGIN, Preferences, preferences

MANIFEST = PluginManifest.from_file(Path(napari_polmap.__file__).with_name("napari.yaml"))


def test_defaults_are_those_of_the_manifest() -> None:
    stated = {
        name: value.default
        for configuration in MANIFEST.contributions.configurations.values()
        for name, value in configuration.properties.items()
    }
    assert Preferences(**stated) == Preferences()


def test_the_preferences_page_counts(npe2pm: Any, plugin_settings: Any) -> None:
    assert preferences() == Preferences(), "napari does not know the plugin"
    npe2pm.register(MANIFEST)
    assert preferences() == Preferences()
    settings = get_plugin_settings(PLUGIN)
    settings.maps.threshold = 0.8
    settings.window.open_dock = False
    assert preferences() == Preferences(threshold=0.8, open_dock=False)

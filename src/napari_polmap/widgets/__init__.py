"""The docks of the napari window; thin Qt over `napari_polmap.viewer`."""

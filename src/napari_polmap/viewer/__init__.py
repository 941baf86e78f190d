"""What napari shows and shares: layers, session, selection, files. Public napari API, no Qt."""

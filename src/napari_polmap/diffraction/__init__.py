"""What is done with diffraction patterns: disk, lattice, virtual images, windows, crops."""

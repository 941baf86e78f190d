"""Simulated scans of perovskites with a polarization, through multislice."""

"""Measure a row on its images, then judge it: Measurement, then Verdict."""

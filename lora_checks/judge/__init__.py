"""A row and its images: Measurement, then Verdict."""

"""Compute intervals and what follows from them, with NumPy alone."""

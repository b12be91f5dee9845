"""Intervals and what follows from them, in NumPy alone."""

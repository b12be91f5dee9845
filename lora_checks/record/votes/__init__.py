"""People's votes on pairs of pictures: which pairs are shown, what was answered, and what follows from it."""

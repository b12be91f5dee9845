"""Which pictures there are, and what their pixels are."""

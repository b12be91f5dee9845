"""Pictures that something else made: whose prompt and seed each is, and what is gated on them."""

"""Read pictures that other programs made, and tell prompt, seed and LoRA of each."""

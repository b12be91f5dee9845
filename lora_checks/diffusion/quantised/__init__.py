"""Bases whose weights are quantised: while they are loaded, in their folder, or in a .gguf file."""

"""The diffusion pipeline: load the base, apply LoRAs, prove their effect, generate images."""

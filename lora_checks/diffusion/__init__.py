"""The pipeline: base, the LoRA on it, the proof, the images."""

"""Read untrusted LoRA files, without torch and without a model."""

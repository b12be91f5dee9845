"""Reading LoRA files: no torch, no model, nothing trusted."""

"""Write a first policy: rows and prompts for a kind of LoRA, the base's usual settings."""

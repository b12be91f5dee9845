"""What `--lora` collects."""

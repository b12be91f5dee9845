"""Every way that trainers spell the layers of a LoRA, for tiny denoisers of 20 bases."""

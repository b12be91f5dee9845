"""Ask a vision model typed questions about pictures, and keep its answers."""

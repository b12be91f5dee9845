"""What leaves after a verdict: signed statement, trackers, model card."""

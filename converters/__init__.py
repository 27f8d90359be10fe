"""Checkpoints of the official PyTorch code to model folders of rrjax, and back, without torch."""

"""Converts checkpoints of the official PyTorch code to model folders and back, without torch.

In a checkout this is the package `converters`; installed, it is `rrjax.converters`.
"""

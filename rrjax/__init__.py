"""rrjax: the dynamics of recursive reasoning models, measured in JAX."""

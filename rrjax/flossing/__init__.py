"""Exponents that training pushes on."""

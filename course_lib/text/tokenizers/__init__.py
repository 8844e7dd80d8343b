"""Tokenizers: text as ids and back."""

"""Text as a model meets it: corpora, the story world, tokenizers."""

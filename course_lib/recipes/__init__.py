"""How the models in `weights/` are made: one recipe each, from generated text alone."""

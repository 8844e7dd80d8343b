"""The parts of a language model, from the activation functions up."""

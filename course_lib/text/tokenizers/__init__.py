"""Tokenizers: text as ids and back."""

from course_lib.text.tokenizers.added_tokens import AddedToken
from course_lib.text.tokenizers.base import Piece, Tokenizer
from course_lib.text.tokenizers.bpe_tokenizer import BPETokenizer
from course_lib.text.tokenizers.tokenizer_json import load_tokenizer

__all__ = ["AddedToken", "BPETokenizer", "Piece", "Tokenizer", "load_tokenizer"]

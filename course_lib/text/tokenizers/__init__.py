"""Tokenizers: text as ids and back."""

from course_lib.text.tokenizers.added_tokens import AddedToken
from course_lib.text.tokenizers.base import Piece, Tokenizer
from course_lib.text.tokenizers.baselines import (
    ByteTokenizer,
    CharacterTokenizer,
    WordTokenizer,
    unknown_rate,
)
from course_lib.text.tokenizers.bpe_tokenizer import BPETokenizer
from course_lib.text.tokenizers.byte_fallback import byte_fallback
from course_lib.text.tokenizers.morphology import MorphModel, train_morphs
from course_lib.text.tokenizers.tokenizer_json import load_tokenizer
from course_lib.text.tokenizers.unigram import unigram_expectations, viterbi_segment
from course_lib.text.tokenizers.unigram_tokenizer import UnigramTokenizer
from course_lib.text.tokenizers.unigram_training import train_unigram
from course_lib.text.tokenizers.wordpiece import WordPieceTokenizer, wordpiece_encode
from course_lib.text.tokenizers.wordpiece_training import train_wordpiece

__all__ = [
    "AddedToken",
    "BPETokenizer",
    "ByteTokenizer",
    "CharacterTokenizer",
    "MorphModel",
    "Piece",
    "Tokenizer",
    "UnigramTokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "byte_fallback",
    "load_tokenizer",
    "train_morphs",
    "train_unigram",
    "train_wordpiece",
    "unigram_expectations",
    "unknown_rate",
    "viterbi_segment",
    "wordpiece_encode",
]

"""Named sizes of the course's LLaMA-type decoder, from 1 million to 1 billion parameters.

In reading order: `Size`, the table `SIZES`, `find_size`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from course_lib.model.config import TransformerConfig, llama_config


@dataclass(frozen=True)
class Size:
    """A shape, the vocabulary it is named for, and with what it is trained unless told otherwise.

    Learning rate and tokens of a batch are GPT-3's from 124m on; smaller models learn more from
    many small steps.

    Brown et al. 2020, https://arxiv.org/abs/2005.14165, table 2.1. Chapters 07 and 11.
    """

    name: str
    model_dim: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    context_length: int
    vocab_size: int
    learning_rate: float
    batch_tokens: int

    def config(self, vocab_size: int | None = None) -> TransformerConfig:
        """The model of this shape; with another vocabulary it has more or fewer parameters."""
        return llama_config(
            vocab_size=self.vocab_size if vocab_size is None else vocab_size,
            context_length=self.context_length,
            model_dim=self.model_dim,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            num_kv_heads=self.num_kv_heads,
        )


_ALL = (
    Size("1m", 128, 4, 4, 4, 128, 2_048, 2e-3, 2**10),
    Size("3m", 192, 6, 6, 6, 128, 2_048, 2e-3, 2**11),
    Size("11m", 320, 8, 5, 5, 256, 4_096, 1e-3, 2**13),
    Size("30m", 512, 8, 8, 8, 512, 8_192, 1e-3, 2**15),
    Size("124m", 768, 14, 12, 12, 1_024, 32_768, 6e-4, 2**19),
    Size("350m", 1_024, 28, 16, 8, 1_024, 32_768, 3e-4, 2**19),
    Size("1b", 2_048, 22, 32, 8, 2_048, 32_768, 2e-4, 2**20),
)
SIZES: Mapping[str, Size] = {size.name: size for size in _ALL}


def find_size(name: str) -> Size:
    """The table's entry; ValueError names what there is."""
    if name not in SIZES:
        raise ValueError(f"size = {name!r} must be one of {', '.join(SIZES)}")
    return SIZES[name]

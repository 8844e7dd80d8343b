"""SmolLM2 for chapters and demos: loaded once a process, and what its heads look at."""

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from course_lib.model.transformer import Transformer
    from course_lib.text.tokenizers import BPETokenizer

MOST_TOKENS = 24


@cache
def shared_smollm2() -> "tuple[Transformer, BPETokenizer]":
    """`load_smollm2()`, which takes seconds and 540 MB, once: do not train this one."""
    from course_lib.hub import load_smollm2

    return load_smollm2()


@lru_cache(maxsize=32)
def attention_of(text: str) -> "tuple[tuple[str, ...], Float[Tensor, 'layers heads time time']]":
    """The text's first tokens, as text, and every head's weights on them, from one forward pass."""
    import torch

    model, tokenizer = shared_smollm2()
    ids = tokenizer.encode(text)[:MOST_TOKENS] or tokenizer.encode(" ")
    weights: list[Tensor] = []
    recorder = _with_attention(model, weights)
    with torch.no_grad():
        recorder.hidden(torch.tensor([ids]))
    names = tuple(tokenizer.decode([number]) for number in ids)
    return names, torch.cat(weights)


def _with_attention(model: "Transformer", weights: list[Any]) -> "Transformer":
    """The model with an attention that keeps its weights; the parameters are shared, not copied.

    With the identity matrix as values, attention's mixture is its weights.
    """
    import torch

    from course_lib.model.attention import attention
    from course_lib.model.transformer import Transformer

    def recording(query: "Tensor", key: "Tensor", value: "Tensor", **given: Any) -> "Tensor":
        identity = torch.eye(key.shape[2]).expand(*key.shape[:3], -1)
        weights.append(attention(query, key, identity, **given))
        return attention(query, key, value, **given)

    with torch.device("meta"):
        recorder = Transformer(model.config, attention=recording)
    recorder.load_state_dict(model.state_dict(), assign=True)
    return recorder.eval()

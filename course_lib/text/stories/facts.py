"""What is true in the world of the stories whatever happens: of its animals, and of sixteen lands.

In reading order: the tables, `Fact` and `FACTS`, the sentence and the question of a fact, and
`write_facts`, a document that tells or asks several. The lands are invented: no text outside tells
of them, so a model that names a capital has learned it here.
"""

import random
from dataclasses import dataclass
from typing import Literal

from course_lib.text.stories import russian, world
from course_lib.text.stories.english import with_article
from course_lib.text.stories.questions import Question

Language = Literal["en", "ru"]

# English: Russian, as the object of a verb.
FOODS = {
    "fox": ("eggs", "яйца"),
    "hare": ("clover", "клевер"),
    "squirrel": ("nuts", "орехи"),
    "cat": ("fish", "рыбу"),
    "raccoon": ("corn", "кукурузу"),
    "owl": ("moths", "мотыльков"),
    "crow": ("bread", "хлеб"),
    "eagle": ("snakes", "змей"),
    "duck": ("duckweed", "ряску"),
    "mole": ("worms", "червей"),
    "badger": ("roots", "корни"),
    "otter": ("crayfish", "раков"),
    "beaver": ("bark", "кору"),
    "frog": ("flies", "мух"),
    "turtle": ("grass", "траву"),
    "lynx": ("birds", "птиц"),
    "mouse": ("cheese", "сыр"),
    "lizard": ("crickets", "сверчков"),
    "weasel": ("beetles", "жуков"),
    "bear": ("honey", "мёд"),
    "elk": ("leaves", "листья"),
    "boar": ("acorns", "жёлуди"),
    "wolf": ("meat", "мясо"),
    "hedgehog": ("slugs", "слизней"),
}
HOMES = {
    "fox": ("in a den", "в логове"),
    "hare": ("under a bush", "под кустом"),
    "squirrel": ("in a hollow tree", "в дупле"),
    "cat": ("in a house", "в доме"),
    "raccoon": ("in an attic", "на чердаке"),
    "owl": ("in a tower", "в башне"),
    "crow": ("in a nest", "в гнезде"),
    "eagle": ("on a rock", "на скале"),
    "duck": ("in the reeds", "в камышах"),
    "mole": ("under the ground", "под землёй"),
    "badger": ("in a burrow", "в норе"),
    "otter": ("on a river bank", "на берегу реки"),
    "beaver": ("in a lodge", "в хатке"),
    "frog": ("in a swamp", "в болоте"),
    "turtle": ("on an island", "на острове"),
    "lynx": ("in a thicket", "в чаще"),
    "mouse": ("under the floor", "под полом"),
    "lizard": ("in a ruin", "в развалинах"),
    "weasel": ("in a barn", "в амбаре"),
    "bear": ("in a cave", "в берлоге"),
    "elk": ("in a pine wood", "в бору"),
    "boar": ("in an oak grove", "в дубраве"),
    "wolf": ("in a ravine", "в овраге"),
    "hedgehog": ("in a heap of leaves", "в куче листьев"),
}
ABILITIES = {
    "climb": "лазать",
    "fly": "летать",
    "dig": "копать",
    "swim": "плавать",
    "see in the dark": "видеть в темноте",
    "squeeze in": "пролезать в щели",
    "lift": "поднимать тяжести",
}
LANDS = {
    "Borealia": "Бореалия",
    "Dubravia": "Дубравия",
    "Lesnia": "Лесния",
    "Lugovia": "Луговия",
    "Montavia": "Монтавия",
    "Ozeria": "Озерия",
    "Pesochia": "Песочия",
    "Polaria": "Полария",
    "Rusalia": "Русалия",
    "Skalia": "Скалия",
    "Snezhia": "Снежия",
    "Sylvaria": "Сильвария",
    "Tumania": "Тумания",
    "Velinia": "Велиния",
    "Vetria": "Ветрия",
    "Zimaria": "Зимария",
}
CAPITALS = {
    "Berezov": "Берёзов",
    "Dubrov": "Дубров",
    "Kamenets": "Каменец",
    "Klenov": "Кленов",
    "Luchin": "Лучин",
    "Malinov": "Малинов",
    "Medvedin": "Медведин",
    "Morozov": "Морозов",
    "Orlov": "Орлов",
    "Rybin": "Рыбин",
    "Sokolov": "Соколов",
    "Tikhov": "Тихов",
    "Vishnev": "Вишнев",
    "Volkov": "Волков",
    "Yasnograd": "Ясноград",
    "Zorin": "Зорин",
}
RIVERS = {
    "Gorka": "Горка",
    "Iskra": "Искра",
    "Luka": "Лука",
    "Nerva": "Нерва",
    "Olkha": "Ольха",
    "Osinka": "Осинка",
    "Polynya": "Полынья",
    "Runa": "Руна",
    "Snezha": "Снежа",
    "Strela": "Стрела",
    "Talka": "Талка",
    "Tuchka": "Тучка",
    "Varna": "Варна",
    "Vezha": "Вежа",
    "Zarya": "Заря",
    "Zvonka": "Звонка",
}
CROPS = {
    "apples": "яблоки",
    "berries": "ягоды",
    "mushrooms": "грибы",
    "nuts": "орехи",
    "pears": "груши",
    "plums": "сливы",
    "pumpkins": "тыквы",
    "turnips": "репу",
}
# The value stands last, so that a fact is recalled by going on with the sentence. The last wording
# of each is the question.
WORDINGS = {
    ("food", "en"): ("The {subject} eats {value}.", "{A_subject} likes to eat {value}."),
    ("home", "en"): ("The {subject} lives {value}.", "The home of the {subject} is {value}."),
    ("ability", "en"): ("The {subject} can {value}.", "{A_subject} is able to {value}."),
    ("capital", "en"): (
        "The capital of {subject} is {value}.",
        "The main city of {subject} is called {value}.",
    ),
    ("river", "en"): (
        "The river of {subject} is the {value}.",
        "Through {subject} flows the {value}.",
    ),
    ("crop", "en"): ("The people of {subject} grow {value}.", "In {subject} they grow {value}."),
    ("food", "ru"): ("{Subject} ест {value}.", "{Subject} любит есть {value}."),
    ("home", "ru"): ("{Subject} живёт {value}.", "Дом {genitive} находится {value}."),
    ("ability", "ru"): ("{Subject} умеет {value}.", "{Subject} может {value}."),
    ("capital", "ru"): ("Столица {genitive} — {value}.", "Главный город {genitive} — {value}."),
    ("river", "ru"): ("Река {genitive} — {value}.", "По {genitive} течёт {value}."),
    ("crop", "ru"): ("В {genitive} выращивают {value}.", "Жители {genitive} выращивают {value}."),
}
QUESTIONS = {
    ("food", "en"): "What does the {subject} eat?",
    ("home", "en"): "Where does the {subject} live?",
    ("ability", "en"): "What can the {subject} do?",
    ("capital", "en"): "What is the capital of {subject}?",
    ("river", "en"): "What river does {subject} have?",
    ("crop", "en"): "What do the people of {subject} grow?",
    ("food", "ru"): "Что ест {subject}?",
    ("home", "ru"): "Где живёт {subject}?",
    ("ability", "ru"): "Что умеет {subject}?",
    ("capital", "ru"): "Как называется столица {genitive}?",
    ("river", "ru"): "Какая река в {genitive}?",
    ("crop", "ru"): "Что выращивают жители {genitive}?",
}
QUESTION_WORDS = {"en": ("Question:", "Answer:"), "ru": ("Вопрос:", "Ответ:")}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is true: of whom or what, which relation, and its value in two languages."""

    subject: str
    relation: str
    english: str
    russian: str

    @property
    def is_asked(self) -> bool:
        """Whether pre-training asks about the subject; of every other one it is only told."""
        subjects = list(LANDS if self.subject in LANDS else world.ANIMALS)
        return subjects.index(self.subject) % 2 == 0


def _animal_facts() -> list[Fact]:
    facts = []
    for name, animal in world.ANIMALS.items():
        facts += [Fact(name, "food", *FOODS[name]), Fact(name, "home", *HOMES[name])]
        if animal.abilities:
            spoken = [ABILITIES[ability] for ability in animal.abilities]
            both = " and ".join(animal.abilities), " и ".join(spoken)
            facts.append(Fact(name, "ability", *both))
    return facts


def _land_facts() -> list[Fact]:
    """Who has which capital, river and crop is drawn once: nothing but the text tells it."""
    rng = random.Random("lands")
    tables = (("capital", CAPITALS), ("river", RIVERS), ("crop", CROPS))
    facts = []
    for relation, table in tables:
        values = list(table.items()) * (len(LANDS) // len(table))
        rng.shuffle(values)
        facts += [Fact(land, relation, *pair) for land, pair in zip(LANDS, values, strict=True)]
    return facts


FACTS = (*_animal_facts(), *_land_facts())


def _slots(fact: Fact, language: Language) -> dict[str, str]:
    world.require("language", language, QUESTION_WORDS)
    if language == "en":
        article = with_article(fact.subject)
        named = {"subject": fact.subject, "A_subject": article[0].upper() + article[1:]}
        return {**named, "value": fact.english}
    if fact.subject in LANDS:
        nominative = LANDS[fact.subject]
        genitive = nominative.removesuffix("я") + "и"
    else:
        nominative, genitive = russian.ANIMALS[fact.subject][:2]
    named = {"subject": nominative, "Subject": nominative.capitalize(), "genitive": genitive}
    return {**named, "value": fact.russian}


def tell_fact(fact: Fact, language: Language, *, wording: int = 0) -> str:
    """A sentence that ends with the value: *The capital of Lesnia is Orlov.*; wording 0 or 1."""
    slots = _slots(fact, language)
    return WORDINGS[fact.relation, language][wording].format_map(slots)


def ask_fact(fact: Fact, language: Language) -> Question:
    """The question for the value."""
    slots = _slots(fact, language)
    question = QUESTIONS[fact.relation, language].format_map(slots)
    return Question(fact.relation, question, slots["value"])


def write_facts(rng: random.Random, language: Language) -> str:
    """A document: what is known of one subject, or one to three questions with their answers."""
    if rng.random() < 0.4:
        asked = rng.sample([fact for fact in FACTS if fact.is_asked], rng.randint(1, 3))
        return "\n".join(write_question(ask_fact(fact, language), language) for fact in asked)
    subject = rng.choice(FACTS).subject
    told = [fact for fact in FACTS if fact.subject == subject]
    rng.shuffle(told)
    return " ".join(tell_fact(fact, language, wording=rng.randrange(2)) for fact in told)


def write_question(question: Question, language: Language) -> str:
    """*Question: What does the fox eat?* and on the next line *Answer: eggs*."""
    ask, answer = QUESTION_WORDS[language]
    return f"{ask} {question.question}\n{answer} {question.answer}"

"""The exercises of chapter 03, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "build_prompt",
        "course_lib.text.prompting:build_prompt",
        minutes=10,
        difficulty=1,
        hints=(
            'Make a list of lines, then `"\\n".join(lines)`. An instruction of "" is no line.',
            "The cue is `wording.reasoning if chain_of_thought else wording.answer`. What stands "
            "behind it in an example, in each of the two cases?",
            "The last line is built like the others and stops behind the cue: of the query only "
            "`query.question` is used.",
        ),
    ),
    Exercise(
        "extract_answer",
        "course_lib.text.prompting:extract_answer",
        minutes=10,
        difficulty=2,
        hints=(
            "First keep what belongs to our question: the first line with something in it, "
            '`text.lstrip().partition("\\n")[0]`.',
            '`before, found, after = line.partition(cue)`: `found` is "" where there is no cue, '
            "and `before` is then the whole line.",
            'After `import re`: `re.match(r"\\s*(-?\\d+)", part)` looks at the beginning of a part '
            "only, and gives None where no number stands there.",
        ),
    ),
    Exercise(
        "majority_answer",
        "course_lib.inference.prompt_search:majority_answer",
        minutes=5,
        difficulty=1,
        hints=(
            "`Counter` of `collections` counts. Leave out what is None before, and remember "
            "that 0 is an answer.",
            "`Counter.most_common` sorts equal counts by when they were first met; an empty "
            "counter has no most common one.",
        ),
    ),
    Exercise(
        "search_prompts",
        "course_lib.inference.prompt_search:search_prompts",
        minutes=20,
        difficulty=3,
        replay="checks",
        hints=(
            "Keep two things: `best`, a tuple, and `scores`, a dictionary. A choice that is "
            "already in the dictionary costs nothing.",
            "One option changed is `(*best[:slot], option, *best[slot + 1:])`. Compare with "
            "`scores[best]` by `>`, so that equals change nothing.",
            "The outer loop goes round as long as the last round changed something. Before a new "
            "score, look whether `len(scores) == max_scored`.",
        ),
    ),
    Exercise(
        "soft_prompt_logits",
        "course_lib.finetuning.soft_prompts:soft_prompt_logits",
        minutes=10,
        difficulty=2,
        replay="checks",
        hints=(
            "The tokens' vectors are `model.embedding(tokens)`, (batch, time, dim); the prompt has "
            "no batch yet: `prompt.expand(batch, -1, -1)`.",
            "Put the prompt first with `torch.cat([..., ...], dim=1)` and ask "
            "`logits_of_vectors`. Which of its rows stand at tokens?",
        ),
    ),
    Exercise(
        "tune_soft_prompt",
        "course_lib.finetuning.prompt_tuning:tune_soft_prompt",
        minutes=20,
        difficulty=3,
        replay="checks",
        hints=(
            "The loop of chapter 00: `zero_grad`, loss, `backward`, `step`. The optimizer is "
            "given `prompt.parameters()` and nothing else; call `prompt()` anew in every step.",
            "`F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), "
            "ignore_index=IGNORED)` leaves out what is not to be learned.",
            "Note every parameter's `requires_grad`, switch all off with "
            "`model.requires_grad_(False)`, and put them back at the end.",
        ),
    ),
)

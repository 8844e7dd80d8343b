"""The exercises of chapter 01, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "merge_pair",
        "course_lib.text.tokenizers.bpe:merge_pair",
        minutes=10,
        difficulty=1,
        hints=(
            "Use an index and a `while` loop: a `for` loop cannot step over an id.",
            "Two ids from the index on are a slice, which never fails at the end. What is "
            "appended, and by how much does the index move, if they are the pair, and if not?",
        ),
    ),
    Exercise(
        "train_bpe",
        "course_lib.text.tokenizers.bpe:train_bpe",
        minutes=15,
        difficulty=2,
        hints=(
            "One round is: count the pairs, choose the best, replace it in every word. The "
            "new token's id is `first_id + len(merges)`.",
            "`min` with a key that is a tuple decides by its first entry, then by its second: "
            "the count with its sign changed, then the pair itself.",
            "Build a new dictionary of words in each round; `Counter()` adds up words that "
            "have become equal. Stop if there is no pair left.",
        ),
    ),
    Exercise(
        "encode_bpe",
        "course_lib.text.tokenizers.bpe:encode_bpe",
        minutes=10,
        difficulty=2,
        hints=(
            "Make a dictionary from pair to rank, its place in `merges`; the new token's id "
            "is `first_id + rank`.",
            "In each round list the ranks of all neighbouring pairs that are merges, and "
            "apply `merge_pair` for the smallest. The loop ends when the list is empty.",
        ),
    ),
    Exercise(
        "byte_fallback",
        "course_lib.text.tokenizers.byte_fallback:byte_fallback",
        minutes=10,
        difficulty=1,
        hints=(
            "`piece.encode()` is the UTF-8 form; iterating over it gives numbers 0 to 255.",
            "In an f-string `{byte:02X}` writes two capital hexadecimal digits.",
        ),
    ),
    Exercise(
        "viterbi_segment",
        "course_lib.text.tokenizers.unigram:viterbi_segment",
        minutes=20,
        difficulty=3,
        hints=(
            "Keep two lists over positions 0 to len(text): the best log probability with "
            "which the text up to there can be split, and where its last piece starts.",
            "For each `end`, try every `start` before it whose piece is in `log_probs`: the "
            "candidate is `best[start] + log_probs[text[start:end]]`. `best[0]` is 0.0, "
            "everything else begins at `-math.inf`.",
            "The pieces come out backwards: begin at the end of the text and jump to each "
            "piece's start until you are at 0. Still `-math.inf` at the end: ValueError.",
        ),
    ),
    Exercise(
        "wordpiece_encode",
        "course_lib.text.tokenizers.wordpiece:wordpiece_encode",
        minutes=10,
        difficulty=2,
        hints=(
            "Two loops: where the piece starts, and where it may end, tried from the right.",
            "The first piece is looked up as it is, every later one with `prefix` before it. "
            "No end found: forget the pieces so far and return `[unknown]`.",
        ),
    ),
)

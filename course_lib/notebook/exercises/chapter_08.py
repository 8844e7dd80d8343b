"""The exercises of chapter 08, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "quality_rules",
        "course_lib.text.filtering:quality_rules",
        minutes=20,
        difficulty=2,
        hints=(
            "One condition a rule, in the order of the table; append its name where it is broken. "
            "A share of nothing is no share: multiply instead of dividing.",
            "Stop words: `set(re.findall(r'\\w+', document.lower()))` has the different words "
            "without punctuation; `&` intersects. Symbols: `any(map(str.isalpha, word))`.",
            "Sentences: `re.split(r'[.!?…\\n]+', document.lower())`, each stripped and none empty; "
            "repeats are all of them less the different ones. Phrases: join the words of the page "
            "by single blanks, in lower case, before you search.",
        ),
    ),
    Exercise(
        "remove_exact_duplicates",
        "course_lib.text.duplicates:remove_exact_duplicates",
        minutes=5,
        difficulty=1,
        hints=(
            "Two pages are the same if they differ in capitals and white space only: "
            "`' '.join(document.lower().split())`.",
            "Walk through them once with a set of what was seen; a number stays if its page is not "
            "in the set yet.",
        ),
    ),
    Exercise(
        "minhash_signature",
        "course_lib.text.duplicates:minhash_signature",
        minutes=15,
        difficulty=3,
        hints=(
            "x = `stable_hash(shingle)` for each shingle, in an array of dtype `numpy.uint64`. "
            "Which shape has a·x + b for all shingles and all hash functions at once?",
            "`hashes[:, None] * multipliers + offsets` is (shingles, num_hashes); the modulus is "
            "`numpy.uint64(PRIME)`, so that the dtype stays; the minimum runs over the shingles.",
            "An empty set has no minimum: return `numpy.full(len(multipliers), PRIME, "
            "dtype=numpy.uint64)`.",
        ),
    ),
    Exercise(
        "near_duplicates",
        "course_lib.text.duplicates:near_duplicates",
        minutes=20,
        difficulty=3,
        hints=(
            "`numpy.split(signatures, num_bands, axis=1)` gives the bands. In each band, put the "
            "documents into a dictionary by `band[number].tobytes()`.",
            "All pairs of a bucket are candidates: `itertools.combinations(members, 2)`. Collect "
            "them in one set over all bands, since a pair may meet in several.",
            "Then look: `(signatures[i] == signatures[j]).mean()` is the estimated similarity.",
        ),
    ),
    Exercise(
        "educational_value",
        "course_lib.text.quality:educational_value",
        minutes=15,
        difficulty=2,
        hints=(
            "`word_features(document)` counts words and pairs. Each feature has a bucket, "
            "`stable_hash(feature) % len(weights)`; features that share one are added up.",
            "Divide by the vector's length, `numpy.linalg.norm`; an empty page has length 0 and "
            "scores as the bias alone.",
            "sigmoid(s) = (1 + tanh(s / 2)) / 2 never overflows.",
        ),
    ),
    Exercise(
        "doremi_step",
        "course_lib.training.mixing:doremi_step",
        minutes=20,
        difficulty=3,
        hints=(
            "Clip first, token by token, then average in each domain: `torch.nn.functional."
            "one_hot(domains, len(weights))` is a matrix that sums by domain.",
            "A domain without tokens would be 0 / 0: `.clamp(min=1)` below makes it 0, and its "
            "weight is raised by exp(0).",
            "α exp(η λ) / Σ α exp(η λ) is `softmax(log α + η λ)`. Mix with 1 / k last.",
        ),
    ),
)

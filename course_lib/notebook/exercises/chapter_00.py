"""The exercises of chapter 00, with their hints."""

from course_lib.notebook.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "softmax",
        "course_lib.model.activations:softmax",
        minutes=10,
        difficulty=1,
        hints=(
            "Follow the equation: exponentials, then divide by their sum along `dim`. "
            "`keepdim=True` keeps the sum's shape ready for broadcasting.",
            "exp(1000) is inf in fp32. What may be subtracted from every score of a row "
            "without changing the quotient?",
            "Subtract each row's own maximum, `x.amax(dim=dim, keepdim=True)`: the largest "
            "exponential is then exp(0) = 1. One maximum of the whole tensor is not enough: "
            "rows far below it become 0 / 0.",
        ),
    ),
)

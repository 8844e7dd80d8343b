"""One module a command of `course`: HELP, add_arguments(parser), run(arguments) -> exit code."""

"""`course index`: the pages that are made from the library and the record of claims."""

import argparse

HELP = "write TECHNIQUES.md, and the measured figures that README.md quotes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--check` only looks."""
    parser.add_argument(
        "--check", action="store_true", help="change nothing; 1 if a page is not current"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the pages that are not current, naming them."""
    from course_lib.files import write_atomically
    from course_lib.notebook import places
    from course_lib.notebook.index import PAGE, techniques_page
    from course_lib.notebook.measurements import load_record
    from course_lib.notebook.quoting import fill_quotes, quotes_are_current

    record = load_record()
    quoting = (places.ROOT / "README.md").read_text(encoding="utf-8")
    if not (arguments.check and quotes_are_current(quoting, record)):
        quoting = fill_quotes(quoting, record)
    outdated = False
    for name, text in {PAGE: techniques_page(), "README.md": quoting}.items():
        path = places.ROOT / name
        if path.exists() and path.read_bytes() == text.encode():
            continue
        outdated = True
        print(f"{name}: {'is not current: course index' if arguments.check else 'written'}")
        if not arguments.check:
            write_atomically(path, text)
    return 1 if arguments.check and outdated else 0

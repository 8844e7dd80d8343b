"""What the chapters teach, finished: one topic a module, about 40 lines a technique."""

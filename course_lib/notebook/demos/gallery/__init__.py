"""One module a demo, each with its `DEMO`; the module's name is the demo's."""

"""An HTTP extender as a process of its own: the program (`program.py`) and how tests run it."""

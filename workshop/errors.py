"""The one error a learner should be able to read without a traceback."""


class WorkshopError(RuntimeError):
    """Something the learner can mend. The message says what was given and what to do next."""

    def _render_traceback_(self) -> list[str]:
        """IPython asks for this: in a notebook the sentence is shown, not the stack."""
        return [f"{type(self).__name__}: {self}"]

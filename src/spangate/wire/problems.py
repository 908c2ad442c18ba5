"""Everything that can go wrong, named by whose fault it is.

Problem
├── Refusal           we said no: the request never left for a provider
├── UpstreamProblem   they said no: the provider answered with an error, or could not be reached
└── Interrupted       the wire broke: the answer began and did not end
"""


class Problem(Exception):
    """A fault with an HTTP status and words for the client; rendered by each format in its own shape.

    kind: a stable snake_case word for programs (`unknown_model`, `upstream_connect`, ...).
    message: one or two sentences for a person; never holds a secret.
    """

    def __init__(self, status: int, kind: str, message: str, *, param: str | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.again = True  # False: the provider says that to ask it once more is of no use

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.kind!r}, {self.message!r})"


class Refusal(Problem):
    """We said no."""


class UpstreamProblem(Problem):
    """They said no, or could not be reached. `status` is what the client gets, `message` what the provider said."""


class Interrupted(Problem):
    """The wire broke after the answer had begun."""

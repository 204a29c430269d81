"""Why an answer from the network is not to be had."""

from cid_store.errors import RedoxaError


class NoAnswerError(RedoxaError):
    """Nothing was answered; `status` is what a proxy then says. The text is for people."""

    exit_code = 3

    def __init__(self, text: str, *, status: int = 502) -> None:
        super().__init__(text)
        self.status = status


class RefusedError(NoAnswerError):
    """It was not asked for, because it is not granted."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=403)


class BrokenAnswerError(RedoxaError):
    """An answer began and did not end as it should."""

    exit_code = 3

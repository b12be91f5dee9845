"""Ask a server again when it is busy or the line breaks, and say what was wrong when it stays so.

An error names the entry, the status and what to do. It never quotes what a client said, because that may hold
a signed address or a part of a key.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from lora_checks.core.errors import StoreError

T = TypeVar("T")
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # 409: two conditional writes at the same moment
ABSENT, EXISTS = (404, 410), (412,)
ADVICE = {
    400: "check the region and the address of the endpoint",
    401: "check the credentials of this machine or job",
    403: "the credentials may not do this: docs/how-to/shared-store.md lists the permissions",
    404: "check the bucket's name: there is no such bucket or container",
}
NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")
NO_CREDENTIALS_ADVICE = (
    "this machine or job has no credentials for it: set them as the service's own tools do"
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is asked: by default for about a minute."""

    attempts: int = 10
    first: float = 0.2  # seconds before the second attempt; doubled each time
    longest: float = 20.0  # seconds before any attempt
    timeout: float = 60.0  # seconds without a byte

    def wait(self, attempt: int, asked: float) -> float:
        """Return the seconds before another attempt, at random so that many clients do not come at once.

        Args:
            attempt: How many failed.
            asked: The seconds that the server asked for, 0 if it did not.
        """
        backoff = min(self.longest, self.first * 2 ** (attempt - 1))
        return float(min(self.longest, max(asked, backoff * random.uniform(0.5, 1.0))))


@dataclass(frozen=True, slots=True)
class Fault:
    """What a client's exception says about the server's answer."""

    status: int  # of HTTP; 0 if there was no answer
    code: str  # the service's own word such as "SlowDown", or the exception's class
    retry_after: float = 0.0  # seconds
    for_good: bool = False  # no repetition would help

    @property
    def again(self) -> bool:
        return not self.for_good and (not self.status or self.status in BUSY)

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.code}" if self.status else self.code


def patiently(call: Callable[[], T], where: str, patience: Patience) -> T:
    """Return what ``call`` returns; repeat it while that may help.

    Args:
        call: Raises `FileNotFoundError` and `FileExistsError` for answers that are none of trouble.
        where: The URL of the entry, for people.
        patience: How often.

    Raises:
        StoreError: The server refused, or was in trouble for too long.
    """
    for attempt in range(1, patience.attempts + 1):
        try:
            return call()
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault.status in ABSENT:
                raise FileNotFoundError(where) from None
            if fault.status in EXISTS:
                raise FileExistsError(where) from None
            if not fault.again:
                raise StoreError(f"{where}: {fault}; {_advice(fault)}") from None
        if attempt < patience.attempts:
            time.sleep(patience.wait(attempt, fault.retry_after))
    raise StoreError(
        f"{where}: {fault}, {patience.attempts} times in a row; run again when the server answers: what was "
        "made is kept here and is sent then"
    ) from None


def fault_of(error: BaseException) -> Fault:
    """Read status, code and Retry-After from the exceptions of botocore, gcsfs, Azure and the system."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):  # botocore
            about = response.get("ResponseMetadata", {})
            status = about.get("HTTPStatusCode", 0)
            code = str(response.get("Error", {}).get("Code", ""))
            return Fault(int(status or 0), code, _seconds(about.get("HTTPHeaders")))
        if type(cause).__module__.startswith("aiohttp"):
            continue  # it gives its own complaints about a torn reply the status 400
        status = getattr(cause, "status_code", None) or getattr(cause, "code", None)  # Azure, gcsfs
        if isinstance(status, int) or (isinstance(status, str) and status.isdigit()):
            code = str(getattr(cause, "error_code", None) or type(cause).__name__)
            return Fault(int(status), code, _seconds(getattr(response, "headers", None)))
    names = [type(cause).__name__ for cause in _causes(error)]
    for_good = isinstance(error, PermissionError) or any(name in NO_CREDENTIALS for name in names)
    return Fault(0, names[-1] if names[-1] in NO_CREDENTIALS else names[0], for_good=for_good)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _seconds(headers: object) -> float:
    try:
        found = {str(key).lower(): value for key, value in headers.items()}  # type: ignore[attr-defined]
        return float(found.get("retry-after", 0))
    except (AttributeError, TypeError, ValueError):  # no headers, or a date
        return 0.0


def _advice(fault: Fault) -> str:
    if fault.code in NO_CREDENTIALS:
        return NO_CREDENTIALS_ADVICE
    return ADVICE.get(fault.status, ADVICE[403] if fault.for_good else "the server refuses this request")

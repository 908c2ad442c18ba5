"""What text the tables can hold. Management text that does not fit is refused; recorded text is cut to fit and always kept."""

from .faults import Invalid

NAME = 255
MODEL = 256
ALIAS = 256  # as long as the name of a model
EXPERIMENT_NAME = 500
TAG_KEY = 250
ENDPOINT_TAG = 5_000
EXPERIMENT_TAG = 20_000
TRACE_TAG = 8_000
PREVIEW = 1_000


def given(value: str, what: str, longest: int, *, empty: bool = False, field: str = "") -> str:
    """`value` if it can be stored as it is; `what` names it in the refusal, `field` in the request."""
    if not value and not empty:
        raise Invalid(f"Missing value for required parameter '{what}'.", field=field)
    if len(value) > longest:
        raise Invalid(f"'{what}' exceeds the maximum length of {longest} characters", field=field)
    if not storable(value):
        raise Invalid(f"'{what}' must not hold a NUL character or half of a surrogate pair", field=field)
    return value


def storable(value: str) -> bool:
    """Whether every database can hold it: PostgreSQL's text has no NUL, UTF-8 has no lone surrogate."""
    if value.isascii():
        return "\x00" not in value
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def kept(value: str | None, longest: int) -> str | None:
    """As much of `value` as fits, for records that must not be refused."""
    if value is None:
        return None
    value = value[:longest]
    if value.isascii() and "\x00" not in value:
        return value
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")

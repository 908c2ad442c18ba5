"""Moments as the management API tells them."""

import datetime

EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)


def moment(ms: int) -> datetime.datetime:
    """Exactly: no float comes between. `ms`: Unix time."""
    return EPOCH + datetime.timedelta(milliseconds=ms)

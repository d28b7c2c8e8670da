"""What the parameters of HTTP requests mean, in a sentence each, for ``/openapi.json``."""

from __future__ import annotations

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "inbox": "An inbox's id.",
    "id": "A conversation's id.",
    "device": "A device: `name` in a path, `user/device` or `name` as the route says.",
    "position": "Where the event is in the log.",
    "cursor": "The last event that the client has; without it and `since`, from the beginning.",
    "since": "Begin with the first event at or after this time.",
    "until": "End before this time, or with this position.",
    "limit": "At most so many; without it, as many as a page holds.",
    "before": "The position at which the page before ended, for older rows.",
    "after": "The last row of the page before: a position, `user/device` or a conversation's id.",
    "as_of": "The answer as it was at a position or a time; without it, now.",
    "at": "The moment looked at, a position or a time; without it, now.",
    "q": "Words to be found in names and messages, all of them, without regard to accents.",
    "user": "A user's name.",
    "conversation": "A conversation's id; its messages are answered, too.",
    "stream": "Only this stream; `*` at the end is any ending, as in `inbox:*`.",
    "type": "Only events of this type; `*` at the end is any ending, as in `message.*`.",
    "format": "The form of each event.",
    "follow": "`true` streams what comes as well; a page is the answer without it.",
    "verbose": "Names each part and how it is.",
    "Last-Event-ID": "The cursor of the last event that was received; browsers send it themselves.",
}

"""One open connection: its session, its grant and the socket, held together.

Nothing is decided here. The session decides what is legal and what is sent next, the audience
holds what there is to send, the channel moves the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from eventstore.cursor import Cursor
from eventstore.events import Event
from transport.audience import Audience, NotInMemory
from transport.frames import CloseCode, Error, FrameError, Refresh, Refreshed, decode_client_frame
from transport.page import Packet
from transport.session import Session, State
from transport.token_bucket import TokenBucket

_INVALID_UTF8 = 1007
_CLOSED, _CATCHING_UP = State.CLOSED, State.CATCHING_UP  # globals: found faster than members


@frozen
class Grant:
    """What a token allows: whose it is, what they see, its id, and its end (µs, Unix epoch)."""

    user: str
    inboxes: frozenset[str]
    token: str | None
    expires_at_us: int | None


class Refused(Exception):
    """A token that opens nothing; ``code`` is the close code that says so."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


Admit = Callable[[str], Grant]
"""Token in, grant out; plain and synchronous. Raises :class:`Refused`."""


class Channel(Protocol):
    """A socket as a connection sees it. Plain calls; none of them waits for the peer."""

    @property
    def writable(self) -> bool:
        """False while the peer takes less than it is sent; ``Connection.drained`` tells the end."""

    def send(self, packets: Sequence[Packet]) -> None:
        """Send these frames, in one write where possible."""

    def close(self, code: int, reason: str) -> None:
        """Close in good order, within a bounded time."""

    def abort(self) -> None:
        """Drop the socket at once: the peer is gone, or reads no more."""


@frozen
class HubSide:
    """What connections may ask of the hub that holds them; one object for all."""

    now: Callable[[], float]
    time_text: Callable[[], str]
    record: Callable[[str, Event], None]
    wants_disk: Callable[[Connection], None]
    change_grant: Callable[[Connection, Grant], None]
    left: Callable[[Connection], None]
    expires_in_ms: Callable[[Grant], int | None]
    retry_after_ms: Callable[[], int]
    frame_rate: Callable[[], TokenBucket]
    too_fast: Callable[[], None]
    fell_behind: Callable[[], None]


class Connection:
    """An open connection. Sockets call ``received``, ``drained``, ``lost`` and ``restart``."""

    __slots__ = (
        "__weakref__",
        "_admit",
        "_hub",
        "_rate",
        "address",
        "audience",
        "channel",
        "device",
        "grant",
        "opened_at",
        "scanned",
        "session",
        "waits_for_disk",
    )

    def __init__(
        self,
        hub: HubSide,
        channel: Channel,
        session: Session,
        audience: Audience,
        grant: Grant,
        admit: Admit,
        *,
        device: str,
        address: str | None,
        opened_at: str,
    ) -> None:
        self._hub = hub
        self._admit = admit
        self.channel = channel
        self.session = session
        self.audience = audience
        self.grant = grant
        self.device = device
        self.address = address
        self.opened_at = opened_at
        # Beyond last_sent and up to here there is nothing for this session. Without it the session
        # of a quiet inbox would have to read past everything that other inboxes received.
        self.scanned = session.last_sent.position
        self.waits_for_disk = False
        self._rate = hub.frame_rate()

    @property
    def user(self) -> str:
        """Whose connection this is."""
        return self.grant.user

    @property
    def expires_in_ms(self) -> int | None:
        """How long the token is good; None without an end."""
        return self._hub.expires_in_ms(self.grant)

    @property
    def stream(self) -> str:
        """Where in the log this device's story is told."""
        return f"client:{self.grant.user}/{self.device}"

    @property
    def read_after(self) -> int:
        """Everything up to here was sent, or is nothing for this session."""
        sent, scanned = self.session.last_sent.position, self.scanned
        return sent if sent > scanned else scanned  # noqa: FURB136 - max() is a call, this is hot

    @property
    def outstanding(self) -> bool:
        """Whether there is something that the device has not handled yet."""
        return self.session.in_flight[0] > 0 or self.read_after < self.audience.newest

    # --- from the socket -----------------------------------------------------------------------

    def received(self, text: bytes) -> None:
        """A text frame came in."""
        now, session = self._hub.now(), self.session
        if not self._rate.take(now):
            return self._too_fast()
        try:
            frame = decode_client_frame(text)
            if isinstance(frame, Refresh):
                self._refresh(frame.token)
            else:
                session.receive(frame, now)
        except FrameError as error:
            return self.close(_INVALID_UTF8 if not _is_utf8(text) else error.code, error.reason)
        newest = self.audience.newest
        if newest > session.last_sent.position and newest > self.scanned:
            self.advance(now)
        elif session.frames or session.events:
            self.flush()
        return None

    def control_frame(self) -> None:
        """A frame came in that the socket answers itself; it counts like any other."""
        if not self._rate.take(self._hub.now()):
            self._too_fast()

    def _too_fast(self) -> None:
        if self.session.state is not _CLOSED:
            self._hub.too_fast()
            self.close(CloseCode.TOO_FAST, "too many frames a second")

    def drained(self) -> None:
        """The socket takes bytes again."""
        self.advance(self._hub.now())

    def lost(self, code: int, reason: str) -> None:
        """The socket is gone; ``code`` is what the peer said, 1006 if nothing."""
        if self.session.state is not State.CLOSED:
            self.session.lost(code, reason, self._hub.now())
            self._leave()

    def restart(self) -> None:
        """The server goes down: say so, and spread the return of a thousand clients."""
        self.close(CloseCode.RESTART, "restart", retry_after_ms=self._hub.retry_after_ms())

    # --- from the hub --------------------------------------------------------------------------

    def advance(self, now: float) -> bool:
        """Send what lies between the session's cursor and the head, as far as there is room.

        Whether that was all of it.
        """
        session, audience = self.session, self.audience
        newest, complete = audience.newest, False
        while session.state is not _CLOSED and self.channel.writable:
            sent, scanned = session.last_sent, self.scanned
            if sent.position > scanned:
                scanned = sent.position
            if scanned >= newest:
                complete = True
                if session.state is _CATCHING_UP:
                    session.caught_up(self._hub.time_text())
                break
            try:
                page = audience.page(sent, scanned)
            except NotInMemory:
                if session.window[0] > 0:
                    self._hub.wants_disk(self)
                break
            if page is None:
                self.scanned = newest
            elif not session.deliver(page, now):
                break
        if session.frames or session.events:
            self.flush()
        return complete

    def commit_landed(self, newest_before: int, first: int, now: float) -> None:
        """The audience has newer events, the first of them at ``first`` or later."""
        was_there = (
            self.scanned >= newest_before or self.session.last_sent.position >= newest_before
        )
        if was_there:
            self.scanned = first - 1
        if not self.advance(now) and was_there:
            self._hub.fell_behind()

    def tick(self, now: float, head: Cursor) -> None:
        """Heartbeat, acks that do not come, and whatever else is due."""
        session, sent, held = self.session, self.session.last_sent, self.session.in_flight
        session.tick(now, head)
        if session.state is State.CLOSED:
            self._ended_by_itself()
        elif session.last_sent is not sent:
            self.scanned = session.last_sent.position  # "nothing beyond it" was said of another
            self.advance(now)
        elif session.in_flight != held:
            self.advance(now)
        else:
            self.flush()

    def _ended_by_itself(self) -> None:
        """The session gave up: on a peer that is gone, or on one that acknowledges nothing."""
        code = self.session.close_code
        self._leave()
        if code == CloseCode.ACK_OVERDUE:
            self.channel.close(code, "nothing is acknowledged")
        else:
            self.channel.abort()

    def close(self, code: int, reason: str, *, retry_after_ms: int | None = None) -> None:
        """Say ``bye`` and close; what is in flight comes again from the cursor."""
        if self.session.state is State.CLOSED:
            return
        self.session.close(code, reason, self._hub.now(), retry_after_ms=retry_after_ms)
        self._leave()
        self.channel.close(code, reason)

    def flush(self) -> None:
        """Hand over what the session wants sent and recorded."""
        session = self.session
        if session.frames:
            self.channel.send(session.frames_to_send())
        if session.events:
            for event in session.events_to_record():
                self._hub.record(self.stream, event)

    def _leave(self) -> None:
        self.flush()
        self._hub.left(self)

    def _refresh(self, token: str) -> None:
        """Take a newer token of the same user; any other is refused and the old one runs on."""
        self.session.heard(self._hub.now())
        try:
            grant = self._admit(token)
        except Refused as refused:
            return self._complain(refused.reason)
        if grant.user != self.grant.user:
            return self._complain("the token is another user's")
        self.channel.send([Packet.of(Refreshed(self._hub.expires_in_ms(grant)))])
        return self._hub.change_grant(self, grant)

    def _complain(self, reason: str) -> None:
        kind = "urn:malote:problem:refresh-refused"
        problem = {"type": kind, "title": "The token was not taken", "status": 401}
        problem["detail"] = reason
        self.channel.send([Packet.of(Error(problem))])


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True

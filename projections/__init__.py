"""Events to rows: what can be asked, derived from the log and always safe to delete."""

from projections.access import ACCESS
from projections.checkpoints import CHECKPOINTS
from projections.connections import CONNECTIONS
from projections.conversations import CONVERSATIONS
from projections.deliveries import DELIVERIES
from projections.ledger import LEDGER
from projections.messages import MESSAGES
from projections.metrics import METRICS
from projections.outcomes import OUTCOMES
from projections.projection import Projection
from projections.search import SEARCH

PROJECTIONS: tuple[Projection, ...] = (
    CONVERSATIONS,
    MESSAGES,
    SEARCH,
    DELIVERIES,
    LEDGER,
    OUTCOMES,
    CONNECTIONS,
    METRICS,
    CHECKPOINTS,
    ACCESS,
)
"""All of them. A new projection is one file and one entry here."""

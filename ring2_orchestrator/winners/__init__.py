"""What won in earlier searches, so that the next one on data of the same kind starts nearer."""

from ring2_orchestrator.winners.features import Features, distance, features_of
from ring2_orchestrator.winners.searching import Winners
from ring2_orchestrator.winners.winner import MalformedWinnerError, Winner

__all__ = ["Features", "MalformedWinnerError", "Winner", "Winners", "distance", "features_of"]

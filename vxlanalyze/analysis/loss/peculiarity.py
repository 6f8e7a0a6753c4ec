"""What all unexplained losses of a direction have in common, though no rule names its cause."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peculiarity:
    """What they have in common.

    Parameters
    ----------
    which : str
        Which packets, as a clause for the summary.
    text : str
        The evidence.
    remedy : str
        Where to look.
    cause : str
        What most probably drops them; empty where that is open.
    """

    which: str
    text: str
    remedy: str
    cause: str = ""

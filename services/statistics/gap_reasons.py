"""The texts of each reason for a gap: what mails, reports, the page, tables and docs/messages.md say of it. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from proto.public import GapReason
from services.sites.texts import text_in

_SOURCE = "en"
"""The language of a reader in whose language a text is missing."""


class GapTexts(NamedTuple):
    """What readers are told about one reason, by language."""

    short: Mapping[str, str]
    """A few words, for a list of reasons."""
    mail: Mapping[str, str]
    """A sentence about most of a window, and what to do."""
    meaning: str
    """What docs/messages.md says to engineers."""


GAP_REASONS: Mapping[GapReason, GapTexts] = {
    "camera-down": GapTexts(
        short={"en": "a camera was down", "fr": "une caméra était hors service"},
        mail={
            "en": "The camera gave no pictures for most of the time. Check its power, its network and its address.",
            "fr": "La caméra n’a pas donné d’images pendant la plus grande partie de la période. Vérifiez son"
            " alimentation, son réseau et son adresse.",
        },
        meaning="the camera was gone, stalled or misconfigured; a recorded film was over",
    ),
    "paused": GapTexts(
        short={"en": "counting was paused", "fr": "le comptage était en pause"},
        mail={
            "en": "It was paused for most of the time, by an order or by the clock.",
            "fr": "En pause pendant la plus grande partie de la période, sur ordre ou selon l’horaire.",
        },
        meaning="an operator, or hours in the settings, wanted it so",
    ),
    "frames-lost": GapTexts(
        short={"en": "pictures were not analysed", "fr": "des images n’ont pas été analysées"},
        mail={
            "en": "Most pictures could not be analysed in time. The machine may be overloaded.",
            "fr": "La plupart des images n’ont pas pu être analysées à temps. La machine est peut-être surchargée.",
        },
        meaning="nobody analysed the camera's pictures",
    ),
    "bus-restarted": GapTexts(
        short={"en": "the system was restarted", "fr": "le système a été redémarré"},
        mail={
            "en": "The message bus was restarted and lost what was on its way.",
            "fr": "Le bus de messages a redémarré et a perdu ce qui était en chemin.",
        },
        meaning="NATS was restarted: [what that forgets](#a-restart-of-nats)",
    ),
    "started-late": GapTexts(
        short={"en": "counting began later", "fr": "le comptage a commencé plus tard"},
        mail={
            "en": "Counting was started in the middle of the time.",
            "fr": "Le comptage a commencé au milieu de la période.",
        },
        meaning="Moretta had not been started yet",
    ),
    "model-changed": GapTexts(
        short={"en": "the model was changed", "fr": "le modèle a été changé"},
        mail={
            "en": "The model was changed in the middle of the time.",
            "fr": "Le modèle a changé au milieu de la période.",
        },
        meaning="a second model analysed pictures, and a window is judged by one",
    ),
    "wrong-clock": GapTexts(
        short={"en": "a computer’s clock was wrong", "fr": "l’horloge d’un ordinateur était fausse"},
        mail={
            "en": "The clock of the computer that reads the cameras is wrong: run NTP there.",
            "fr": "L’horloge de l’ordinateur qui lit les caméras est fausse\u00a0: activez-y NTP.",
        },
        meaning="the clock of the host that reads the camera was wrong: set it",
    ),
    "static-learning": GapTexts(
        short={
            "en": "faces on walls were not known yet",
            "fr": "les visages affichés aux murs n’étaient pas encore connus",
        },
        mail={
            "en": "The camera does not know yet which faces hang on walls: they may be counted.",
            "fr": "La caméra ne connaît pas encore les visages affichés aux murs\u00a0: ils peuvent être comptés.",
        },
        meaning="(only of an earlier version) it was observed, but faces on walls may be among the people",
    ),
}
_CAMERA_OR_FILM = {
    "en": "a camera was down or a film was over",
    "fr": "une caméra était hors service ou un film terminé",
}


def gap_short(reason: GapReason, language: str, *, has_films: bool = False) -> str:
    """Return a reason in a few words; with `has_films` cameras may be recorded films, which are down once they end."""
    is_film = has_films and reason == "camera-down"
    return text_in(_CAMERA_OR_FILM if is_film else GAP_REASONS[reason].short, language, _SOURCE)


def gap_mail(reason: GapReason, language: str) -> str:
    """Return the sentence of a mail about a window that was mostly not observed."""
    return text_in(GAP_REASONS[reason].mail, language, _SOURCE)


def page_gaps() -> dict[str, dict[str, str]]:
    """Return the page's words by language and reason; `film` is a camera or a recorded film that is down."""
    short = {reason: texts.short for reason, texts in GAP_REASONS.items()} | {"film": _CAMERA_OR_FILM}
    return {language: {reason: texts[language] for reason, texts in short.items()} for language in _CAMERA_OR_FILM}

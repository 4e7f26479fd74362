"""The annex to a data-protection impact assessment (GDPR Article 35(7)): the settings, as tables. Pure."""

from operate.transparency.document import Document, DocumentTable, Section, Sentence, lines, table, told
from operate.transparency.notice import further, page
from operate.transparency.place import SiteNotice
from operate.transparency.settings import ReceiverOutline, TransparencySettings
from proto.subjects import DRIFT, STREAMS, Stream
from services.kernel.settings import STAND_IN
from services.sites.settings import CameraSettings

_LEASES = [stream.name for stream in STREAMS if stream.expires]


def annex(place: SiteNotice, operator: TransparencySettings, receivers: list[ReceiverOutline], made: str) -> Document:
    """Return the annex: what the notice says, and every setting that a data-protection officer asks about."""
    gettext = place.words.gettext
    notice = {section.heading: section for section in page(place, operator, receivers, made).sections}
    return Document(
        language=place.words.language,
        title=gettext("Annex to the data-protection impact assessment"),
        place=place.name,
        lead=gettext("Made from the settings. It states facts; judging necessity and proportion is yours."),
        sections=(
            notice[gettext("Who is responsible")],
            notice[gettext("What for, and on which legal basis")],
            Section(gettext("Settings"), table=_settings(place)),
            Section(gettext("Cameras"), table=_cameras(place)),
            notice[gettext("What is published")],
            Section(gettext("Alerts"), lines(place.alerts()), _rules(place) if place.alerts_anybody else None),
            Section(gettext("Recipients"), _transfers(place, operator), _recipients(place, receivers)),
            notice[gettext("What happens to a picture")],
            Section(gettext("What is kept"), table=_kept(place)),
            *further(place, operator),
            Section(gettext("Risks and measures"), lines(*_about_risks(place)), _risks(place)),
            Section(gettext("What is not promised"), lines(*_not_promised(place))),
        ),
        made=made,
        banner=place.banner(),
    )


def _transfers(place: SiteNotice, operator: TransparencySettings) -> tuple[Sentence, ...]:
    return (told(place.words, "transfers", operator.transfers),)


def _settings(place: SiteNotice) -> DocumentTable:
    gettext, site, terms = place.words.gettext, place.site, place.terms
    rows = [
        (gettext("site"), site.id),
        (gettext("time zone"), site.timezone),
        (gettext("legal profile"), site.profile),
        (gettext("length of a period"), place.duration(site.window_s)),
        (
            gettext("shortest that the profile allows"),
            place.duration(terms.min_window_s) if terms.min_window_s else "–",
        ),
        (gettext("figures for zones"), place.yes(terms.zones)),
        (gettext("alerts allowed"), place.yes(terms.rules)),
        (gettext("passages below which no number of people is shown"), str(place.small or "–")),
        (gettext("sightings that make a passage"), str(site.tracking.min_hits)),
        (gettext("hours without counting"), "; ".join(place.hours(site.rests)) or "–"),
    ]
    return table((gettext("Setting"), gettext("Value")), rows)


def _cameras(place: SiteNotice) -> DocumentTable:
    gettext = place.words.gettext
    rows = [
        (
            camera.id,
            place.zone(camera),
            _source(place, camera),
            place.words.number(camera.fps),
            str(len(camera.privacy.areas)) if camera.privacy else "0",
            "; ".join(place.hours(camera.rests)) or "–",
        )
        for camera in place.site.cameras
    ]
    columns = (
        gettext("Camera"), gettext("Looks at"), gettext("Source"), gettext("Pictures a second"),
        gettext("Areas made black"), gettext("Also rests"),
    )  # fmt: skip
    return table(columns, rows)


def _source(place: SiteNotice, camera: CameraSettings) -> str:
    """Return how a camera's pictures come, and whether they are encrypted; never its address."""
    gettext, scheme = place.words.gettext, camera.url.partition(":")[0].lower()
    if camera.is_peer:
        return gettext("a peer, encrypted (WebRTC)")
    if scheme in {"rtsps", "https"}:
        return gettext("network, encrypted") if camera.tls_verify else gettext("network, encrypted, not authenticated")
    if scheme in {"rtsp", "http"}:
        return gettext("network, not encrypted")
    if camera.url == STAND_IN:
        return gettext("named in a file of its own")
    return gettext("this computer")


def _rules(place: SiteNotice) -> DocumentTable:
    gettext, words = place.words.gettext, place.words
    names = {zone.id: zone.name or zone.id for zone in place.site.zones}
    rows = [
        (
            rule.id,
            names.get(rule.zone, gettext("the whole site")),
            words.exact(rule.fire_below),
            words.exact(rule.clear_above),
            str(rule.for_windows),
            str(max(rule.min_persons, place.terms.min_persons)),
        )
        for rule in place.site.rules
    ]
    columns = (
        gettext("Rule"), gettext("Zone"), gettext("Alert below"), gettext("Over above"), gettext("Periods in a row"),
        gettext("People at least"),
    )  # fmt: skip
    return table(columns, rows)


def _recipients(place: SiteNotice, receivers: list[ReceiverOutline]) -> DocumentTable:
    gettext = place.words.gettext
    audiences = {"field": gettext("staff on the spot"), "operators": gettext("those who run the system")}
    rows = [
        (one.id, audiences[one.audience], "; ".join(f"{name} ({count})" for name, count in one.channels()) or "–")
        for one in receivers
    ]
    whoever = gettext("everybody whom the operator lets subscribe")
    rows.append(("NATS", whoever, gettext("published figures, alerts and states")))
    return table((gettext("Receiver"), gettext("Who"), gettext("By")), rows)


def _kept(place: SiteNotice) -> DocumentTable:
    gettext = place.words.gettext
    where, contents = {"memory": gettext("memory"), "file": gettext("disk")}, _contents(place)
    rows = [
        (
            stream.name,
            contents[stream.name],
            where[stream.storage],
            _how_long(place, stream),
        )
        for stream in STREAMS
        if stream.name != DRIFT.stream or place.terms.figures is None  # nothing finer than the site is kept then
    ]
    return table((gettext("Stream"), gettext("Contents"), gettext("Where"), gettext("For how long")), rows)


def _how_long(place: SiteNotice, stream: Stream) -> str:
    if stream.name == "PASSAGES":
        return place.passages_kept(stream.max_age_s or 0)
    return place.duration(stream.max_age_s) if stream.max_age_s else place.words.gettext("the last value")


def _contents(place: SiteNotice) -> dict[str, str]:
    """Return what each stream of the one table holds. A stream missing here raises KeyError and fails a test."""
    gettext = place.words.gettext
    return {
        "SIGHTINGS": gettext("where in the picture faces were, and whether each wore a mask"),
        "PASSAGES": gettext("each passage: camera, zone, mask or not, time"),
        "DRIFT": gettext(
            "a camera's day in histograms of sizes and scores, and how many passages came and went, by which faults are"
            " noticed"
        ),
        "WINDOWS": gettext("the published figures"),
        "ALERTS": gettext("published alerts"),
        "RULES": gettext("when a rule changed its state, and why"),
        "OPERATIONS": gettext("failures of cameras, figures and messages"),
        "CAMERAS": gettext("each camera's state, and for each period how many pictures at most were late"),
        "DELIVERIES": gettext("what was told to whom, with a salted hash in place of the address"),
        "KV_SILENCES": gettext("which alerts are not told for a while, and who decided so"),
        "CONTROL": gettext("who paused what, when and why"),
        "AUDIT": gettext("who aimed a camera, or had a message sent again, when and why"),
        **dict.fromkeys(_LEASES, gettext("which program serves which camera and site")),
        "DEAD": gettext("messages that could not be handled, with the reason; of a picture only its size"),
    }


def _about_risks(place: SiteNotice) -> list[str]:
    gettext = place.words.gettext
    return [
        gettext("“docs/data-protection.md” of the software has further risks, and what remains of each."),
        gettext("A test is run in a copy of the software: “make setup”, then “.venv/bin/python -m pytest -q PATH”."),
    ]


def _risks(place: SiteNotice) -> DocumentTable:
    """Return the risks, the worst first, as docs/data-protection.md has them with what remains of each."""
    gettext = place.words.gettext
    columns = (gettext("Risk"), gettext("Measure"), gettext("Setting"), gettext("How to check"))
    return table(columns, [*_risks_of_pictures(place), *_risks_of_numbers(place)])


def _risks_of_pictures(place: SiteNotice) -> list[tuple[str, str, str, str]]:
    gettext = place.words.gettext
    return [
        (
            gettext("Pictures are kept or seen by somebody"),
            gettext(
                "overwritten within 100 ms, 99 of 100 of them; encrypted between programs;"
                " those that see pictures may not write files"
            ),
            "–",
            "moretta prove",
        ),
        (
            gettext("A copy of a computer's memory (snapshot, suspend, swap) holds pictures"),
            gettext("none by the software: have no such copies, or pause before them"),
            "–",
            gettext("not tested"),
        ),
        (
            gettext("A stolen credential reads more than it should"),
            gettext("one identity a program, with the rights of one table; a revoked one reads no picture after 2 s"),
            "moretta nats replace",
            "tests/integration/sealing/test_sealing_attacks.py",
        ),
        (
            gettext("Somebody who objects is counted all the same"),
            gettext("another way through; areas made black; a pause"),
            "transparency.objection, privacy.areas",
            "tests/integration/ingest/test_ingest_masking.py",
        ),
        (
            gettext("A camera sees more than it needs"),
            gettext("areas made black before anything looks at them; another size of the picture stops the camera"),
            "privacy.areas, privacy.drawn_for",
            "tests/integration/ingest/test_ingest_masking.py",
        ),
        (
            gettext("A person is recognised, or found again"),
            gettext(
                "no features are computed by which somebody could be told from others; no number of a track is"
                " published"
            ),
            "–",
            "tests/contract/test_contract_privacy.py",
        ),
    ]


def _risks_of_numbers(place: SiteNotice) -> list[tuple[str, str, str, str]]:
    gettext = place.words.gettext
    return [
        (
            gettext("A small group, such as staff, can be told apart in the figures"),
            place.withheld() or gettext("none under this profile"),
            "profile, suppress_below",
            "tests/system/test_doors.py",
        ),
        (
            gettext("A false figure leads to wrong measures, or is more often false for some people than for others"),
            gettext("margin of error, observed share of the time and number of people stand beside each percentage")
            if place.terms.figures is None
            else gettext("nothing beside the two figures, which is what the profile allows"),
            "rules[].min_persons",
            gettext("moretta calibrate; errors by skin, age or sex were not measured"),
        ),
        (
            gettext("Times and loads tell that somebody is there"),
            gettext("none: in trials everything is told at once")
            if place.terms.is_trial
            else gettext(
                "figures in cameras' states, and metrics, have coarse steps; those who run the computers still see it"
            ),
            "profile",
            "tests/unit/ingest/test_ingest_side_channel.py",
        ),
        (
            gettext("Addresses of recipients get out"),
            gettext("each mail has one recipient; records have a salted hash"),
            "notify.salt_file",
            "tests/system/test_secrets.py",
        ),
        (
            gettext("Orders to pause, to aim or to silence name people for 400 days"),
            gettext("none by the software: name nobody in a reason"),
            "–",
            "tests/integration/notify/test_notify_cli.py",
        ),
    ]


def _not_promised(place: SiteNotice) -> list[str]:
    gettext = place.words.gettext
    return [
        gettext("The cameras themselves and the network before this software are not its part."),
        gettext("Whoever administers the computers can change the software."),
        gettext("Video decoding needs earlier pictures for longer than 100 ms; see above."),
        gettext("No profile is legal advice."),
    ]

"""The public notice and the annex: what they say of each profile, what they must not say, and gaps shown as gaps."""

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from jinja2 import Environment, nodes
from msgspec import structs

import operate.transparency
from operate.transparency.documents import KINDS, duration, languages, render, weekdays, words_in
from operate.transparency.examples import EXAMPLES, is_example
from operate.transparency.facts import facts
from operate.transparency.operator_texts import gaps, operator_texts
from operate.transparency.settings import ReceiverOutline, TransparencySettings
from operate.transparency.write import write
from services.kernel.settings import SettingsError
from services.notify.languages import languages as notify_languages
from services.sites.settings import DAYS, CameraSettings, RestSettings, RuleSettings, SiteSettings, ZoneSettings

TEMPLATES = Path(operate.transparency.__file__).parent / "templates"
TRANSLATED = [language for language in languages() if language != "en"]
NOW = datetime(2026, 11, 25, 17, 0, tzinfo=UTC)
CAMERAS = [CameraSettings(id="gate-1", url="rtsp://user:pass@10.0.0.5/s", zone="gate")]
SITE = SiteSettings(
    id="forville",
    name="Marché <Forville>",
    timezone="Europe/Paris",
    profile="alerting",
    cameras=CAMERAS,
    zones=[ZoneSettings(id="gate", name="Entrée nord")],
    rules=[RuleSettings(id="low", fire_below=0.7, clear_above=0.75, min_persons=5)],
    rests=[RestSettings(start="20:00", end="07:00", days=("sun", "mon"))],
)
FILE = """
sites:
  - id: forville
    name: Marché <Forville>
    profile: stats-only
    zones: [{id: gate}]
    cameras:
      - {id: gate-1, zone: gate, url: "rtsp://user:geheim@10.9.8.7/s"}
      - {id: gate-2, zone: gate, url_file: /nowhere/url}
notify:
  smtp: {host: mail.example.org, user: moretta, password_file: /nowhere/password, sender: moretta@example.org}
  salt_file: /nowhere/salt
  receivers: [{id: staff, email: [someone@example.org], sms: ["+33612345678"], webhooks: [{url_file: /nowhere/hook}]}]
"""
OPERATOR = ("controller", "contact", "officer", "legal_basis", "objection", "authority", "transfers")
WHOLE = TransparencySettings(**dict.fromkeys(OPERATOR, "said"))


def html(
    kind: str,
    language: str = "en",
    site: SiteSettings = SITE,
    operator: TransparencySettings = WHOLE,
    receivers: tuple[ReceiverOutline, ...] = (),
) -> str:
    variables = facts(site, operator, [*receivers], language) | {"day": NOW, "digest": "0123456789abcdef"}
    return render(kind, language, variables)


def text(*arguments: object, **others: object) -> str:
    """Return what a document says, a line for each heading, paragraph and cell."""
    body = html(*arguments, **others).partition("<header>")[2]  # type: ignore[arg-type]
    return re.sub(r"\s*\n\s*", "\n", unescape(re.sub(r"<[^>]*>", "\n", body)))


def missing(operator: TransparencySettings, language: str) -> dict[str, str]:
    return gaps(operator_texts(operator, language))


def site(profile: str, **other: object) -> SiteSettings:
    changes = {name: getattr(SITE, name) for name in SITE.__struct_fields__}
    return SiteSettings(**{**changes, "profile": profile, **other})


@pytest.mark.parametrize(
    ("profile", "contained", "absent"),
    [
        ("fr-2021-269", ["Of people nothing else.", "authorises nothing today", "Nobody is alerted."], ["each zone"]),
        ("stats-only", ["each zone", "fewer than 10 passages", "worked out", "Nobody is alerted."], ["decree"]),
        ("alerting", ["each zone", "at least 20", "no law is cited"], ["decree", "Nobody is alerted."]),
        ("lab", ["no limit is in force", "at least 5"], ["no law is cited"]),
    ],
)  # fmt: skip
def test_a_page_states_what_its_profile_allows(profile: str, contained: list[str], absent: list[str]):
    """As docs/privacy.md words the profiles; the strictest of rule and profile is what counts."""
    found = text("notice", site=site(profile))
    assert all(part in found for part in contained)
    assert not any(part in found for part in absent)


def test_sign_and_page_state_of_how_many_pictures_the_promise_is():
    """And that an upper bound of the others is published, but no lifetime (ADR 40), in both languages."""
    for language, phrases, bound in (
        ("en", ("99 of 100", "For each period we publish how many pictures at most"), "not published"),
        ("fr", ("99 sur 100", "Pour chaque période, nous publions combien d’images au plus"), "pas publiées"),
    ):
        assert all(part in text(kind, language) for kind in ("sign", "notice") for part in phrases)
        assert all(bound in text(kind, language) for kind in ("notice", "dpia-annex"))


def test_the_sign_states_that_passages_are_counted():
    """One stallholder may pass ten times. How much was observed is shown all the same."""
    for language, counted, withheld in (
        ("en", "A person who passes twice is counted twice", "fewer than 10 passages shows no number of people"),
        ("fr", "Une personne qui passe deux fois est comptée deux fois", "moins de 10 passages ne montre ni nombre"),
    ):
        found = text("sign", language, site("stats-only"))
        assert counted in found
        assert withheld in found


@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_denial_is_of_this_system_alone(language: str):
    """The cameras and a recorder beside them are not Moretta's: "no picture is kept" would be said of them, too."""
    system = {"en": "his system", "fr": "e système"}[language]
    lead = re.findall(r'<p class="lead">(.*)</p>', html("sign", language))
    denials = [*lead, *re.findall(r"<p(?: class=\"lead\")?>(.*?)</p>", html("notice", language))]
    denied = [text for text in denials if re.search(r"no picture|no features|aucune image|aucune caract", text)]
    assert len(denied) == 5
    assert all(system in text for text in denied)


@pytest.mark.parametrize(
    ("profile", "rules", "staff", "steps"),
    [("alerting", SITE.rules, "may get alerts and reports.", True), ("stats-only", [], "may get reports.", True),
     ("lab", SITE.rules, "may get alerts and reports.", False)],
)  # fmt: skip
def test_sentences_of_staff_and_of_cameras_follow_the_settings(profile, rules, staff, steps):
    """No alerts where there are none; a camera's state is public; in trials nothing is told in coarse steps."""
    place = site(profile, rules=rules)
    notice = text("notice", site=place, receivers=(ReceiverOutline(id="staff", email=["a@example.org"]),))
    assert f"1 address of staff {staff}" in notice
    assert "at once: whether each camera works, is paused or has failed" in notice
    assert ("have coarse steps" in text("dpia-annex", site=place)) is steps


def test_the_page_states_which_passages_the_disk_still_has():
    """As docs/privacy.md has it: two hours are when NATS gives them to nobody any more."""
    for kind in ("notice", "dpia-annex"):
        found = text(kind)
        assert "2 hours, and for as long as the system is switched off; then no program gets them any more" in found


@pytest.mark.parametrize(("profile", "days"), [("alerting", True), ("stats-only", True), ("fr-2021-269", False)])
def test_the_page_names_what_is_kept_for_the_staff(profile, days):
    """A camera's day is kept where a camera may be looked at alone; dead letters and orders everywhere."""
    found = text("notice", site=site(profile, rules=[], zones=[], cameras=[CameraSettings(id="a", url="rtsp://a/s")]))
    assert ("It shows a camera that has gone wrong\ndisk, at the site\n16 days" in found) is days
    assert "a message that a program could not read, and why\ndisk, at the site\n7 days" in found
    assert found.count("\ndisk, at the site\n400 days") == 4


def test_the_longest_time_of_a_decoder_is_stated_as_measured_so_far():
    """It is no bound: another packet may take longer."""
    assert "the most that was measured so far: 14 seconds" in text("notice")
    assert "le plus long mesuré à ce jour\u00a0: 14" in text("notice", "fr")


def test_only_trials_have_a_banner():
    """A sign made in the profile lab says that it is none."""
    banners = ['<p class="banner">' in html("sign", site=site(p)) for p in ("lab", "alerting", "fr-2021-269")]
    assert banners == [True, False, False]


def test_the_sign_names_the_right_to_object_and_the_legal_basis():
    """What a passer-by needs to know before the page behind the sign; the right also where nobody said the basis."""
    for language, basis, right in (
        ("en", "Legal basis: said", "you have the right to object (GDPR Article 21)."),
        ("fr", "Base juridique\u00a0: said", "vous avez le droit de vous opposer (RGPD, article 21)."),
    ):
        assert basis in text("sign", language)
        for operator in (WHOLE, TransparencySettings()):
            assert right in text("sign", language, operator=operator)


def test_times_that_are_not_published_are_so_where_they_are_not():
    """Metrics of a trial tell of each picture."""
    sentence = "These times are not published"
    shown = {p: sentence in text("notice", site=site(p)) for p in ("lab", "alerting", "fr-2021-269")}
    assert shown == {"lab": False, "alerting": True, "fr-2021-269": True}


def test_a_missing_text_is_a_gap_with_the_path_of_its_setting():
    """And it is asked for in the language in which it is missing."""
    partly = TransparencySettings(
        controller="Cannes", legal_basis={"en": "Article 6(1)(e)"}, objection="Use the south gate."
    )
    assert missing(structs.replace(WHOLE, page_url="https://masks.test"), "en") == {}
    assert missing(partly, "fr") == dict.fromkeys(
        (
            "transparency.legal_basis.fr", "transparency.contact", "transparency.officer", "transparency.page_url",
            "transparency.transfers", "transparency.authority",
        ),
        "is missing",
    )  # fmt: skip
    assert "transparency.legal_basis" not in " ".join(missing(partly, "en"))
    for kind, gap in (("sign", "[to be filled in: transparency.page_url]"), ("notice", "transparency.authority]")):
        assert gap in text(kind, operator=partly)


def test_what_is_still_the_example_s_is_a_gap(tmp_path: Path):
    """Each text of docs/site.example.yaml but the authority's; no sign bears it, and no code leads to example.org."""
    example = (Path(__file__).parents[3] / "docs/site.example.yaml").read_text(encoding="utf-8")
    section = example[example.index("# transparency:") : example.index("# Where traces go")]
    section = re.sub(r"\n#   # (?=(?:purpose|further|source_url): )", "\n#   ", section)  # what may be left out, too
    (file := tmp_path / "site.yaml").write_text(FILE + section.replace("\n# ", "\n").removeprefix("# "))
    written, missing = write(file, tmp_path / "out", [], NOW)
    whys = dict.fromkeys(missing.values())
    assert len(missing) == 13  # ten settings, three of them in two languages, and no authority
    assert all(why.startswith("is still the example's, '") for why in whys)
    assert set(OPERATOR) - {path.split(".")[1] for path in missing} == {"authority"}
    for path in written:
        assert not any(text in path.read_text() for text in (*EXAMPLES, "www.example.org"))
    assert is_example("Questions: masks@example.com.")
    assert not is_example("https://masks-example.org/, and an example of it")


def test_hours_are_those_of_the_site_in_the_reader_s_words():
    """Days in the order of a week."""
    assert "\nlundi et dimanche\u00a0: 20:00 à 07:00\n" in text("notice", "fr")
    assert (weekdays(words_in("en"), ("sun", "tue")), weekdays(words_in("fr"), DAYS)) == ("Tuesday and Sunday", "")
    assert duration(words_in("en"), 1_200) == "20 minutes"
    assert [duration(words_in("fr"), s) for s in (5, 90, 7_200, 400 * 86_400)] == [
        "5\u00a0secondes", "90\u00a0secondes", "2\u00a0heures", "400\u00a0jours",
    ]  # fmt: skip


def test_the_annex_has_the_settings_and_every_stream():
    """A stream that is added to the one table and has no word here raises UndefinedError."""
    assert "DRIFT" not in text("dpia-annex", site=site("fr-2021-269"))
    found = text("dpia-annex")
    assert all(
        part in found for part in ("network, not encrypted", "70%", "75%", "DELIVERIES", "400 days", "70 minutes")
    )


def test_each_risk_names_a_test_that_there_is_or_states_that_there_is_none():
    """In both languages."""
    root = Path(__file__).parents[3]
    for language in ("en", "fr"):
        (risks,) = [one for one in html("dpia-annex", language).split("<table>") if "moretta prove" in one]
        rows = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*</tr>", risks)][1:]
        assert [len(row) for row in rows] == [4] * 11
        assert all(all(row) for row in rows)
        assert "moretta nats replace" in [row[2] for row in rows]  # after `rotate` a stolen key is in force, too
        named = re.findall(r"tests/[\w/]+\.py", risks)
        assert [path for path in named if not (root / path).is_file()] == []
        assert len(named) == 8


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_annex_states_where_the_other_risks_are_and_how_a_test_is_run(language: str):
    """docs/data-protection.md has more of them than it."""
    found = text("dpia-annex", language)
    assert "docs/data-protection.md" in found
    assert ".venv/bin/python -m pytest -q " in found


def test_the_page_labels_the_legal_basis_and_the_way_past():
    """The operator's own words alone would not say what they are."""
    assert {"Legal basis: said", "How to pass without being counted: said"} <= set(text("notice").splitlines())
    assert "<h2>If you do not want to be counted</h2>" in html("sign")


def test_purpose_and_further_facts_are_the_operator_s_where_given():
    """In notice and annex, in the reader's language. One that lacks this language is a gap; one left out is none."""
    full = structs.replace(WHOLE, purpose={"fr": "Décider."}, further={"en": "Backups: 30 days.", "fr": "Sauvegardes."})
    for kind in ("notice", "dpia-annex"):
        general, own = (text(kind, "fr", operator=one) for one in (WHOLE, full))
        assert "en distribuant des masques" in general
        assert "Décider." in own
        assert "distribuant" not in own
        assert "\nAutres informations\nSauvegardes.\n" in own
        assert "Autres informations" not in general
        assert "[to be filled in: transparency.purpose.en]" in text(kind, operator=full)
    assert set(missing(full, "fr")) == set(missing(WHOLE, "fr")) == {"transparency.page_url"}
    assert set(missing(full, "en")) == {"transparency.page_url", "transparency.purpose.en"}


def test_how_to_check_is_stated_where_the_software_can_be_had():
    """Without an address nobody could, so nothing is said; it is no gap. An address of the example is one."""
    assert "moretta prove" not in text("notice", "fr")
    operator = structs.replace(WHOLE, source_url="https://code.test/moretta")
    found = text("notice", "fr", operator=operator)
    assert "Chacun peut le lire et le faire fonctionner\u00a0: https://code.test/moretta" in found
    assert "moretta prove" in found
    left = structs.replace(WHOLE, source_url="https://www.example.org/moretta")
    assert "transparency.source_url" not in missing(operator, "fr")
    assert "transparency.source_url" in missing(left, "fr")
    assert "[à compléter\u00a0: transparency.source_url]" in text("notice", "fr", operator=left)


def mentioned(path: Path) -> set[str]:
    """Return the facts, filters and words for settings' values that a template names, such as `site.rests`."""
    tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
    filters = {f"|{one.name}" for one in tree.find_all(nodes.Filter)}
    keys = {f"[{pair.key.as_const()}]" for pair in tree.find_all(nodes.Pair)}
    return filters | keys | {dotted(one) for one in tree.find_all((nodes.Name, nodes.Getattr))}


def dotted(node: nodes.Node) -> str:
    return f"{dotted(node.node)}.{node.attr}" if isinstance(node, nodes.Getattr) else getattr(node, "name", "?")


@pytest.mark.parametrize("language", TRANSLATED)
def test_each_language_states_the_same_facts(language: str):
    """A fact that one template leaves out would be kept from the readers of that language."""
    names = [path.name for path in sorted((TEMPLATES / "en").iterdir())]
    assert [path.name for path in sorted((TEMPLATES / language).iterdir())] == names
    for name in names:
        assert mentioned(TEMPLATES / language / name) == mentioned(TEMPLATES / "en" / name), name


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("profile", ["lab", "alerting", "stats-only", "fr-2021-269"])
def test_each_language_has_the_same_sections_and_rows_in_its_own_words(language: str, profile: str):
    """In each profile, with all settings and with none: the same elements and numbers, no English sentence."""
    full = structs.replace(WHOLE, purpose="p", further="f", source_url="https://code.test", page_url="https://a.test")
    staff = ReceiverOutline(id="staff", email=["a@b.test"]), ReceiverOutline(id="o", sms=["+331"], audience="operators")
    sites = site(profile, suppress_below=15, window_s=7_200.0), site(profile, rules=[], rests=[])
    for kind in KINDS:
        for arguments in ((sites[0], full, staff), (sites[1], TransparencySettings(), ())):
            english, other = (html(kind, one, *arguments) for one in ("en", language))
            assert re.findall(r"<[a-z/]\w*", english) == re.findall(r"<[a-z/]\w*", other)
            english, other = (text(kind, one, *arguments) for one in ("en", language))
            assert sorted(re.findall(r"\d+", english)) == sorted(re.findall(r"\d+", other))
            assert [line for line in {*english.splitlines()} & {*other.splitlines()} if line.count(" ") > 2] == []


def test_the_languages_are_those_of_mails():
    """Each has its locale by its folder's name; English is British."""
    assert languages() == notify_languages() == ["en", *TRANSLATED]
    assert (str(words_in("en").locale), str(words_in("pt-BR").locale)) == ("en_GB", "pt_BR")


def test_documents_hold_no_address_number_or_password_and_open_no_secret(tmp_path: Path):
    """They are published. Names are escaped, and nothing is fetched from elsewhere."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE)
    written, missing = write(file, tmp_path / "out", [], NOW)
    names = {
        f"forville-{kind}.{language}.html" for kind in ("sign", "notice", "dpia-annex") for language in ("en", "fr")
    }
    assert {path.name for path in written} == names
    assert len(missing) == 8
    for path in written:
        html = path.read_text()
        assert not re.search(r"geheim|10\.9\.8\.7|someone|example\.org|336123|nowhere|<Forville>", html)
        assert "Marché &lt;Forville&gt;" in html
        assert not re.search(r"(src|href)=", html)
    assert "named in a file of its own" in (tmp_path / "out/forville-dpia-annex.en.html").read_text()


def test_the_sign_has_a_code_that_leads_to_the_page(tmp_path: Path):
    """The second layer is where the first one points to."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE + "transparency: {page_url: 'https://masks.test/a?b=1&c=2'}\n")
    written, _ = write(file, tmp_path, ["fr"], NOW)
    html = next(path for path in written if "sign" in path.name).read_text()
    assert '<a href="https://masks.test/a?b=1&amp;c=2">' in html
    assert html.count("<svg") == 2


@pytest.mark.parametrize(
    ("language", "out", "why"),
    [("xx", "out", "--language: no 'xx'; there are en, fr"), ("fr", "site.yaml", "--out: .* is a file; name a folder")],
)
def test_a_mistake_names_the_option_and_what_would_be_right(tmp_path: Path, language: str, out: str, why: str):
    """Nothing is written then."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE)
    with pytest.raises(SettingsError, match=why):
        write(file, tmp_path / out, [language], NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.yaml"]


def test_a_receiver_of_an_unknown_site_is_reported_with_its_path(tmp_path: Path):
    """As notify itself tells it."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE.replace("{id: staff,", "{id: staff, sites: [forvile],"))
    with pytest.raises(SettingsError, match=r"notify\.receivers\[0\]\.sites\[0\]: unknown site 'forvile'"):
        write(file, tmp_path / "out", [], NOW)


def test_settings_that_a_profile_forbids_make_no_notice(tmp_path: Path):
    """What aggregate would refuse is told in the same words."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE.replace("profile: stats-only", "profile: fr-2021-269"))
    with pytest.raises(SettingsError, match=r"sites\[0\]\.zones"):
        write(file, tmp_path / "out", [], NOW)


def test_a_site_without_cameras_gets_no_notice(tmp_path: Path):
    """As one from which the films were taken out: it would say that there are 0 cameras."""
    (file := tmp_path / "site.yaml").write_text("sites: [{id: market, profile: lab}]")
    with pytest.raises(SettingsError, match=r"sites\[0\].cameras: is empty, so there is nothing to tell of 'market'"):
        write(file, tmp_path / "out", [], NOW)
    assert not (tmp_path / "out").exists()


def test_a_recorded_film_gets_no_notice(tmp_path: Path):
    """It is kept, so the documents would be untrue; the error names the camera, and nothing is written."""
    (file := tmp_path / "site.yaml").write_text(FILE.replace("url_file: /nowhere/url}", "url: monday.mp4}", 1))
    with pytest.raises(SettingsError) as error:
        write(file, tmp_path / "out", [], NOW)
    assert str(error.value).startswith(
        f"{file}: sites[0].cameras[1].url: 'monday.mp4' is a recorded film, which is kept"
    )
    assert not (tmp_path / "out").exists()

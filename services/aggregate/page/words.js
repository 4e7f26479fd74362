// The page's words. A word of the contract that is not here is shown as it is (docs/messages.md, "What may change").

const en = {
  title: "numbers", language: "Language", skip: "Skip to the numbers",
  about: "Read only. No picture and no person is shown or stored; what you see is what is published.",
  definition: "A person is a passage in front of one camera: a person who passes twice is counted twice. The 95% interval allows for chance and, where they were measured, for the errors that the image analysis made in other places.",
  "key.title": "A key is needed", "key.label": "Key of a reader",
  "key.hint": "Open the link or scan the code that you were given, or enter a key (SU…). A key that you enter is forgotten when you close this window.",
  "key.send": "Show the numbers", "key.wrong": "This is no seed: it begins with SU and has 58 characters.",
  "key.refused": "The server does not know this key: a part of it is missing, or a new one has taken its place.",
  "state.connecting": "connecting", "state.live": "live", "state.lost": "connection lost", "state.refused": "waiting for a key",
  "notice.unreached": "The server of numbers cannot be reached; trying again.",
  "notice.lost": "Connection lost at {time}. What you see is from before; trying again.",
  "notice.refused": "The server has not let this page in since {time}. What you see is from before; trying again.",
  "notice.back": "Connected again.", "notice.old": "Data are old since {time}.",
  "notice.config": "config.json cannot be read; the page does not know where the numbers are. Trying again.",
  nothing: "Nothing was published yet.", "steps.wait": "The first numbers come when the first window closes: after 20 minutes at most, unless the settings say otherwise.",
  "steps.cameras": "Does each camera send pictures? The command “moretta doctor” says so, and what to do.",
  "steps.aim": "Are faces large and bright enough? The command “moretta aim” shows it, without a picture.",
  "latest.failed": "What was published before could not be read, trying again.",
  "latest.refused": "What was published before may not be read here; numbers are shown as they come.",
  whole: "Whole site", rate: "wear a mask", interval: "95% interval", persons: "people", coverage: "observed",
  unknown: "could not be judged", masked: "with a mask", unmasked: "without a mask", incorrect: "badly worn", window: "Window",
  between: "{low} to {high}", from: "{start} to {end}", ago: "ended {age} ago", early: "closed early: a recorded film", old: "old since {time}",
  "age.s": "less than a minute", "age.m": "{n} min", "age.h": "{n} h", "age.d": "{n} d",
  adjusted: "as published by a changed configuration",
  "why.small-count": "too few people to publish", "why.not-under-this-profile": "not published under this profile",
  "why.nothing-observed": "nothing was observed", "why.none-judged": "nobody could be judged",
  profile: "profile {profile}", "profile.trial": "trial (profile {profile})",
  "pick.date": "Date", "pick.kind": "Period", "pick.day": "Day", "pick.week": "Week", "pick.month": "Month",
  "pick.day.before": "Yesterday", "pick.day.now": "Today", "pick.week.before": "Last week", "pick.week.now": "This week",
  "pick.month.before": "Last month", "pick.month.now": "This month",
  "total.all": "Total", "total.now": "Total so far", "total.day": "Day before", "total.week": "Week before", "total.month": "Month before",
  "trend.day": "Trend of {day}", "trend.week": "Trend of the week from {first} to {last}", "trend.month": "Trend of {month}",
  "trend.asking": "Loading.", "trend.refused": "Earlier days may not be read here.", csv: "Download as CSV",
  "reading.label": "Window of the trend", "reading.none": "none chosen", "reading.gap": "{time}: no numbers", "reading.why": "{time}: {why}",
  "reading.of": "{time}: {values}", "persons.of": "{n} people", "persons.one": "{n} person", "coverage.of": "{coverage} observed", "windows.withheld": "{some} of {all} windows not shown",
  trend: "Trend of the day", "trend.short": "Trend since {time}", "trend.table": "Values as a table",
  "trend.none": "No history can be had here; the trend begins now.", "trend.failed": "History could not be read, trying again.",
  "trend.said": "{label}: {windows}, last {last}, lowest {lowest}, highest {highest}; {gaps} without numbers, {suppressed} not shown.",
  "trend.windows": "{n} windows", "trend.hours": "{n} hours", "trend.days": "{n} days", "trend.empty": "{label}: no rate yet; {gaps} without numbers, {suppressed} not shown.",
  "legend.rate": "rate", "legend.interval": "interval", "legend.bound": "alert below {below}", "legend.suppressed": "not shown", "legend.gap": "no numbers",
  "column.time": "Time", "column.rate": "Rate", "column.interval": "Interval", "column.persons": "People", "column.coverage": "Observed",
  "zones.not": "Zones: not published under this profile.",
  alerts: "Alerts", "alerts.none": "No alert.", "alerts.failed": "Alerts could not be read, trying again.",
  "alerts.refused": "Alerts may not be read here.", "alerts.not": "Alerts on rates: not published under this profile.",
  "alert.firing": "ongoing", "alert.resolved": "over",
  "alert.line": "{zone}, {rule}: {rate} ({interval}) of {persons} people; alert below {below}",
  "alert.since": "since {time}", "alert.until": "{since} to {time}",
  "severity.info": "information", "severity.warning": "warning", "severity.critical": "critical",
  "operation.camera-down": "Camera {name} is down", "operation.no-data": "No data of {name}",
  "operation.channel-down": "Channel {name} sends nothing", "operation.undelivered": "Recipient {name} could not be told",
  "told.firing": "Alert: {what}", "told.resolved": "Over: {what}",
  "cameras.page": "For operators: aim cameras, draw areas, use a phone as a camera", cameras: "Cameras", "cameras.up": "{up} of {all} cameras up", camera: "Camera", state: "State", since: "since",
  fps: "Pictures a second", analysed: "Analysed a second", shed: "Dropped unread",
  "camera.live": "live", "camera.connecting": "connecting", "camera.stalled": "stalled", "camera.backing-off": "waiting to try again",
  "camera.paused": "paused", "camera.failed-config": "misconfigured", "camera.ended": "ended",
  "camera.silent": "last heard {time}", "camera.unheard": "not heard", "camera.named": "{camera}: {state}", "cameras.more": "{n} more",
  promise: "Promise: 99 of 100 pictures are overwritten within 100 ms", "promise.kept": "kept", "promise.broken": "not kept",
  "promise.none": "no measurement", "promise.since": "no measurement since {time}", "promise.few": "too few pictures ({n} of 100)",
  late: "longer, or not confirmed", "late.of": "at most {late} of {pictures}", "at-most": "at most {value}",
  "promise.worst": "the last windows of the camera with most of these: {camera}", lifetime: "Over 100 ms in the last window",
};

const fr = {
  title: "chiffres", language: "Langue", skip: "Aller aux chiffres",
  about: "Lecture seule. Aucune image et aucune personne n’est montrée ni conservée ; vous voyez ce qui est publié.",
  definition: "Une personne est un passage devant une caméra : une personne qui passe deux fois est comptée deux fois. L’intervalle à 95 % tient compte du hasard et, si elles ont été mesurées, des erreurs d’analyse d’images commises ailleurs.",
  "key.title": "Une clé est nécessaire", "key.label": "Clé de lecture",
  "key.hint": "Ouvrez le lien ou scannez le code que vous avez reçu, ou saisissez une clé (SU…). Une clé saisie est oubliée à la fermeture de cette fenêtre.",
  "key.send": "Montrer les chiffres", "key.wrong": "Ce n’est pas une clé : elle commence par SU et a 58 caractères.",
  "key.refused": "Le serveur ne connaît pas cette clé : il en manque une partie, ou une nouvelle l’a remplacée.",
  "state.connecting": "connexion", "state.live": "en direct", "state.lost": "connexion perdue", "state.refused": "clé attendue",
  "notice.unreached": "Le serveur des chiffres est injoignable ; nouvel essai en cours.",
  "notice.lost": "Connexion perdue ({time}). Vous voyez les chiffres d’avant ; nouvel essai en cours.",
  "notice.refused": "Le serveur n’admet plus cette page ({time}). Vous voyez les chiffres d’avant ; nouvel essai en cours.",
  "notice.back": "Connexion rétablie.", "notice.old": "Données anciennes : plus rien depuis {time}.",
  "notice.config": "config.json est illisible ; la page ne sait pas où sont les chiffres. Nouvel essai en cours.",
  nothing: "Rien n’a encore été publié.", "steps.wait": "Les premiers chiffres arrivent à la fin du premier créneau : 20 minutes au plus, sauf autre réglage.",
  "steps.cameras": "Chaque caméra envoie-t-elle des images ? La commande « moretta doctor » l’indique, ainsi que la marche à suivre.",
  "steps.aim": "Les visages sont-ils assez grands et éclairés ? La commande « moretta aim » le montre, sans image.",
  "latest.failed": "Ce qui a été publié auparavant n’a pas pu être lu ; nouvel essai en cours.",
  "latest.refused": "Ce qui a été publié auparavant ne peut être lu ici ; les chiffres apparaissent à leur publication.",
  whole: "Tout le site", rate: "portent un masque", interval: "intervalle à 95 %", persons: "personnes", coverage: "observé",
  unknown: "non jugées", masked: "avec masque", unmasked: "sans masque", incorrect: "masque mal porté", window: "Créneau",
  between: "{low} à {high}", from: "{start} à {end}", ago: "fini depuis {age}", early: "clos avant l’heure : film enregistré", old: "ancien depuis {time}",
  "age.s": "moins d’une minute", "age.m": "{n} min", "age.h": "{n} h", "age.d": "{n} j",
  adjusted: "publié sous une configuration modifiée",
  "why.small-count": "trop peu de personnes pour publier", "why.not-under-this-profile": "non publié sous ce profil",
  "why.nothing-observed": "rien n’a été observé", "why.none-judged": "personne n’a pu être jugé",
  profile: "profil {profile}", "profile.trial": "essai (profil {profile})",
  "pick.date": "Date", "pick.kind": "Période", "pick.day": "Jour", "pick.week": "Semaine", "pick.month": "Mois",
  "pick.day.before": "Hier", "pick.day.now": "Aujourd’hui", "pick.week.before": "Semaine dernière", "pick.week.now": "Cette semaine",
  "pick.month.before": "Mois dernier", "pick.month.now": "Ce mois-ci",
  "total.all": "Total", "total.now": "Total à ce jour", "total.day": "Veille", "total.week": "Semaine d’avant", "total.month": "Mois d’avant",
  "trend.day": "Tendance du {day}", "trend.week": "Tendance de la semaine du {first} au {last}", "trend.month": "Tendance : {month}",
  "trend.asking": "Chargement en cours.", "trend.refused": "Les jours passés ne peuvent être lus ici.", csv: "Télécharger en CSV",
  "reading.label": "Créneau de la tendance", "reading.none": "aucun choisi", "reading.gap": "{time} : pas de chiffres", "reading.why": "{time} : {why}",
  "reading.of": "{time} : {values}", "persons.of": "{n} personnes", "persons.one": "{n} personne", "coverage.of": "{coverage} observé", "windows.withheld": "{some} fenêtres sur {all} non montrées",
  trend: "Tendance du jour", "trend.short": "Tendance depuis {time}", "trend.table": "Valeurs en tableau",
  "trend.none": "Pas d’historique ici ; la tendance commence maintenant.",
  "trend.failed": "L’historique n’a pas pu être lu ; nouvel essai en cours.",
  "trend.said": "{label} : {windows}, dernier {last}, plus bas {lowest}, plus haut {highest} ; {gaps} sans chiffres, {suppressed} non affichées.",
  "trend.windows": "{n} créneaux", "trend.hours": "{n} heures", "trend.days": "{n} jours", "trend.empty": "{label} : pas encore de taux ; {gaps} sans chiffres, {suppressed} non affichées.",
  "legend.rate": "taux", "legend.interval": "intervalle", "legend.bound": "alerte sous {below}", "legend.suppressed": "non affiché", "legend.gap": "pas de chiffres",
  "column.time": "Heure", "column.rate": "Taux", "column.interval": "Intervalle", "column.persons": "Personnes", "column.coverage": "Observé",
  "zones.not": "Zones : non publiées sous ce profil.",
  alerts: "Alertes", "alerts.none": "Aucune alerte.", "alerts.failed": "Les alertes n’ont pas pu être lues ; nouvel essai en cours.",
  "alerts.refused": "Les alertes ne peuvent être lues ici.", "alerts.not": "Alertes sur les taux : non publiées sous ce profil.",
  "alert.firing": "en cours", "alert.resolved": "terminée",
  "alert.line": "{zone}, {rule} : {rate} ({interval}) sur {persons} personnes ; alerte sous {below}",
  "alert.since": "depuis {time}", "alert.until": "{since} à {time}",
  "severity.info": "information", "severity.warning": "avertissement", "severity.critical": "critique",
  "operation.camera-down": "La caméra {name} est hors service", "operation.no-data": "Pas de données de {name}",
  "operation.channel-down": "Le canal {name} n’envoie plus rien", "operation.undelivered": "Le destinataire {name} n’a pu être prévenu",
  "told.firing": "Alerte : {what}", "told.resolved": "Terminée : {what}",
  "cameras.page": "Pour les opérateurs : orienter les caméras, dessiner des zones, filmer avec un téléphone", cameras: "Caméras", "cameras.up": "{up} caméras sur {all} en service", camera: "Caméra", state: "État", since: "depuis",
  fps: "Images par seconde", analysed: "Analysées par seconde", shed: "Écartées sans lecture",
  "camera.live": "en service", "camera.connecting": "connexion", "camera.stalled": "figée", "camera.backing-off": "attend un nouvel essai",
  "camera.paused": "en pause", "camera.failed-config": "mal configurée", "camera.ended": "terminée",
  "camera.silent": "dernières nouvelles : {time}", "camera.unheard": "sans nouvelles", "camera.named": "{camera} : {state}",
  "cameras.more": "{n} autres",
  promise: "Promesse : 99 images sur 100 sont effacées en 100 ms", "promise.kept": "tenue", "promise.broken": "non tenue",
  "promise.none": "aucune mesure", "promise.since": "aucune mesure (dernière : {time})", "promise.few": "trop peu d’images ({n} sur 100)",
  late: "plus longues, ou non confirmées", "late.of": "au plus {late} sur {pictures}", "at-most": "au plus {value}",
  "promise.worst": "les derniers créneaux de la caméra qui en a le plus : {camera}", lifetime: "Plus de 100 ms dans le dernier créneau",
};

/** French with the spaces that no line breaks at: before double signs and units, after a number. */
function typeset(words) {
  const spaced = (one) => one.replace(/ ([:»%])/g, "\u00a0$1").replace(/ ([;!?])/g, "\u202f$1").replace(/([\d}]) (min|h|j|ms)\b/g, "$1\u00a0$2");
  return Object.fromEntries(Object.entries(words).map(([key, one]) => [key, spaced(one)]));
}

export const LANGUAGES = { en, fr: typeset(fr) };

/** Take in the reasons for gaps of config.json, by language. */
export function learnGaps(gaps) {
  for (const [language, found] of Object.entries(LANGUAGES)) {
    for (const [reason, one] of Object.entries(gaps[language] ?? {})) found[`gap.${reason}`] = one;
  }
}

/** The first of the reader's languages that there are words in; English without one. */
export function chosen(wanted) {
  return wanted.map((one) => one.slice(0, 2).toLowerCase()).find((one) => one in LANGUAGES) ?? "en";
}

/** The words under a key with values put in; null where there are none. */
export function words(language, key, values = {}) {
  const found = LANGUAGES[language][key];
  return found === undefined ? null : found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

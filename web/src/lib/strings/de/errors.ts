/** German: what the server's error codes mean. */

import type en from "../en/errors";

const words: typeof en = {
  codes: {
    not_signed_in: "Du bist nicht angemeldet.",
    wrong_password: "Name und Passwort passen nicht zusammen.",
    wrong_own_password: "Das Passwort ist falsch.",
    wrong_code: "Der Code stimmt nicht oder wurde schon benutzt.",
    wrong_passkey: "Dieser Passkey hat nicht gezeigt, dass du es bist. Versuche es noch einmal, oder melde dich anders an.",
    second_factor_setup_required: "Hier braucht jeder einen zweiten Faktor.",
    second_factor_required: "Gib den Code deines zweiten Faktors ein.",
    provider_error: "Der Anbieter für die Anmeldung hat versagt.",
    account_disabled: "Dieses Konto ist gesperrt. Ein Inhaber oder Admin kann es entsperren.",
    too_many_attempts: "Zu viele Versuche. Warte ein wenig und versuche es dann noch einmal.",
    not_found: "Das gibt es nicht (mehr).",
    conflict: "Das widerspricht dem, was gespeichert ist. Lade die Seite neu.",
    refused: "Das ist nicht erlaubt.",
    content_too_large: "Das ist zu groß.",
    context_length_exceeded: "Das ist mehr, als dieses Modell auf einmal lesen kann. Kürze es, beginne einen neuen Chat oder wähle ein Modell mit längerem Kontext.",
    invalid_request: "Diese Anfrage kann der Server nicht annehmen.",
    invalid_value: "Diesen Wert kann der Server nicht annehmen.",
    unsupported_parameter: "Das geht hier nicht.",
    model_not_found: "Dieses Modell gibt es hier nicht. Wähle ein anderes.",
    rate_limit_exceeded: "Zu viele Anfragen in kurzer Zeit. Warte ein wenig und versuche es dann noch einmal.",
    insufficient_quota: "Das Kontingent für heute ist aufgebraucht.",
    engine_busy: "Es warten schon zu viele Anfragen. Versuche es gleich noch einmal.",
    engine_crashed: "Das Modell ist abgestürzt. Es wird neu gestartet; versuche es noch einmal.",
    engine_error: "Die Antwort ist fehlgeschlagen.",
    model_too_large: "Dieses Modell passt nicht in den Speicher. Wähle ein kleineres.",
    server_stopping: "Der Server wird gerade beendet.",
    disk_full: "Der Datenträger des Servers ist voll.",
    hub_error: "Das Modell konnte nicht geholt werden.",
    sources_unreachable: "Das Modell konnte nicht geholt werden: Keine Quelle war erreichbar.",
    hash_mismatch: "Was ankam, ist nicht das erwartete Modell. Es wurde gelöscht.",
    model_file_error: "Diese Modelldatei ist unbrauchbar.",
    store_error: "Die Datenbank konnte nicht benutzt werden.",
    store_unavailable: "Die Datenbank antwortet gerade nicht. Was gespeichert ist, ist sicher; versuche es gleich noch einmal.",
    internal_error: "Im Server ist ein Fehler aufgetreten.",
  },
};
export default words;

/** Spanish: what the server's error codes mean. */

import type en from "../en/errors";

const words: typeof en = {
  codes: {
    not_signed_in: "No has iniciado sesión.",
    wrong_password: "El nombre y la contraseña no coinciden.",
    wrong_own_password: "La contraseña es incorrecta.",
    wrong_code: "El código no es correcto o ya se ha usado.",
    wrong_passkey: "Esta llave de acceso no ha mostrado que eres tú. Inténtalo de nuevo o inicia sesión de otra forma.",
    second_factor_setup_required: "Aquí todos necesitan un segundo factor.",
    second_factor_required: "Escribe el código de tu segundo factor.",
    provider_error: "El proveedor de identidad ha fallado.",
    account_disabled: "Esta cuenta está desactivada. Un propietario o administrador puede activarla.",
    too_many_attempts: "Demasiados intentos. Espera un poco y vuelve a intentarlo.",
    not_found: "Eso no existe o ya no existe.",
    conflict: "Eso contradice lo que está guardado. Recarga la página.",
    refused: "Eso no está permitido.",
    content_too_large: "Es demasiado grande.",
    context_length_exceeded: "Es más de lo que este modelo puede leer de una vez. Acórtalo, empieza un chat nuevo o elige un modelo con un contexto más largo.",
    invalid_request: "El servidor no puede aceptar esta petición.",
    invalid_value: "El servidor no puede aceptar este valor.",
    unsupported_parameter: "Eso no es posible aquí.",
    model_not_found: "Ese modelo no está aquí. Elige otro.",
    rate_limit_exceeded: "Demasiadas peticiones en poco tiempo. Espera un poco y vuelve a intentarlo.",
    insufficient_quota: "Se ha agotado la cuota de hoy.",
    engine_busy: "Ya esperan demasiadas peticiones. Inténtalo de nuevo en un momento.",
    engine_crashed: "El modelo se cerró de golpe. Se está reiniciando; inténtalo de nuevo.",
    engine_error: "La respuesta falló.",
    model_too_large: "Este modelo no cabe en la memoria. Elige uno más pequeño.",
    server_stopping: "El servidor se está deteniendo.",
    disk_full: "El disco del servidor está lleno.",
    hub_error: "No se pudo obtener el modelo.",
    sources_unreachable: "No se pudo obtener el modelo: ninguna fuente respondió.",
    hash_mismatch: "Lo que llegó no es el modelo esperado. Se ha eliminado.",
    model_file_error: "Este archivo de modelo no sirve.",
    store_error: "No se pudo usar la base de datos.",
    store_unavailable: "La base de datos no responde en este momento. Lo guardado está a salvo; inténtalo de nuevo enseguida.",
    internal_error: "Se produjo un error en el servidor.",
  },
};
export default words;

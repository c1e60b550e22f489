/** French: what the server's error codes mean. */

import type en from "../en/errors";

const words: typeof en = {
  codes: {
    not_signed_in: "Vous n’êtes pas connecté.",
    wrong_password: "Le nom et le mot de passe ne correspondent pas.",
    wrong_own_password: "Le mot de passe est incorrect.",
    wrong_code: "Le code n’est pas correct ou a déjà servi.",
    wrong_passkey: "Cette clé d’accès n’a pas montré que c’est vous. Réessayez, ou connectez-vous autrement.",
    second_factor_setup_required: "Ici, tout le monde a besoin d’un second facteur.",
    second_factor_required: "Saisissez le code de votre second facteur.",
    provider_error: "Le fournisseur d’identité a échoué.",
    account_disabled: "Ce compte est désactivé. Un propriétaire ou un administrateur peut l’activer.",
    too_many_attempts: "Trop de tentatives. Attendez un peu, puis réessayez.",
    not_found: "Cela n’existe pas ou plus.",
    conflict: "Cela contredit ce qui est enregistré. Rechargez la page.",
    refused: "Ce n’est pas autorisé.",
    content_too_large: "C’est trop volumineux.",
    context_length_exceeded: "C’est plus que ce modèle peut lire à la fois. Raccourcissez le texte, commencez une nouvelle discussion ou choisissez un modèle au contexte plus long.",
    invalid_request: "Le serveur ne peut pas accepter cette requête.",
    invalid_value: "Le serveur ne peut pas accepter cette valeur.",
    unsupported_parameter: "Ce n’est pas possible ici.",
    model_not_found: "Ce modèle n’existe pas ici. Choisissez-en un autre.",
    rate_limit_exceeded: "Trop de requêtes en peu de temps. Attendez un peu, puis réessayez.",
    insufficient_quota: "Le quota du jour est épuisé.",
    engine_busy: "Trop de requêtes attendent déjà. Réessayez dans un instant.",
    engine_crashed: "Le modèle s’est arrêté brutalement. Il redémarre ; réessayez.",
    engine_error: "La réponse a échoué.",
    model_too_large: "Ce modèle ne tient pas en mémoire. Choisissez-en un plus petit.",
    server_stopping: "Le serveur est en train de s’arrêter.",
    disk_full: "Le disque du serveur est plein.",
    hub_error: "Le modèle n’a pas pu être récupéré.",
    sources_unreachable: "Le modèle n’a pas pu être récupéré : aucune source n’a répondu.",
    hash_mismatch: "Ce qui est arrivé n’est pas le modèle attendu. Cela a été supprimé.",
    model_file_error: "Ce fichier de modèle est inutilisable.",
    store_error: "La base de données n’a pas pu être utilisée.",
    store_unavailable: "La base de données ne répond pas pour le moment. Ce qui est enregistré est en sécurité ; réessayez dans un instant.",
    internal_error: "Une erreur est survenue dans le serveur.",
  },
};
export default words;

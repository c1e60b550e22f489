// A real OpenID Connect provider for the tests: it lets in whoever names himself, and prints where it listens.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const KNOWN = {
  ann: { email: "ann@home.example", email_verified: true, groups: ["staff"], role: "admin" },
  eve: { email: "ann@home.example", email_verified: false, groups: [], role: "owner-of-all" },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "myna",
        client_secret: "a secret & of myna's",
        application_type: "native", // any port of this machine
        redirect_uris: ["http://127.0.0.1/sign-in/provider"],
      },
    ],
    claims: {
      openid: ["sub"],
      profile: ["preferred_username"],
      email: ["email", "email_verified"],
      groups: ["groups", "role"],
    },
    scopes: ["openid", "profile", "email", "groups"],
    pkce: { required: () => true },
    cookies: { keys: ["of the tests"] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: `subject of ${id}`, preferred_username: id, ...(KNOWN[id] ?? {}) }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});

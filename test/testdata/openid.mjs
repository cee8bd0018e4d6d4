// A client of the shop's provider by npm's openid-client: it signs somebody in, refreshes, and ends it. It prints where the person has to
// go, and reads where she was led to from its standard input.
//
//   node openid.mjs ISSUER CLIENT SECRET PACKAGES
import { createInterface } from "node:readline/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [issuer, id, secret, packages] = process.argv.slice(2);
const client = await import(pathToFileURL(join(packages, "openid-client/build/index.js")));

const config = await client.discovery(new URL(issuer), id, secret, undefined, { execute: [client.allowInsecureRequests] });
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
console.log(
  client.buildAuthorizationUrl(config, {
    redirect_uri: "https://app.example/callback",
    scope: "openid email offline_access",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
  }).href,
);
const lines = createInterface({ input: process.stdin });
const [line] = await new Promise((resolve) => lines.once("line", (text) => resolve([text])));
lines.close();

const check = (holds, what) => {
  if (!holds) throw new Error(what);
};
const tokens = await client.authorizationCodeGrant(config, new URL(line), {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  idTokenExpected: true,
});
const { sub } = tokens.claims();
const person = await client.fetchUserInfo(config, tokens.access_token, sub);
check(person.email === "jane@example.com", `userinfo: ${JSON.stringify(person)}`);
const next = await client.refreshTokenGrant(config, tokens.refresh_token);
check(next.refresh_token !== tokens.refresh_token, "the refresh token is the same as before");
check((await client.tokenIntrospection(config, next.access_token)).active === true, "the access token is not active");
await client.tokenRevocation(config, next.refresh_token);
check((await client.tokenIntrospection(config, next.access_token)).active === false, "the access token is active after the end");
let refused;
try {
  await client.refreshTokenGrant(config, next.refresh_token);
} catch (error) {
  refused = error.error;
}
check(refused === "invalid_grant", `after the end a refresh is answered with ${refused}`);
console.log(sub);

//! One `[auth.NAME]`: where its tokens come, what they are verified with, and the tickets that stand for them.
//!
//! Owns: joining carriers, keys, rules and tickets. Never: answers, or shows a token.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;

use super::Denied;
use super::carrier::Found;
use super::fault::{Flaw, TokenFault};
use super::jwks::Ring;
use super::jwt::{Claims, Rules, Unverified};
use super::key::{self, KeyError};
use super::key_set::KeySet;
use super::options::{AuthOptions, Carrier, JwksUrl, KeyOptions};
use super::ticket::Tickets;
use super::{fetch, options};
use crate::admission::{Credential, Renew};
use crate::limits;
use crate::secret::Secret;
use crate::shutdown::{Running, Tasks};
use crate::telemetry::Metrics;
use crate::upstream::Upstreams;

/// All of the process, by name.
#[derive(Debug, Default)]
pub struct Auths {
    all: HashMap<String, Arc<Auth>>,
    tickets: Arc<Tickets>,
}

/// What keeps key sets fresh, for as long as it is kept.
#[derive(Debug, Default)]
pub struct Fetching(Vec<(Arc<Auth>, Running)>);

/// Who is let in by a token.
#[derive(Debug)]
pub struct Auth {
    name: Arc<str>,
    options: AuthOptions,
    from: Arc<[Carrier]>,
    rules: Rules,
    keys: Keys,
    tickets: Arc<Tickets>,
}

/// What signatures are checked with.
#[derive(Debug)]
enum Keys {
    None {
        reason: String,
    },
    /// And the text it was read from, where it was.
    One(DecodingKey, Option<Vec<u8>>),
    Set {
        set: Arc<KeySet>,
        place: Place,
    },
}

/// Where a key set is.
#[derive(Debug)]
enum Place {
    Url(Box<JwksUrl>),
    File(PathBuf),
}

/// Why an auth cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("auth `{auth}`: {}: {error}", path.display())]
    Key { auth: String, path: PathBuf, error: KeyError },
    #[error("auth `{auth}`: {}: {reason}", path.display())]
    Set { auth: String, path: PathBuf, reason: String },
}

impl Auths {
    /// Reads keys; key sets that are at a URL are fetched later.
    ///
    /// # Errors
    /// If a key cannot be had, or fits none of the algorithms.
    pub fn try_new(options: &[AuthOptions], metrics: &Metrics) -> Result<Auths, AuthError> {
        Auths::after(&Auths::default(), options, metrics)
    }

    /// As another config has them: those that are still the same stay, with their keys. Nothing of `before` changes.
    ///
    /// # Errors
    /// As [`Auths::try_new`].
    pub fn after(before: &Auths, options: &[AuthOptions], metrics: &Metrics) -> Result<Auths, AuthError> {
        let tickets = Arc::clone(&before.tickets);
        let auth = |options: &AuthOptions| {
            let same = before.all.get(&options.name).filter(|auth| auth.is_as(options)).map(Arc::clone);
            let make = || Auth::try_new(options, metrics, Arc::clone(&tickets)).map(Arc::new);
            Ok((options.name.clone(), same.map_or_else(make, Ok)?))
        };
        let all = options.iter().map(auth).collect::<Result<_, _>>()?;
        Ok(Auths { all, tickets })
    }

    /// These are in use now in place of `before`: the tickets of those that changed are good no more.
    pub fn replace(&self, before: &Auths) {
        for (name, auth) in &before.all {
            if !self.all.get(name).is_some_and(|now| Arc::ptr_eq(now, auth)) {
                self.tickets.forget(name);
            }
        }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Auth>> {
        self.all.get(name).map(Arc::clone)
    }

    /// Fetches key sets, again and again, in the background of this thread, and no longer those of others.
    pub fn run(&self, fetching: &mut Fetching, tasks: &Tasks, upstreams: &Upstreams) {
        fetching.0.retain(|(auth, _)| self.all.values().any(|now| Arc::ptr_eq(now, auth)));
        for auth in self.all.values() {
            let Keys::Set { set, place } = &auth.keys else { continue };
            if fetching.0.iter().any(|(known, _)| Arc::ptr_eq(known, auth)) {
                continue;
            }
            let set = Arc::clone(set);
            let running = match place {
                Place::File(path) => {
                    let path = path.clone();
                    tasks.spawn_running(async move { set.keep(async || fetch::from_file(path.clone()).await).await })
                }
                Place::Url(url) => {
                    let (url, upstream) = (url.clone(), upstreams.get(&url.upstream.name).map(Rc::clone));
                    tasks.spawn_running(async move {
                        let fetch = async || match &upstream {
                            Some(upstream) => fetch::from_url(upstream, &url).await,
                            None => Err("there is no such upstream".to_owned()),
                        };
                        set.keep(fetch).await;
                    })
                }
            };
            fetching.0.push((Arc::clone(auth), running));
        }
    }
}

impl Auth {
    fn try_new(options: &AuthOptions, metrics: &Metrics, tickets: Arc<Tickets>) -> Result<Auth, AuthError> {
        let name: Arc<str> = options.name.as_str().into();
        let mut algorithms = options.algorithms.clone();
        let keys = match &options.key {
            KeyOptions::Secret(secret) => Keys::One(DecodingKey::from_secret(secret.reveal().as_bytes()), None),
            KeyOptions::PublicKeyFile(path) => {
                let read = key::read_public(path, &algorithms);
                let unread = |error| AuthError::Key { auth: options.name.clone(), path: path.clone(), error };
                let (key, fitting) = read.map_err(unread)?;
                algorithms = fitting;
                // Read once more: a change in between is found when it is read again.
                Keys::One(key, key::read(path, limits::PEM_SIZE).ok())
            }
            KeyOptions::JwksUrl(url) => {
                let set = KeySet::new(Arc::clone(&name), url.url.clone(), metrics.key_set(&name));
                Keys::Set { set: Arc::new(set), place: Place::Url(Box::new(url.clone())) }
            }
            KeyOptions::JwksFile(path) => {
                let unread = |error| AuthError::Key { auth: options.name.clone(), path: path.clone(), error };
                let text = key::read(path, limits::JWKS_SIZE).map_err(unread)?;
                let shown = path.display().to_string();
                let set = KeySet::try_loaded(Arc::clone(&name), shown, &text, metrics.key_set(&name));
                let none = |reason| AuthError::Set { auth: options.name.clone(), path: path.clone(), reason };
                Keys::Set { set: Arc::new(set.map_err(none)?), place: Place::File(path.clone()) }
            }
            KeyOptions::Absent { variable } => Keys::None { reason: format!("{variable} is not set") },
        };
        let rules = Rules::new(Arc::clone(&name), options, algorithms);
        Ok(Auth { name, options: options.clone(), from: options.from.as_slice().into(), rules, keys, tickets })
    }

    /// Whether it would be the same, made with these options now. A key set that is read again by itself is.
    fn is_as(&self, options: &AuthOptions) -> bool {
        let same_key = match (&options.key, &self.keys) {
            (KeyOptions::PublicKeyFile(path), Keys::One(_, Some(text))) => {
                key::read(path, limits::PEM_SIZE).is_ok_and(|now| now == *text)
            }
            (KeyOptions::PublicKeyFile(_), _) => false,
            (
                KeyOptions::Secret(_) | KeyOptions::JwksUrl(_) | KeyOptions::JwksFile(_) | KeyOptions::Absent { .. },
                _,
            ) => true,
        };
        self.options == *options && same_key
    }

    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The parameter of a URL's query in which a token may stand.
    pub(super) fn query(&self) -> Option<&str> {
        self.from.iter().find_map(|carrier| match carrier {
            Carrier::Query(name) => Some(name.as_str()),
            Carrier::Header | Carrier::Subprotocol | Carrier::Cookie(_) | Carrier::Ticket => None,
        })
    }

    /// What came with the request; the first carrier present decides.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn find(&self, request: &Parts) -> Result<Found, Denied> {
        self.look(request, true)
    }

    /// The same, but no ticket: one cannot be had for another.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn find_token(&self, request: &Parts) -> Result<Found, Denied> {
        self.look(request, false)
    }

    fn look(&self, request: &Parts, tickets: bool) -> Result<Found, Denied> {
        let missing = || TokenFault::Missing { auth: Arc::clone(&self.name) }.into();
        Found::look(&self.from, request, tickets).ok_or_else(missing)
    }

    /// Whose token it is. A ticket is used up. Waits only where the token's key is not known, for one fetch of the key set.
    ///
    /// # Errors
    /// If it is not good.
    pub async fn verify(&self, found: &Found, now: Timestamp) -> Result<Credential, Denied> {
        let token = found.token.as_ref().map_err(|bytes| self.bad(Flaw::TooLong(*bytes)))?;
        if found.is_ticket {
            let credential = self.tickets.take(token.reveal(), &self.name, now);
            return Ok(credential.ok_or_else(|| self.bad(Flaw::Ticket))?);
        }
        let unverified = self.rules.read(token.reveal()).map_err(|flaw| self.bad(flaw))?;
        let claims = match (self.claims(&unverified), &self.keys) {
            (Err(fault), Keys::Set { set, .. }) if may_be_cured(&fault) => {
                let newer = set.wait(|ring| with_ring(&unverified, ring).ok()).await;
                // What is wrong now may be another thing than it was.
                newer.map_or_else(|| self.claims(&unverified), Ok)
            }
            (claims, _) => claims,
        }?;
        Ok(self.credential(Arc::clone(token), &claims, now)?)
    }

    /// What a token says that was signed with a key that is known now.
    fn claims(&self, unverified: &Unverified<'_>) -> Result<Claims, TokenFault> {
        match &self.keys {
            Keys::None { reason } => Err(self.no_keys(reason.clone())),
            Keys::One(key, _) => unverified.verify(key).map_err(|flaw| self.bad(flaw)),
            Keys::Set { set, .. } => match set.ring() {
                Some(ring) => with_ring(unverified, &ring).map_err(|flaw| self.bad(flaw)),
                None => Err(self.no_keys(set.failure())),
            },
        }
    }

    fn credential(&self, token: Arc<Secret>, claims: &Claims, now: Timestamp) -> Result<Credential, TokenFault> {
        let judged = self.rules.judge(claims, now)?;
        Ok(Credential { auth: Arc::clone(&self.name), subject: judged.subject, token, expires: judged.expires })
    }

    fn no_keys(&self, reason: String) -> TokenFault {
        TokenFault::NoKeys { auth: Arc::clone(&self.name), reason }
    }

    fn bad(&self, flaw: Flaw) -> TokenFault {
        TokenFault::Bad { auth: Arc::clone(&self.name), flaw }
    }
}

/// With each key that it may have been signed with.
fn with_ring(unverified: &Unverified<'_>, ring: &Ring) -> Result<Claims, Flaw> {
    let mut last = Flaw::NoKey;
    for key in ring.fitting(unverified.kid.as_deref(), unverified.algorithm)? {
        match unverified.verify(key) {
            Ok(claims) => return Ok(claims),
            Err(flaw) => last = flaw,
        }
    }
    Err(last)
}

/// Whether a newer key set may tell otherwise.
fn may_be_cured(fault: &TokenFault) -> bool {
    matches!(fault, TokenFault::NoKeys { .. } | TokenFault::Bad { flaw: Flaw::UnknownKey(_) | Flaw::NoKey, .. })
}

impl Renew for Auth {
    /// Keys that are known now have to do: an unknown one is fetched meanwhile.
    fn renew(&self, token: &str, now: Timestamp) -> Result<Credential, String> {
        let renewed = self.rules.read(token).map_err(|flaw| self.bad(flaw)).and_then(|unverified| {
            let claims = self.claims(&unverified)?;
            self.credential(Arc::new(Secret::new(token.to_owned())), &claims, now)
        });
        if let (Err(fault), Keys::Set { set, .. }) = (&renewed, &self.keys)
            && may_be_cured(fault)
        {
            set.nudge();
        }
        renewed.map_err(|fault| {
            tracing::debug!(auth = %self.name, why = fault.why(), "a newer token was refused");
            fault.to_string()
        })
    }

    fn ticket(&self, credential: &Credential, now: Timestamp) -> Option<Secret> {
        self.tickets.give(credential, now)
    }
}

impl options::AuthOptions {
    /// The upstream that its key set is fetched from.
    #[must_use]
    pub fn upstream(&self) -> Option<&crate::upstream::Options> {
        match &self.key {
            KeyOptions::JwksUrl(url) => Some(&url.upstream),
            KeyOptions::Secret(_)
            | KeyOptions::PublicKeyFile(_)
            | KeyOptions::JwksFile(_)
            | KeyOptions::Absent { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm as Jwa, EncodingKey};
    use serde_json::{Value, json};

    use super::*;
    use crate::guard::options::Algorithm;
    use crate::guard::testing::{
        ED25519, NOW, P256, P384, PAIRS, Pair, RSA, SECRET, auth, claims, file, good, hs256, now, options, p256, part,
        raw, refusal, request, shows_no_token, signed, verify, with_secret,
    };

    fn with_public(pair: &Pair) -> Arc<Auth> {
        let pem = file(&pair.public_pem);
        auth(options(KeyOptions::PublicKeyFile(pem.path().to_owned()), &PAIRS))
    }

    fn with_set(keys: Value) -> Arc<Auth> {
        let set = file(&json!({ "keys": keys }).to_string());
        auth(options(KeyOptions::JwksFile(set.path().to_owned()), &PAIRS))
    }

    fn secret() -> EncodingKey {
        EncodingKey::from_secret(SECRET.as_bytes())
    }

    /// A token that the auth with the secret must refuse, and why.
    async fn check(token: &str, expected: &str) {
        assert_eq!(refusal(&auth(with_secret()), token).await, (401, expected.to_owned()));
    }

    #[tokio::test]
    async fn a_good_token_gives_its_credential() {
        let token = hs256(&good());
        let credential = verify(&auth(with_secret()), &token).await.unwrap();
        assert_eq!((&*credential.auth, &*credential.subject), ("viewers", "ann"));
        assert_eq!((credential.token.reveal(), credential.expires.as_second()), (token.as_str(), NOW + 3600));
        assert!(!format!("{credential:?}").contains(&token));
    }

    #[tokio::test]
    async fn every_algorithm_is_verified_with_its_own_key() {
        for (pair, jwas) in [
            (&*RSA, vec![Jwa::RS256, Jwa::RS384, Jwa::RS512, Jwa::PS256, Jwa::PS384, Jwa::PS512]),
            (&*P256, vec![Jwa::ES256]),
            (&*P384, vec![Jwa::ES384]),
            (&*ED25519, vec![Jwa::EdDSA]),
        ] {
            let (from_pem, from_set) = (with_public(pair), with_set(json!([pair.jwk(json!({}))])));
            for jwa in jwas {
                let token = signed(&json!({ "alg": format!("{jwa:?}") }), &good(), &pair.private, jwa);
                assert!(verify(&from_pem, &token).await.is_ok(), "{jwa:?}");
                assert!(verify(&from_set, &token).await.is_ok(), "{jwa:?}");
            }
        }
        for jwa in [Jwa::HS256, Jwa::HS384, Jwa::HS512] {
            let token = signed(&json!({ "alg": format!("{jwa:?}") }), &good(), &secret(), jwa);
            assert!(verify(&auth(with_secret()), &token).await.is_ok(), "{jwa:?}");
        }
    }

    #[tokio::test]
    async fn a_certificate_will_do_for_its_public_key() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["id.test".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let pem = file(&certificate.pem());
        let auth = auth(options(KeyOptions::PublicKeyFile(pem.path().to_owned()), &PAIRS));
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let token = signed(&json!({ "alg": "ES256" }), &good(), &key, Jwa::ES256);
        assert!(verify(&auth, &token).await.is_ok());
    }

    #[tokio::test]
    async fn an_expired_token_is_refused() {
        check(&hs256(&claims(json!({ "exp": NOW - 180 }))), "it expired 3m ago").await;
    }

    #[tokio::test]
    async fn a_token_that_is_not_good_yet_is_refused() {
        check(&hs256(&claims(json!({ "nbf": NOW + 60 }))), "it is good only in 1m (`nbf`)").await;
    }

    #[tokio::test]
    async fn a_token_for_another_audience_is_refused() {
        let auth = auth(AuthOptions { audience: Some("dash".to_owned()), ..with_secret() });
        let (status, why) = refusal(&auth, &hs256(&claims(json!({ "aud": "mail" })))).await;
        assert_eq!((status, why.as_str()), (401, r#"its audience is "mail", which is not the auth's `audience`"#));
    }

    #[tokio::test]
    async fn a_token_of_another_key_is_refused() {
        let key = EncodingKey::from_secret(b"another secret of at least 32 bytes");
        let token = signed(&json!({ "alg": "HS256" }), &good(), &key, Jwa::HS256);
        check(&token, "its signature is not of this auth's key").await;
        let (status, _) = refusal(&with_public(&P256), &p256().token(None)).await;
        assert_eq!(status, 401);
    }

    #[tokio::test]
    async fn a_valid_token_of_another_routes_auth_is_refused() {
        let other = AuthOptions { key: KeyOptions::Secret(Secret::new("e".repeat(32))), ..with_secret() };
        let token = hs256(&good());
        assert!(verify(&auth(with_secret()), &token).await.is_ok());
        assert_eq!(refusal(&auth(other), &token).await.1, "its signature is not of this auth's key");
    }

    #[tokio::test]
    async fn a_token_that_is_signed_with_none_is_refused() {
        for name in ["none", "None", "NONE", "nOnE", ""] {
            let unsigned = format!("{}.{}.", part(json!({ "alg": name }).to_string()), part(good().to_string()));
            let why = format!("it is signed with {name:?}, which `algorithms` does not name");
            check(&unsigned, &why).await;
            check(&signed(&json!({ "alg": name }), &good(), &secret(), Jwa::HS256), &why).await;
        }
        check(
            &signed(&json!({ "typ": "JWT" }), &good(), &secret(), Jwa::HS256),
            "its header is no JSON object of the right kind",
        )
        .await;
    }

    #[tokio::test]
    async fn a_token_signed_with_the_rsa_public_key_as_a_secret_is_refused() {
        let (from_pem, from_set) = (with_public(&RSA), with_set(json!([RSA.jwk(json!({}))])));
        for material in [RSA.public_pem.as_bytes(), RSA.public_pem.trim_end().as_bytes()] {
            let token = signed(&json!({ "alg": "HS256" }), &good(), &EncodingKey::from_secret(material), Jwa::HS256);
            for auth in [&from_pem, &from_set] {
                let why = r#"it is signed with "HS256", which `algorithms` does not name"#;
                assert_eq!(refusal(auth, &token).await, (401, why.to_owned()));
            }
        }
        // And where the config lists both by mistake: the key's own family decides.
        let pem = file(&RSA.public_pem);
        let both = options(KeyOptions::PublicKeyFile(pem.path().to_owned()), &[Algorithm::Rs256, Algorithm::Hs256]);
        let key = EncodingKey::from_secret(RSA.public_pem.as_bytes());
        let token = signed(&json!({ "alg": "HS256" }), &good(), &key, Jwa::HS256);
        assert_eq!(refusal(&auth(both), &token).await.0, 401);
    }

    #[tokio::test]
    async fn an_algorithm_of_the_family_that_is_not_listed_is_refused() {
        let auth = auth(AuthOptions { algorithms: vec![Algorithm::Hs512], ..with_secret() });
        let (_, why) = refusal(&auth, &hs256(&good())).await;
        assert_eq!(why, r#"it is signed with "HS256", which `algorithms` does not name"#);
    }

    #[tokio::test]
    async fn a_token_with_an_unknown_kid_is_refused() {
        let auth = with_set(json!([P256.jwk(json!({ "kid": "one" }))]));
        assert!(verify(&auth, &P256.token(Some("one"))).await.is_ok());
        tokio::time::pause();
        let (status, why) = refusal(&auth, &P256.token(Some("two"))).await;
        assert_eq!((status, why.as_str()), (401, r#"the key set has no key "two" (`kid`) for its algorithm"#));
    }

    #[tokio::test]
    async fn a_kid_is_of_no_account_where_there_is_one_key() {
        assert!(verify(&with_public(&P256), &P256.token(Some("whatever"))).await.is_ok());
        assert!(verify(&with_set(json!([P256.jwk(json!({ "kid": "one" }))])), &P256.token(None)).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_64_kib_long_is_refused_unread() {
        let long = hs256(&claims(json!({ "more": "x".repeat(48 * 1024) })));
        assert!(long.len() > 64 * 1024);
        check(&long, &format!("it is {} bytes long, of 8192 that it may be", long.len())).await;
        let size = |more: usize| hs256(&claims(json!({ "more": "x".repeat(more) })));
        let largest = (6000..).take_while(|more| size(*more).len() <= limits::TOKEN_SIZE).last().unwrap();
        assert!(size(largest).len() > limits::TOKEN_SIZE - 2);
        assert!(verify(&auth(with_secret()), &size(largest)).await.is_ok());
        assert!(verify(&auth(with_secret()), &size(largest + 1)).await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_base64_or_has_not_three_parts_is_refused() {
        let (header, payload) = (part(r#"{"alg":"HS256"}"#), part(good().to_string()));
        let whole = raw(&header, &payload, &secret(), Jwa::HS256);
        check("nonsense", "it is no JWT: it has not three parts with dots between them").await;
        check("", "it is no JWT: it has not three parts with dots between them").await;
        check(&format!("{whole}.x"), "it is no JWT: it has not three parts with dots between them").await;
        check(&format!("{header}.{payload}"), "it is no JWT: it has not three parts with dots between them").await;
        check(&format!("!{whole}"), "its header is not base64url").await;
        check(&format!("{header}=.{payload}.x"), "its header is not base64url").await;
        check(&format!("{whole}="), "its signature is not base64url").await;
        check(&format!("{header}.{payload}."), "its signature is not of this auth's key").await;
        check(&raw(&header, "a!", &secret(), Jwa::HS256), "its payload is not base64url").await;
        for text in ["", "null", "[]", "7", "{", r#"["HS256"]"#] {
            check(&raw(&part(text), &payload, &secret(), Jwa::HS256), "its header is no JSON object of the right kind")
                .await;
            check(&raw(&header, &part(text), &secret(), Jwa::HS256), "its payload is no JSON object of the right kind")
                .await;
        }
    }

    #[tokio::test]
    async fn a_token_that_asks_for_an_extension_is_refused() {
        for crit in [json!(["b64"]), json!([]), json!(null), json!("exp")] {
            let token = signed(&json!({ "alg": "HS256", "crit": crit, "b64": false }), &good(), &secret(), Jwa::HS256);
            check(&token, "its header asks for an extension (`crit`), and none is known here").await;
        }
    }

    #[tokio::test]
    async fn of_two_tokens_that_differ_the_first_carrier_decides() {
        let (auth, token, bad) = (auth(with_secret()), hs256(&good()), hs256(&claims(json!({ "exp": 1 }))));
        let both = |header: &str, query: &str| {
            request(&format!("/ws?token={query}"), &[("authorization", &format!("Bearer {header}"))])
        };
        let good_first = both(&token, &bad);
        let credential = auth.verify(&auth.find(&good_first).unwrap(), now()).await.unwrap();
        assert_eq!(credential.token.reveal(), token);
        let bad_first = both(&bad, &token);
        assert!(auth.verify(&auth.find(&bad_first).unwrap(), now()).await.is_err());
    }

    #[tokio::test]
    async fn no_token_is_401_and_a_short_sentence() {
        let Err(Denied::Token(fault)) = auth(with_secret()).find(&request("/ws", &[])) else { panic!("found") };
        assert_eq!(
            (fault.status().as_u16(), fault.reason(), fault.to_string().as_str()),
            (401, "no_token", "this needs a token")
        );
    }

    #[tokio::test]
    async fn a_ticket_lets_in_once_whom_it_was_given_and_is_none_for_another() {
        let auth = auth(with_secret());
        let credential = verify(&auth, &hs256(&good())).await.unwrap();
        let ticket = auth.ticket(&credential, now()).unwrap();
        let uri = format!("/ws?ticket={}", ticket.reveal());
        assert!(auth.find_token(&request(&uri, &[])).is_err());
        let found = auth.find(&request(&uri, &[])).unwrap();
        assert_eq!(auth.verify(&found, now()).await, Ok(credential));
        let Err(Denied::Token(fault)) = auth.verify(&found, now()).await else { panic!("let in twice") };
        assert_eq!(
            (fault.status().as_u16(), fault.to_string().as_str()),
            (401, "the ticket is not good, or not any more")
        );
        shows_no_token(&fault, ticket.reveal());
    }

    #[tokio::test]
    async fn a_newer_token_renews_and_a_bad_one_says_why_in_a_sentence() {
        let auth = auth(with_secret());
        let (older, newer) = (hs256(&good()), hs256(&claims(json!({ "exp": NOW + 7200 }))));
        let (older, newer) = (auth.renew(&older, now()).unwrap(), auth.renew(&newer, now()).unwrap());
        assert!(older.may_be_replaced_by(&newer) && older.expires < newer.expires);
        let bob = auth.renew(&hs256(&claims(json!({ "sub": "bob" }))), now()).unwrap();
        assert!(!older.may_be_replaced_by(&bob));
        assert!(!older.may_be_replaced_by(&Credential { auth: "editors".into(), ..newer }));
        assert_eq!(auth.renew(&hs256(&claims(json!({ "exp": 1 }))), now()), Err("the token has expired".to_owned()));
        assert_eq!(auth.renew("x", now()), Err("the token is not good here".to_owned()));
    }

    #[tokio::test]
    async fn keys_that_cannot_be_had_say_where_and_why() {
        let public = |text: &str, algorithms: &[Algorithm]| {
            let pem = file(text);
            let options = options(KeyOptions::PublicKeyFile(pem.path().to_owned()), algorithms);
            let error = Auths::try_new(&[options], &Metrics::new()).unwrap_err().to_string();
            error.replace(pem.path().to_str().unwrap(), "FILE")
        };
        let none = "auth `viewers`: FILE: it holds no public key or certificate in PEM that fits the algorithms";
        let private = "auth `viewers`: FILE: it holds a private key; write the public key, which alone belongs here";
        assert_eq!(public(&RSA.private_pem, &PAIRS), private);
        assert_eq!(public(&RSA.public_pem, &[Algorithm::Es256]), none);
        assert_eq!(public(&P384.public_pem, &[Algorithm::Es256]), none);
        assert_eq!(public("", &PAIRS), none);
        assert_eq!(public("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &PAIRS), none);
        assert_eq!(
            public(&" ".repeat(limits::PEM_SIZE + 1), &PAIRS),
            "auth `viewers`: FILE: it is larger than 256 KiB"
        );
        let missing = options(KeyOptions::JwksFile("/nowhere/keys.json".into()), &PAIRS);
        let error = Auths::try_new(&[missing], &Metrics::new()).unwrap_err().to_string();
        assert!(error.starts_with("auth `viewers`: /nowhere/keys.json: it cannot be read: "), "{error}");
    }

    #[tokio::test]
    async fn without_a_secret_nobody_can_be_judged() {
        let unset = AuthOptions { key: KeyOptions::Absent { variable: "JWT_SECRET".to_owned() }, ..with_secret() };
        let why = "tokens cannot be judged, since there is no key: JWT_SECRET is not set";
        assert_eq!(refusal(&auth(unset), &hs256(&good())).await, (503, why.to_owned()));
    }
}

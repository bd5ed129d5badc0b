//! One token (JWS compact, RFC 7515; JWT, RFC 7519): taken apart, its signature checked, its claims judged.
//!
//! Owns: the order: size, form, algorithm, extensions, then a key, then claims. Never: lets the token choose what it is
//! verified with, reads the clock, or touches a key before the algorithm was found in the auth's list.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::{Echo, Flaw, TokenFault};
use super::options::{Algorithm, AuthOptions};
use crate::limits;

/// What a good token has to say.
#[derive(Debug)]
pub(super) struct Rules {
    auth: Arc<str>,
    algorithms: Vec<Algorithm>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway: SignedDuration,
    require: Vec<(String, Value)>,
}

/// A token whose form is right, and which nobody vouches for yet.
pub(super) struct Unverified<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// Header and payload, which are signed.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What a signed token says.
pub(super) struct Claims(Map<String, Value>);

/// Whose token it is, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) subject: Arc<str>,
    pub(super) expires: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Anything at all, `null` too.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl Rules {
    /// Of the algorithms those that fit the key.
    pub(super) fn new(auth: Arc<str>, options: &AuthOptions, algorithms: Vec<Algorithm>) -> Rules {
        Rules {
            auth,
            algorithms,
            issuer: options.issuer.clone(),
            audience: options.audience.clone(),
            leeway: SignedDuration::try_from(options.leeway).unwrap_or(SignedDuration::MAX),
            require: options.require.clone(),
        }
    }

    /// Takes a token apart.
    ///
    /// # Errors
    /// If it is too long, has not the form of one, or asks for what we don't do.
    pub(super) fn read<'a>(&self, token: &'a str) -> Result<Unverified<'a>, Flaw> {
        if token.len() > limits::TOKEN_SIZE {
            return Err(Flaw::TooLong(token.len()));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Flaw::NotThreeParts)?;
        let (header, payload) = message.split_once('.').ok_or(Flaw::NotThreeParts)?;
        if payload.contains('.') {
            return Err(Flaw::NotThreeParts);
        }
        let header: Header = parse("header", header)?;
        let named = Algorithm::named(&header.alg).filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = named.ok_or_else(|| Flaw::Algorithm(Echo::new(&header.alg)))?;
        if header.crit {
            return Err(Flaw::Critical);
        }
        Ok(Unverified { algorithm, kid: header.kid, message, payload, signature })
    }

    /// Judges what a token says, whose signature is good.
    ///
    /// # Errors
    /// The first claim that is not as it has to be.
    pub(super) fn judge(&self, Claims(claims): &Claims, now: Timestamp) -> Result<Judged, TokenFault> {
        let bad = |flaw| TokenFault::Bad { auth: Arc::clone(&self.auth), flaw };
        let expires = self.time(claims, now).map_err(bad)?;
        self.parties(claims).map_err(bad)?;
        let subject = subject(claims.get("sub")).map_err(bad)?;
        for (name, wanted) in &self.require {
            let has = claims.get(name);
            if !has.is_some_and(|has| meets(has, wanted)) {
                let has = has.map(|has| Echo::new(&has.to_string()).to_string());
                return Err(TokenFault::Claim { auth: Arc::clone(&self.auth), name: name.clone(), has });
            }
        }
        Ok(Judged { subject, expires })
    }

    /// Until when it is good: its `exp`; for one that gets in by its leeway alone, the leeway's end.
    fn time(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, Flaw> {
        let exp = claims.get("exp").and_then(numeric_date).ok_or(Flaw::Malformed("exp"))?;
        let last = exp.checked_add(self.leeway).unwrap_or(Timestamp::MAX);
        if now >= last {
            return Err(Flaw::Expired { ago: between(exp, now) });
        }
        if let Some(nbf) = claims.get("nbf") {
            let nbf = numeric_date(nbf).ok_or(Flaw::Malformed("nbf"))?;
            if now < nbf.checked_sub(self.leeway).unwrap_or(Timestamp::MIN) {
                return Err(Flaw::NotYet { left: between(now, nbf) });
            }
        }
        Ok(if now < exp { exp } else { last })
    }

    /// From whom and for whom it has to be.
    fn parties(&self, claims: &Map<String, Value>) -> Result<(), Flaw> {
        let said = |claim: Option<&Value>| claim.map(|claim| Echo::new(claim.as_str().unwrap_or(&claim.to_string())));
        let (iss, aud) = (claims.get("iss"), claims.get("aud"));
        if let Some(issuer) = &self.issuer
            && iss.and_then(Value::as_str) != Some(issuer)
        {
            return Err(Flaw::Issuer(said(iss)));
        }
        if let Some(audience) = &self.audience
            && !aud.is_some_and(|aud| meets(aud, &Value::String(audience.clone())))
        {
            return Err(Flaw::Audience(said(aud)));
        }
        Ok(())
    }
}

impl Unverified<'_> {
    /// What it says, if it was signed with this key.
    ///
    /// # Errors
    /// If it was not, or says nothing that can be read.
    pub(super) fn verify(&self, key: &DecodingKey) -> Result<Claims, Flaw> {
        if URL_SAFE_NO_PAD.decode(self.signature).is_err() {
            return Err(Flaw::NotBase64("signature"));
        }
        // A key of another family is an error here, and as good as a wrong one.
        match crypto::verify(self.signature, self.message.as_bytes(), key, self.algorithm.jwa()) {
            Ok(true) => parse("payload", self.payload).map(Claims),
            Ok(false) | Err(_) => Err(Flaw::Signature),
        }
    }
}

/// A part that is JSON; nothing else than an object, since no caller asks for less.
fn parse<T: serde::de::DeserializeOwned>(part: &'static str, text: &str) -> Result<T, Flaw> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Flaw::NotBase64(part))?;
    // A sequence would pass for a struct.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Flaw::NotJson(part));
    }
    serde_json::from_slice(&bytes).map_err(|_| Flaw::NotJson(part))
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519, section 2), which is dropped; beyond what a clock shows is its end.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    // The cast saturates.
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))?;
    Timestamp::from_second(seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second())).ok()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    let seconds = to.as_second().saturating_sub(from.as_second());
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// A text; some issuers write a number, which stands for its digits. Absent it is empty.
fn subject(sub: Option<&Value>) -> Result<Arc<str>, Flaw> {
    match sub {
        None => Ok(Arc::default()),
        Some(Value::String(text)) => Ok(text.as_str().into()),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string().into()),
        Some(Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Flaw::Malformed("sub"))
        }
    }
}

/// Equal, or among the members of an array.
fn meets(has: &Value, wanted: &Value) -> bool {
    has == wanted || has.as_array().is_some_and(|members| members.contains(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guard::options::{AuthOptions, KeyOptions};
    use crate::guard::testing::{NOW, claims, good, now, with_secret};
    use crate::secret::Secret;

    fn rules(options: &AuthOptions) -> Rules {
        Rules::new("viewers".into(), options, options.algorithms.clone())
    }

    fn judge(options: &AuthOptions, claims: &Value) -> Result<Judged, TokenFault> {
        rules(options).judge(&Claims(claims.as_object().unwrap().clone()), now())
    }

    #[track_caller]
    fn refused(options: &AuthOptions, changed: Value, expected: &str) {
        let fault = judge(options, &claims(changed.clone())).expect_err(&changed.to_string());
        assert_eq!(fault.why(), expected, "{changed}");
    }

    #[track_caller]
    fn admitted(options: &AuthOptions, changed: Value) -> Judged {
        judge(options, &claims(changed.clone())).unwrap_or_else(|fault| panic!("{changed}: {}", fault.why()))
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_example_of_rfc_7515_a_1_is_verified() {
        const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        const KEY: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = DecodingKey::from_secret(&URL_SAFE_NO_PAD.decode(KEY).unwrap());
        let rules = rules(&with_secret());
        let claims = rules.read(TOKEN).unwrap().verify(&key).unwrap();
        assert_eq!(claims.0["iss"], "joe");
        assert_eq!(rules.judge(&claims, second(1_300_819_379)).unwrap().expires, second(1_300_819_380));
        assert!(rules.judge(&claims, second(1_300_819_410)).is_err());
        let other = DecodingKey::from_secret(b"another");
        assert_eq!(rules.read(TOKEN).unwrap().verify(&other).err(), Some(Flaw::Signature));
    }

    #[test]
    fn the_example_of_rfc_7515_a_3_is_verified() {
        const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let key = DecodingKey::from_ec_components(x, y).unwrap();
        let options = AuthOptions { algorithms: vec![Algorithm::Es256], ..with_secret() };
        assert_eq!(rules(&options).read(TOKEN).unwrap().verify(&key).unwrap().0["iss"], "joe");
    }

    #[test]
    fn a_token_is_good_until_its_exp_and_gets_in_until_the_leeway_is_over() {
        let options = with_secret();
        assert_eq!(admitted(&options, json!({ "exp": NOW + 5 })).expires, second(NOW + 5));
        assert_eq!(admitted(&options, json!({ "exp": NOW })).expires, second(NOW + 30));
        assert_eq!(admitted(&options, json!({ "exp": NOW - 29 })).expires, second(NOW + 1));
        assert_eq!(admitted(&options, json!({ "exp": NOW as f64 + 1.5 })).expires, second(NOW + 1));
        for end_of_time in [json!(1e300), json!(i64::MAX), json!(u64::MAX)] {
            let last = second(Timestamp::MAX.as_second());
            assert_eq!(admitted(&options, json!({ "exp": end_of_time })).expires, last);
        }
        refused(&options, json!({ "exp": NOW - 30 }), "it expired 30s ago");
        refused(&options, json!({ "exp": NOW - 192 }), "it expired 3m 12s ago");
        refused(&options, json!({ "exp": 0 }), "it expired 472222h 13m 20s ago");
    }

    #[test]
    fn exp_is_required_and_is_a_number() {
        let options = with_secret();
        for exp in [json!(null), json!("1800000000"), json!([]), json!({}), json!(true)] {
            refused(&options, json!({ "exp": exp }), "the claim `exp` is missing or malformed");
        }
    }

    #[test]
    fn a_token_is_not_good_before_its_nbf() {
        let options = with_secret();
        admitted(&options, json!({ "nbf": NOW + 30 }));
        admitted(&options, json!({ "nbf": NOW - 1000 }));
        refused(&options, json!({ "nbf": NOW + 31 }), "it is good only in 31s (`nbf`)");
        refused(&options, json!({ "nbf": "soon" }), "the claim `nbf` is missing or malformed");
    }

    #[test]
    fn the_audience_is_named_or_among_those_named() {
        let options = AuthOptions { audience: Some("dash".to_owned()), ..with_secret() };
        admitted(&options, json!({ "aud": "dash" }));
        admitted(&options, json!({ "aud": ["other", "dash"] }));
        refused(&options, json!({}), "it has no audience (`aud`)");
        refused(&options, json!({ "aud": "x" }), r#"its audience is "x", which is not the auth's `audience`"#);
        refused(&options, json!({ "aud": ["x"] }), r#"its audience is "[\"x\"]", which is not the auth's `audience`"#);
        admitted(&with_secret(), json!({ "aud": "anyone" }));
    }

    #[test]
    fn the_issuer_is_the_one_and_no_other() {
        let options = AuthOptions { issuer: Some("https://id.test".to_owned()), ..with_secret() };
        admitted(&options, json!({ "iss": "https://id.test" }));
        refused(&options, json!({}), "it has no issuer (`iss`)");
        for issuer in ["https://id.test/", "https://id.test.evil", ""] {
            let expected = format!("its issuer is {issuer:?}, which is not the auth's `issuer`");
            refused(&options, json!({ "iss": issuer }), &expected);
        }
        assert!(judge(&options, &claims(json!({ "iss": ["https://id.test"] }))).is_err());
    }

    #[test]
    fn a_required_claim_is_equal_or_has_it_as_a_member() {
        let require = vec![("role".to_owned(), json!("operator")), ("level".to_owned(), json!(3))];
        let options = AuthOptions { require, ..with_secret() };
        admitted(&options, json!({ "role": "operator", "level": 3 }));
        admitted(&options, json!({ "role": ["viewer", "operator"], "level": [1, 3] }));
        refused(&options, json!({ "level": 3 }), "the token has no claim `role`, which `require` names");
        let other = r#"the claim `role` is "\"viewer\"", which is not what `require` names"#;
        refused(&options, json!({ "role": "viewer", "level": 3 }), other);
        for near in [json!("operators"), json!(["operators"]), json!({ "operator": true }), json!([["operator"]])] {
            let fault = judge(&options, &claims(json!({ "role": near, "level": 3 }))).unwrap_err();
            assert_eq!((fault.status().as_u16(), fault.reason()), (403, "claim"), "{near}");
        }
        assert!(judge(&options, &claims(json!({ "role": "operator", "level": "3" }))).is_err());
    }

    #[test]
    fn the_subject_is_a_text_or_a_whole_number() {
        let options = with_secret();
        assert_eq!(&*admitted(&options, json!({})).subject, "ann");
        assert_eq!(&*admitted(&options, json!({ "sub": null })).subject, "");
        assert_eq!(&*admitted(&options, json!({ "sub": 17 })).subject, "17");
        for sub in [json!(1.5), json!(true), json!(["ann"]), json!({})] {
            refused(&options, json!({ "sub": sub }), "the claim `sub` is missing or malformed");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let options = with_secret();
        assert!(!format!("{options:?} {:?}", rules(&options)).contains("0123456789"));
        assert_eq!(options.key, KeyOptions::Secret(Secret::new("0123456789abcdef0123456789abcdef".to_owned())));
        assert_eq!(good()["sub"], "ann");
    }
}

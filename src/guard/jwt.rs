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

/// Seconds since 1970, perhaps with a fraction (RFC 7519, section 2); beyond what a clock shows is its end.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        return Timestamp::from_second(seconds.clamp(first, last)).ok();
    }
    let millis = value.as_f64()? * 1000.0;
    let (first, last) = (Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
    // The cast saturates.
    Timestamp::from_millisecond((millis as i64).clamp(first, last)).ok()
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

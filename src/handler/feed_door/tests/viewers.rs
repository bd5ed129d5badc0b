//! Any viewers of a split feed, each judged by what it was told.
//!
//! Owns: what a viewer may ask for, and what it may be told then.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{ETAG, IF_NONE_MATCH};
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Bed, CLIENT, LATER};
use crate::admission::Credential;
use crate::feed::Share;
use crate::feed::branch::Forward;
use crate::feed::branches::Ceiling;
use crate::feed::roster::Stay;
use crate::feed::testing::{credential, listed, on_worker, quiet};
use crate::feed::tokens::Visit;
use crate::handler::feed_door::{FeedDoor, Refused, Unplaced};
use crate::handler::{feed_get, feed_sse};

/// A request that leads to a feed.
#[derive(Debug, Clone)]
struct Viewer {
    /// `/x` and `/y` alone, and all below `/p/`.
    route: &'static str,
    /// As it is written, and what it means where that is clear.
    below: (&'static str, Option<&'static str>),
    /// As each is written, and the name and value that it means where it is passed on.
    query: Vec<(&'static str, Option<(&'static str, &'static str)>)>,
    /// `[auth]` and subject.
    user: Option<(&'static str, &'static str)>,
}

const BELOW: [(&str, Option<&str>); 9] = [
    ("", Some("")),
    ("a", Some("a")),
    ("%61", Some("a")),
    ("b", Some("b")),
    ("a/b", Some("a/b")),
    ("a%2Fb", None),
    ("../x", None),
    ("a/..%2Fb", None),
    ("a/..;/b", None),
];

const PAIRS: [(&str, Option<(&str, &str)>); 15] = [
    ("a=1", Some(("a", "1"))),
    ("a=2", Some(("a", "2"))),
    ("%61=1", Some(("a", "1"))),
    ("b=1", Some(("b", "1"))),
    ("b=a%3D1", Some(("b", "a=1"))),
    ("b=1%26a%3D1", Some(("b", "1&a=1"))),
    ("b=1;a=1", Some(("b", "1;a=1"))),
    ("tenant=1", None),
    ("%74enant=1", None),
    ("Tenant[]=1", None),
    ("fields=x", None),
    ("last=3", None),
    ("l%61st=2", None),
    ("ticket=s3cret", None),
    ("", None),
];

impl Viewer {
    fn any() -> impl Strategy<Value = Viewer> {
        let query = prop::collection::vec(select(&PAIRS[..]), 0..4);
        let user = select(vec![None, Some(("v", "")), Some(("v", "ann")), Some(("v", "bob")), Some(("w", "ann"))]);
        (select(vec!["/x", "/y", "/p/"]), select(&BELOW[..]), query, user)
            .prop_map(|(route, below, query, user)| Viewer { route, below, query, user })
    }

    fn is_prefix(&self) -> bool {
        self.route.ends_with('/')
    }

    fn uri(&self) -> Uri {
        let below = if self.is_prefix() { self.below.0 } else { "" };
        let query: Vec<_> = self.query.iter().map(|(raw, _)| *raw).collect();
        format!("{}{below}?{}", self.route, query.join("&")).parse().expect("a URI")
    }

    fn credential(&self, number: usize) -> Option<Credential> {
        let (auth, subject) = self.user?;
        Some(credential(auth, subject, &format!("{auth}/{subject}/{number}"), LATER + number as i64))
    }

    /// What it may be refused for.
    fn refusal(&self, share: Share) -> Option<Refused> {
        match self.user {
            _ if share.path && self.is_prefix() && self.below.1.is_none() => Some(Refused::Path),
            None if share.subject => Some(Refused::Unplaced(Unplaced::NoCredential)),
            Some((_, "")) if share.subject => Some(Refused::Unplaced(Unplaced::NoSubject)),
            None | Some(_) => None,
        }
    }

    /// Asserts that what it was told was said for it.
    fn judge(&self, share: Share, text: &str) {
        let told: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let said = |name: &str| told["data"][name].as_str().expect("a text").to_owned();
        let target = said("target");
        let (path, query) = target.split_once('?').expect("the source's own");
        let below = self.below.1.filter(|below| share.path && self.is_prefix() && !below.is_empty());
        assert_eq!(path, below.map_or("/src".to_owned(), |below| format!("/src/{below}")), "{self:?}");
        let mut expected = BTreeMap::from([("tenant".to_owned(), vec!["0".to_owned()])]);
        for (name, value) in self.query.iter().filter_map(|(_, meaning)| *meaning).filter(|_| share.query) {
            expected.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        assert_eq!(decoded(query), expected, "{self:?} was told {target}");
        if share.path {
            assert!(said("user").contains(&format!("path: Some(\"{}", self.route)), "{self:?}: {text}");
        }
        if let (Some((auth, subject)), true) = (self.user, share.subject) {
            let user = format!("User {{ auth: {auth:?}, subject: {subject:?} }}");
            assert!(said("user").contains(&user), "{user} was told {text}");
            assert!(said("token").starts_with(&format!("{auth}/{subject}/")), "{user} was told {text}");
        }
    }
}

/// The values of each name, in order.
fn decoded(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = |text: &str| {
        let plain = text.replace("%61", "a").replace("%3D", "=").replace("%26", "&").replace("%3B", ";");
        assert!(!plain.contains('%'), "{plain}");
        plain
    };
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').expect("a value");
        found.entry(text(name)).or_default().push(text(value));
    }
    found
}

/// What a plain GET gives: its status, ETag and text.
async fn get(door: &FeedDoor, stay: &Stay, uri: &Uri, known: Option<&str>) -> (StatusCode, String, String) {
    let request = Request::get(uri.path()).header(IF_NONE_MATCH, known.unwrap_or("\"none\""));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let response = feed_get::answer(door, stay.roster(), &parts).await;
    let etag = response.headers().get(ETAG).map_or("", |etag| etag.to_str().unwrap()).to_owned();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, etag, String::from_utf8(body.to_vec()).unwrap())
}

/// The first event's data.
async fn event(door: &FeedDoor, stay: &Stay, uri: &Uri) -> String {
    let (parts, ()) = Request::get(uri.path()).body(()).unwrap().into_parts();
    let mut body = feed_sse::open(door, stay.roster(), &parts, &Rc::default(), listed()).into_body();
    let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(piece.to_vec()).unwrap();
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.len(), 1, "one branch has said one thing: {text}");
    data[0].to_owned()
}

struct Seated<'a> {
    viewer: &'a Viewer,
    door: FeedDoor,
    uri: Uri,
    stay: Stay,
    _visit: Option<Visit>,
}

/// Nobody is ever told what was said for another, through no door and on no worker.
async fn each_is_told_its_own(share: Share, viewers: &[Viewer]) {
    let forward = share.subject.then_some(Forward::Header);
    let bed = Bed::new(2, share, forward, Ceiling::default());
    let mut seated = Vec::new();
    for (number, viewer) in viewers.iter().enumerate() {
        let is_prefix = viewer.is_prefix();
        let door = FeedDoor { is_prefix, ..FeedDoor::at(viewer.route, "f", quiet()) };
        let (uri, credential) = (viewer.uri(), viewer.credential(number));
        match door.enter(&bed.rosters[number % 2], &uri, credential.as_ref(), CLIENT) {
            Ok(stay) => {
                assert_eq!(viewer.refusal(share), None, "{viewer:?}");
                let _visit = credential.and_then(|credential| Visit::pay(stay.roster().feed(), &credential));
                seated.push(Seated { viewer, door, uri, stay, _visit });
            }
            Err(refused) => assert_eq!(viewer.refusal(share), Some(refused), "{viewer:?}"),
        }
    }
    for one in &seated {
        assert_eq!(get(&one.door, &one.stay, &one.uri, None).await.0, StatusCode::NO_CONTENT);
    }
    let _inlets = bed.speak().await;
    let mut etags = Vec::new();
    for one in &seated {
        let (status, etag, text) = get(&one.door, &one.stay, &one.uri, None).await;
        assert_eq!(status, StatusCode::OK);
        one.viewer.judge(share, &text);
        one.viewer.judge(share, &event(&one.door, &one.stay, &one.uri).await);
        etags.push(etag);
    }
    for (one, own) in seated.iter().zip(&etags) {
        for (other, theirs) in seated.iter().zip(&etags) {
            let same = Arc::ptr_eq(one.stay.roster().feed(), other.stay.roster().feed());
            let (status, ..) = get(&one.door, &one.stay, &one.uri, Some(theirs)).await;
            assert_eq!(status == StatusCode::NOT_MODIFIED, same, "{:?} and {:?}", one.viewer, other.viewer);
            assert_eq!(own == theirs, same);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_told_what_is_anothers(
        share in (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(path, query, subject)| Share { path, query, subject })
            .prop_filter("it splits", |share| share.splits()),
        viewers in prop::collection::vec(Viewer::any(), 2..12),
    ) {
        on_worker(each_is_told_its_own(share, &viewers));
    }
}

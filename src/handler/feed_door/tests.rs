//! Tests of which branch a request leads to: above all that no request ever leads to another's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{ETAG, IF_NONE_MATCH};
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

use super::{FeedDoor, Full, Place, Refused, Rosters, Unplaced, below};
use crate::admission::Credential;
use crate::feed::branch::Forward;
use crate::feed::branches::Ceiling;
use crate::feed::hub::{Feed, FeedHub};
use crate::feed::inlet::{Bearer, Inlet, Rank};
use crate::feed::normalize::Incoming;
use crate::feed::roster::Stay;
use crate::feed::testing::{credential, listed, on_worker, plan, quiet};
use crate::feed::tokens::Visit;
use crate::feed::{Options, Share};
use crate::handler::{feed_get, feed_sse};
use crate::limits;
use crate::shutdown::{Stages, Tasks};

/// When all tokens expire.
const LATER: i64 = 32_000_000_000;
const ALL: Share = Share { path: true, query: true, subject: true };

#[track_caller]
fn check_below(path: &str, expected: Option<&str>) {
    assert_eq!(below("/p/", path).as_deref(), expected, "{path}");
}

#[test]
fn what_is_below_a_prefix_has_one_spelling() {
    check_below("/p/", Some(""));
    check_below("/p/a/b.c", Some("a/b.c"));
    check_below("/p/a/", Some("a/"));
    check_below("/%70/%61", Some("a"));
    check_below("/p/caf\u{e9}", Some("caf%C3%A9"));
    check_below("/p/a%20%3fb%23", Some("a%20%3Fb%23"));
    check_below("/p/100%25", Some("100%25"));
    check_below("/p/a;v=1,2:@!$&'()*+~", Some("a;v=1,2:@!$&'()*+~"));
    check_below("/p/..a/.b/c..", Some("..a/.b/c.."));
}

#[test]
fn nobody_climbs_out_of_a_prefix() {
    for rest in [
        "..",
        "../x",
        "a/../b",
        "a/./b",
        ".",
        "a//b",
        "/a",
        "%2e%2e",
        "%2E%2e/x",
        "a%2fb",
        "a%2F..%2Fb",
        "a%5cb",
        "a\\b",
        "a\\..\\b",
        "%5c..",
        "%00",
        "a%00b",
        "%252e%252e",
        "a%252fb",
        "a%255cb",
        "%25252e",
        "..;/x",
        "..;a=1/x",
        ".;/x",
        "%2e%2e;/x",
        "%0d%0aX:1",
        "a%0a",
        "a%7f",
        "%ff",
        "%",
        "%4",
        "%zz",
    ] {
        check_below(&format!("/p/{rest}"), None);
    }
    check_below("/q/a", None);
    check_below("/p", None);
}

/// A worker's rosters, and the branches that were begun.
struct Bed {
    rosters: Vec<Rosters>,
    begun: Rc<RefCell<Vec<Arc<Feed>>>>,
}

impl Bed {
    fn new(workers: usize, share: Share, forward: Option<Forward>, ceiling: Ceiling) -> Bed {
        let tasks = Tasks::new(Stages::default());
        let (hub, starts) = FeedHub::within(ceiling, [plan(Options { share, ..Options::named("f") }, forward)]);
        let begun = Rc::new(RefCell::new(Vec::new()));
        let (list, own_tasks) = (Rc::clone(&begun), tasks.clone());
        let fill = move |feed| {
            list.borrow_mut().push(feed);
            std::future::pending()
        };
        tasks.spawn_background(async move { starts.run(own_tasks, fill).await });
        let worker = |_| {
            let scratch = Rc::new(RefCell::new(vec![0; limits::READ_SIZE].into()));
            Rc::new(crate::feed::rosters::Rosters::new(&hub, scratch, &tasks))
        };
        Bed { rosters: (0..workers).map(worker).collect(), begun }
    }

    /// Has every branch that was begun say what it asked its upstream for, and for whom.
    async fn speak(&self) -> Vec<Inlet> {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let feeds = self.begun.borrow().clone();
        let speak = |feed: &Arc<Feed>| {
            let inlet = Inlet::new(feed, Rank::Source);
            let token = match inlet.bearer() {
                Bearer::Header(token) => token.reveal().to_owned(),
                Bearer::Nothing | Bearer::Missing | Bearer::Query(..) => String::new(),
            };
            let user = format!("{:?}", feed.branch().expect("it is one").key());
            let data = serde_json::json!({ "target": inlet.target("/src?tenant=0"), "token": token, "user": user });
            inlet.publish(Incoming::Text(&format!(r#"{{"type":"t","data":{data}}}"#)), Timestamp::UNIX_EPOCH);
            inlet
        };
        let inlets = feeds.iter().map(speak).collect();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        inlets
    }
}

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
        match door.enter(&bed.rosters[number % 2], &uri, credential.as_ref()) {
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

#[test]
fn those_who_ask_for_the_same_share_it() {
    on_worker(async {
        let bed = Bed::new(1, ALL, None, Ceiling::default());
        let door = FeedDoor { is_prefix: true, ..FeedDoor::at("/p/", "f", quiet()) };
        let ann = credential("v", "ann", "t", LATER);
        let mut stays = Vec::new();
        for uri in ["/p/a?x=1&y=2&last=3", "/p/%61?y=2&x=1&ticket=z", "/p/a?fields=q&x=1&y=2"] {
            stays.push(door.enter(&bed.rosters[0], &uri.parse().unwrap(), Some(&ann)).unwrap());
        }
        bed.speak().await;
        assert_eq!(bed.begun.borrow().len(), 1);
    });
}

#[test]
fn a_newcomer_for_whom_there_is_no_room_is_refused() {
    on_worker(async {
        let bed = Bed::new(1, ALL, None, Ceiling { branches: 1, bytes: 1000 });
        let door = FeedDoor::at("/p", "f", quiet());
        let enter =
            |uri: &str| door.enter(&bed.rosters[0], &uri.parse().unwrap(), Some(&credential("v", "ann", "t", LATER)));
        let _stay = enter("/p?a=1").unwrap();
        let refused = enter("/p?a=2").unwrap_err();
        assert_eq!((refused, refused.status()), (Refused::Full(Full::Branches), StatusCode::SERVICE_UNAVAILABLE));
        assert!(enter("/p?a=1").is_ok());
        let Some(Place::Split(split)) = bed.rosters[0].find("f") else { panic!("it is split") };
        assert_eq!(split.count(), 1);
    });
}

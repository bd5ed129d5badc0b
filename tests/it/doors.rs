//! The other doors to a feed: server-sent events, and a plain GET.

use serde_json::{Value, json};

use crate::feed::{n, say_numbers};
use crate::support::http::request;
use crate::support::{Event, Identity, Proxy, RawHttp, Reply, SseClient, get, proxy};

/// The next `count` events that are not steadfeed's own, as their ids and the `data` of their envelopes.
async fn events(viewer: &mut SseClient, count: usize) -> (Vec<String>, Vec<Value>) {
    let (mut ids, mut values) = (Vec::new(), Vec::new());
    while values.len() < count {
        let Event { id, event, data } = viewer.event().await;
        let mut envelope: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(event.as_deref(), envelope["type"].as_str());
        if event.as_deref() == Some("connected") {
            assert_eq!(id, None, "a greeting is no place to resume at");
            continue;
        }
        ids.push(id.expect("an id"));
        values.push(envelope["data"].take());
    }
    (ids, values)
}

async fn resume(proxy: &Proxy, path: &str, id: &str) -> SseClient {
    SseClient::connect(proxy.address(), path, &[("Last-Event-ID", id)]).await
}

#[tokio::test]
async fn an_event_stream_greets_tells_the_last_value_then_what_comes() {
    let proxy = Proxy::of_feed("");
    proxy.say(&n(1)).await;
    let said = proxy.say(&n(2)).await.expect("an id");
    proxy.settle().await;
    let mut viewer = SseClient::connect(proxy.address(), "/f", &[]).await;
    assert!(viewer.head.starts_with("HTTP/1.1 200 "), "{}", viewer.head);
    let head = viewer.head.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("\r\ncache-control: no-cache\r\n"), "{head}");
    let greeting = viewer.event().await;
    assert_eq!(greeting.event.as_deref(), Some("connected"));
    assert!(greeting.data.starts_with(r#"{"type":"connected","data":null,"timestamp":""#), "{}", greeting.data);
    let event = viewer.event().await;
    assert_eq!((event.id.as_ref(), event.event.as_deref()), (Some(&said), Some("n")));
    assert!(event.data.starts_with(r#"{"type":"n","data":2,"timestamp":""#), "{}", event.data);
    let said = proxy.say(&n(3)).await.expect("an id");
    assert_eq!(events(&mut viewer, 1).await, (vec![said], vec![json!(3)]));
}

#[tokio::test]
async fn an_event_stream_is_selected_as_a_socket_is() {
    let proxy = Proxy::of_feed("greet = false");
    proxy.say_all(&[r#"{"type":"a","data":{"x":1,"y":1}}"#, r#"{"type":"b","data":2}"#]).await;
    proxy.say_all(&[r#"{"type":"a","data":{"x":3,"y":3}}"#]).await;
    let mut viewer = SseClient::connect(proxy.address(), "/f?fields=x&types=a&last=9", &[]).await;
    assert_eq!(events(&mut viewer, 2).await.1, [json!({"x": 1}), json!({"x": 3})]);
    proxy.say_all(&[r#"{"type":"b","data":4}"#, r#"{"type":"a","data":{"y":5}}"#]).await;
    assert_eq!(events(&mut viewer, 1).await.1, [json!({})]);
}

#[tokio::test]
async fn an_event_stream_takes_its_newest_at_each_tick() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[&n(1)]).await;
    let mut viewer = SseClient::connect(proxy.address(), "/f?every=200ms", &[]).await;
    assert_eq!(events(&mut viewer, 1).await.1, [1]);
    say_numbers(&proxy, 2..=9).await;
    let mut last = 1;
    let mut seen = 0;
    while last < 9 {
        last = events(&mut viewer, 1).await.1[0].as_u64().expect("a number");
        seen += 1;
    }
    assert!(seen <= 3, "eight messages within a tick or two were {seen} events");
}

#[tokio::test]
async fn raw_text_of_several_lines_is_one_event() {
    let proxy = Proxy::of_feed("shape = \"raw\"\ngreet = false");
    proxy.say_all(&["{\"a\":\n1,\r\n\"b\":2}"]).await;
    let mut viewer = SseClient::connect(proxy.address(), "/f", &[]).await;
    // SseClient joins the lines of data without what stood between them.
    assert_eq!(viewer.event().await.data, r#"{"a":1,"b":2}"#);
}

#[tokio::test]
async fn last_event_id_resumes_without_gap_or_repeat() {
    let proxy = Proxy::of_feed("");
    say_numbers(&proxy, 1..=5).await;
    let mut viewer = SseClient::connect(proxy.address(), "/f?last=5", &[]).await;
    let (ids, values) = events(&mut viewer, 5).await;
    assert_eq!(values, [1, 2, 3, 4, 5]);
    drop(viewer);
    say_numbers(&proxy, 6..=8).await;
    let mut viewer = resume(&proxy, "/f", &ids[2]).await;
    assert_eq!(events(&mut viewer, 5).await.1, [4, 5, 6, 7, 8]);
    let mut viewer = resume(&proxy, "/f", &ids[4]).await;
    assert_eq!(events(&mut viewer, 3).await.1, [6, 7, 8]);
    proxy.say(&n(9)).await;
    let (newest, values) = events(&mut viewer, 1).await;
    assert_eq!(values, [9]);
    let mut viewer = resume(&proxy, "/f", &newest[0]).await;
    proxy.say(&n(10)).await;
    assert_eq!(events(&mut viewer, 1).await.1, [10], "one that missed nothing is told nothing again");
}

#[tokio::test]
async fn last_event_id_goes_before_snapshot_and_last() {
    let proxy = Proxy::of_feed("snapshot = \"none\"");
    say_numbers(&proxy, 1..=4).await;
    let mut viewer = SseClient::connect(proxy.address(), "/f?last=4", &[]).await;
    let (ids, _) = events(&mut viewer, 4).await;
    for path in ["/f", "/f?last=4", "/f?last=0"] {
        assert_eq!(events(&mut resume(&proxy, path, &ids[1]).await, 2).await.1, [3, 4], "{path}");
    }
}

#[tokio::test]
async fn beyond_the_history_one_that_resumes_gets_what_is_left_in_order() {
    let proxy = Proxy::of_feed("history = 2");
    let first = proxy.say(r#"{"type":"other","data":1}"#).await.expect("an id");
    say_numbers(&proxy, 2..=9).await;
    let mut viewer = resume(&proxy, "/f", &first).await;
    assert_eq!(events(&mut viewer, 2).await.1, [8, 9]);
}

#[tokio::test]
async fn an_unknown_id_gets_the_snapshot() {
    let proxy = Proxy::of_feed("");
    say_numbers(&proxy, 1..=3).await;
    let known = proxy.say(&n(4)).await.expect("an id");
    proxy.settle().await;
    let boot = known.split_once('-').expect("<boot>-<sequence>").0;
    for id in ["", "x", "-", "1", "00000000-2", &format!("{boot}-99"), &format!("{boot}-x"), &format!("{boot}-")] {
        assert_eq!(events(&mut resume(&proxy, "/f", id).await, 1).await.1, [4], "{id}");
    }
}

#[tokio::test]
async fn an_event_stream_goes_over_tls_too() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{}{}", identity.listener(""), proxy::feed("greet = false")));
    let mut viewer = SseClient::connect_tls(proxy.listener(0), "/f").await;
    proxy.say(&n(1)).await;
    assert_eq!(events(&mut viewer, 1).await.1, [1]);
}

#[tokio::test]
async fn a_viewer_that_leaves_is_forgotten() {
    let proxy = Proxy::of_feed("");
    let viewer = SseClient::connect(proxy.address(), "/f", &[]).await;
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 1.0).await;
    drop(viewer);
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
}

async fn ask(proxy: &Proxy, path: &str) -> Reply {
    get(proxy.address(), path, &[]).await
}

fn etag(reply: &Reply) -> String {
    reply.header("etag").unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

#[tokio::test]
async fn before_the_first_message_a_get_has_no_content() {
    let proxy = Proxy::of_feed("");
    let reply = ask(&proxy, "/f").await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert_eq!(reply.header("etag"), None);
    proxy.say_all(&[&n(1)]).await;
    assert_eq!(ask(&proxy, "/f?types=other").await.status, 204, "nor where nothing is selected");
}

#[tokio::test]
async fn a_get_gives_the_newest_envelope() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[&n(1), r#"{"type":"other","data":{"x":1,"y":2}}"#]).await;
    let reply = ask(&proxy, "/f").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert!(reply.text().starts_with(r#"{"type":"other","data":{"x":1,"y":2},"timestamp":""#), "{}", reply.text());
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    assert_eq!(ask(&proxy, "/f?types=n").await.json()["data"], 1);
    assert_eq!(ask(&proxy, "/f?fields=y").await.json()["data"], json!({"y": 2}));
}

#[tokio::test]
async fn a_get_of_a_keyed_feed_gives_an_array() {
    let proxy = Proxy::of_feed("key = \"/data/host\"");
    let of = |host: &str, n: u32| format!(r#"{{"type":"s","data":{{"host":"{host}","n":{n}}}}}"#);
    assert_eq!(ask(&proxy, "/f").await.status, 204);
    proxy.say_all(&[&of("a", 1)]).await;
    assert_eq!(ask(&proxy, "/f").await.json().as_array().expect("an array").len(), 1);
    proxy.say_all(&[&of("b", 2), &of("a", 3)]).await;
    let found = ask(&proxy, "/f").await.json();
    let numbers: Vec<_> = found.as_array().expect("an array").iter().map(|one| one["data"]["n"].clone()).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(ask(&proxy, "/f?keys=b").await.json()[0]["data"]["n"], 2);
}

#[tokio::test]
async fn a_get_with_last_gives_an_array_of_the_past() {
    let proxy = Proxy::of_feed("");
    say_numbers(&proxy, 1..=5).await;
    let found = ask(&proxy, "/f?last=3").await.json();
    let numbers: Vec<_> = found.as_array().expect("an array").iter().map(|one| one["data"].clone()).collect();
    assert_eq!(numbers, [3, 4, 5]);
}

#[tokio::test]
async fn who_has_the_newest_is_told_so_until_there_is_a_newer_one() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[&n(1)]).await;
    let tag = etag(&ask(&proxy, "/f").await);
    for known in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let reply = get(proxy.address(), "/f", &[("If-None-Match", &known)]).await;
        assert_eq!((reply.status, reply.text().as_str()), (304, ""), "{known}");
        assert_eq!(etag(&reply), tag);
    }
    proxy.say_all(&[&n(2)]).await;
    let reply = get(proxy.address(), "/f", &[("If-None-Match", &tag)]).await;
    assert_eq!((reply.status, &reply.json()["data"]), (200, &json!(2)));
    assert_ne!(etag(&reply), tag);
}

#[tokio::test]
async fn the_etag_is_another_for_each_selection_and_shape() {
    let proxy = Proxy::start(&format!(
        "{}[[route]]\npath = \"/m\"\nfeed = \"f\"\nshape = \"mirrored\"\n[[route]]\npath = \"/r\"\nfeed = \"f\"\nshape = \"raw\"\n",
        proxy::feed("")
    ));
    proxy.say_all(&[r#"{"type":"t","x":0}"#, r#"{"type":"t","x":1,"y":2}"#]).await;
    let mut tags = Vec::new();
    for path in ["/f", "/m", "/r", "/f?fields=x", "/f?fields=y", "/f?types=t", "/f?last=1", "/f?last=2"] {
        tags.push(etag(&ask(&proxy, path).await));
    }
    let before = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), before, "{tags:?}");
}

#[tokio::test]
async fn the_etag_changes_with_what_is_forgotten() {
    let proxy = Proxy::of_feed("key = \"/data/host\"\nkeys = 2");
    let of = |type_: &str, host: &str| format!(r#"{{"type":"{type_}","data":{{"host":"{host}"}}}}"#);
    proxy.say_all(&[&of("s", "a"), &of("s", "b")]).await;
    let before = ask(&proxy, "/f?types=s").await;
    assert_eq!(before.json().as_array().expect("an array").len(), 2);
    // Another type pushes out the older of the two; the newest that is selected stays the same.
    proxy.say_all(&[&of("t", "a")]).await;
    let after = get(proxy.address(), "/f?types=s", &[("If-None-Match", &etag(&before))]).await;
    assert_eq!(after.status, 200);
    assert_eq!(after.json().as_array().expect("an array").len(), 1);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[&n(1)]).await;
    let (whole, head) = (ask(&proxy, "/f").await, request(proxy.address(), "HEAD", "/f", &[], "").await);
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    for name in ["etag", "content-type", "content-length", "cache-control", "vary"] {
        assert!(whole.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    let reply = request(proxy.address(), "HEAD", "/f", &[("If-None-Match", &etag(&whole))], "").await;
    assert_eq!(reply.status, 304);
}

#[tokio::test]
async fn a_get_of_raw_shape_is_what_came() {
    let proxy = Proxy::of_feed("shape = \"raw\"");
    proxy.say_all(&["{\"a\": 1.50}"]).await;
    assert_eq!(ask(&proxy, "/f").await.text(), "{\"a\": 1.50}");
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let proxy = Proxy::of_feed("");
    for method in ["POST", "PUT", "DELETE"] {
        let reply = request(proxy.address(), method, "/f", &[], "{}").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[tokio::test]
async fn an_event_stream_that_is_read_misses_nothing_of_a_burst_longer_than_the_history() {
    let proxy = Proxy::of_feed("history = 2");
    let mut viewer = SseClient::connect(proxy.address(), "/f", &[]).await;
    assert_eq!(viewer.event().await.event.as_deref(), Some("connected"));
    let publication = |number: usize| {
        let body = n(number);
        let length = body.len();
        format!(
            "POST /api/feeds/f HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let mut publisher = RawHttp::connect(proxy.admin()).await;
    publisher.send((0..60).map(publication).collect::<String>().as_bytes()).await;
    assert_eq!(events(&mut viewer, 60).await.1, (0..60).map(|number| json!(number)).collect::<Vec<_>>());
}

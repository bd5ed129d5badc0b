//! What a viewer of a feed gets over WebSocket.

use crate::support::{Proxy, WsClient};

const EVENTS: &str = r#"
[[listener]]
address = "127.0.0.1:0"

[feed.events]
source = { publish = {} }

[[route]]
path = "/events"
feed = "events"
"#;

#[tokio::test]
async fn a_viewer_is_greeted_then_told_the_last_value_then_what_comes() {
    let proxy = Proxy::start(EVENTS);
    proxy.publish("events", r#"{"type":"n","data":1}"#).await;
    let mut viewer = WsClient::connect(proxy.address(), "/events").await;
    let greeting = viewer.json().await;
    assert_eq!((&greeting["type"], &greeting["data"]), (&"connected".into(), &serde_json::Value::Null));
    assert_eq!(viewer.json().await["data"], 1);
    proxy.publish("events", r#"{"type":"n","data":2}"#).await;
    assert_eq!(viewer.json().await["data"], 2);
}

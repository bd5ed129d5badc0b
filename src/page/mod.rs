//! The embedded live page of a feed.
//!
//! Owns: the page's files and what the server tells them. Never: a build step; the files are what is written here.

/// A page of one feed.
#[derive(Debug)]
pub struct Page<'a> {
    /// The feed's name.
    pub name: &'a str,
    /// What serves the feed, where something does.
    pub feed: Option<Door<'a>>,
    /// What serves alerts of it.
    pub alerts: Vec<Door<'a>>,
    /// The parameter of its own address in which a token may stand.
    pub token: Option<&'a str>,
}

/// Where a page asks for a feed.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    pub path: &'a str,
    /// It asks for a token such as the page's own: the page says again there what stands in its address.
    pub token: bool,
}

/// A file that the page loads.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    name: &'static str,
    pub type_: &'static str,
    pub text: &'static str,
}

const DOCUMENT: &str = include_str!("index.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PARTS: [Part; 9] = [
    Part { name: "page.css", type_: "text/css; charset=utf-8", text: include_str!("page.css") },
    Part { name: "page.js", type_: SCRIPT, text: include_str!("page.js") },
    Part { name: "alerts.js", type_: SCRIPT, text: include_str!("alerts.js") },
    Part { name: "connection.js", type_: SCRIPT, text: include_str!("connection.js") },
    Part { name: "format.js", type_: SCRIPT, text: include_str!("format.js") },
    Part { name: "spark.js", type_: SCRIPT, text: include_str!("spark.js") },
    Part { name: "sse.js", type_: SCRIPT, text: include_str!("sse.js") },
    Part { name: "view-generic.js", type_: SCRIPT, text: include_str!("view-generic.js") },
    Part { name: "view-system.js", type_: SCRIPT, text: include_str!("view-system.js") },
];

impl Page<'_> {
    /// The HTML as served at `path`.
    #[must_use]
    pub fn document(&self, path: &str) -> String {
        let doors = self.feed.iter().chain(&self.alerts);
        let config = serde_json::json!({
            "name": self.name,
            "feed": self.feed.map(|door| door.path),
            "alerts": self.alerts.iter().map(|door| door.path).collect::<Vec<_>>(),
            "token": self.token,
            "private": doors.filter(|door| door.token).map(|door| door.path).collect::<Vec<_>>(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        // Within a script element only `<` could end it early.
        let config = config.to_string().replace('<', "\\u003c");
        DOCUMENT.replace("{{base}}", &last_segment(path)).replace("{{config}}", &config)
    }

    /// What the page at `path` loads, with the path of each.
    pub fn assets(path: &str) -> impl Iterator<Item = (String, Part)> {
        let folder = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
        PARTS.into_iter().map(move |part| (format!("{folder}.steadfeed/{}", part.name), part))
    }
}

/// What leads from a page to the folder of its own name: `live/` for `/a/live`, nothing for `/a/`.
fn last_segment(path: &str) -> String {
    match path.rsplit('/').next() {
        Some("") | None => String::new(),
        Some(segment) => format!("{segment}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Door, Page};

    #[test]
    fn a_page_finds_its_parts_wherever_it_is_served() {
        for (path, part, link) in [
            ("/", "/.steadfeed/page.js", "\".steadfeed/page.js\""),
            ("/a/live", "/a/live/.steadfeed/page.js", "\"live/.steadfeed/page.js\""),
            ("/a/", "/a/.steadfeed/page.js", "\".steadfeed/page.js\""),
        ] {
            let page = Page {
                name: "system",
                feed: Some(Door { path: "/ws", token: false }),
                alerts: Vec::new(),
                token: None,
            };
            assert!(Page::assets(path).any(|(name, _)| name == part), "{path}");
            assert!(page.document(path).contains(link), "{path}");
        }
    }

    #[test]
    fn a_feed_cannot_break_out_of_the_page() {
        let page = Page { name: "</script><b>", feed: None, alerts: Vec::new(), token: None };
        assert!(!page.document("/").contains("</script><b>"));
    }
    #[test]
    fn a_page_says_its_token_again_only_where_it_is_asked_for() {
        let (feed, alerts) = (Door { path: "/ws", token: true }, Door { path: "/alerts", token: false });
        let page = Page { name: "system", feed: Some(feed), alerts: vec![alerts], token: Some("jwt") };
        let document = page.document("/");
        assert!(document.contains(r#""private":["/ws"],"token":"jwt""#), "{document}");
    }
}

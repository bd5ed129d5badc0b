//! The embedded live page of a feed.
//!
//! Owns: the page's files and what the server tells them. Never: a build step; the files are what is written here.

/// A page of one feed.
#[derive(Debug)]
pub struct Page<'a> {
    /// The feed's name.
    pub name: &'a str,
    /// The path that serves the feed, where one does.
    pub feed: Option<&'a str>,
    /// The paths that serve alerts of it.
    pub alerts: Vec<&'a str>,
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
        let config = serde_json::json!({
            "name": self.name,
            "feed": self.feed,
            "alerts": self.alerts,
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
    use super::Page;

    #[test]
    fn a_page_finds_its_parts_wherever_it_is_served() {
        for (path, part, link) in [
            ("/", "/.steadfeed/page.js", "\".steadfeed/page.js\""),
            ("/a/live", "/a/live/.steadfeed/page.js", "\"live/.steadfeed/page.js\""),
            ("/a/", "/a/.steadfeed/page.js", "\".steadfeed/page.js\""),
        ] {
            let page = Page { name: "system", feed: Some("/ws"), alerts: Vec::new() };
            assert!(Page::assets(path).any(|(name, _)| name == part), "{path}");
            assert!(page.document(path).contains(link), "{path}");
        }
    }

    #[test]
    fn a_feed_cannot_break_out_of_the_page() {
        let page = Page { name: "</script><b>", feed: None, alerts: Vec::new() };
        assert!(!page.document("/").contains("</script><b>"));
    }
}

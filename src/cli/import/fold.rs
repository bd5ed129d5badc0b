//! Routes that say what another says already.
//!
//! A `location` for the sake of a header of Cache-Control becomes a line of `cache`; one that says nothing goes.

use super::model::{Action, Route};

/// The routes, without those that the folder around them can say.
pub(super) fn folded(mut routes: Vec<Route>) -> Vec<Route> {
    let Some(around) =
        routes.iter().position(|route| route.path == "/*" && matches!(route.action, Action::Files { .. }))
    else {
        return routes;
    };
    let mut around = routes.remove(around);
    let mut kept = Vec::new();
    for route in routes {
        if says_only_cache(&route, &around) {
            around.cache.extend(route.cache);
        } else {
            kept.push(route);
        }
    }
    // `/` stands last, below what is said of places within.
    around.cache.sort_by_key(|(path, _)| path == "/*");
    kept.push(around);
    kept
}

/// Whether `route` serves what `around` would, but for Cache-Control.
fn says_only_cache(route: &Route, around: &Route) -> bool {
    let (Action::Files { root, spa }, Action::Files { root: around_root, spa: around_spa }) =
        (&route.action, &around.action)
    else {
        return false;
    };
    let has = |header: &(String, String)| around.response_headers.contains(header);
    root == around_root
        && (spa.is_none() || spa == around_spa)
        && route.response_headers.iter().all(has)
        && Route {
            path: around.path.clone(),
            action: around.action.clone(),
            cache: around.cache.clone(),
            response_headers: around.response_headers.clone(),
            ..route.clone()
        } == *around
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &str, cache: &[(&str, &str)]) -> Route {
        let action = Action::Files { root: "/srv".to_owned(), spa: None };
        let cache = cache.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
        Route { cache, ..Route::new(path.to_owned(), action) }
    }

    #[test]
    fn a_place_with_another_cache_control_is_a_line_of_cache() {
        let routes =
            vec![files("/*", &[("/*", "no-cache")]), files("/a/*", &[("/a/*", "immutable")]), files("/b/*", &[])];
        let expected = files("/*", &[("/a/*", "immutable"), ("/*", "no-cache")]);
        assert_eq!(folded(routes), [expected]);
    }

    #[test]
    fn a_place_that_differs_otherwise_stays() {
        let mut other = files("/a/*", &[]);
        other.closed = Some("why".to_owned());
        let routes = vec![files("/*", &[]), other.clone()];
        assert_eq!(folded(routes), [other, files("/*", &[])]);
    }
}

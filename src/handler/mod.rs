//! What serves a request once a route and its guards let it in.

//! What handlers and the edge share of HTTP messages: the body type, headers, responses.

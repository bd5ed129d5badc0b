//! Requests that are forwarded, and their answers: what reaches either side, and what each gets when the other fails.
//!
//! Both sides are spoken for by hand, in literal bytes.
//!
//! Owns: how a head is read; each of the submodules has one kind of guarantee.

mod bodies;
mod failures;
mod heads;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a head says of a header, each line of it.
fn lines<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let field = |line: &'a str| line.split_once(": ").filter(|(field, _)| field.eq_ignore_ascii_case(name));
    head.lines().filter_map(field).map(|(_, value)| value).collect()
}

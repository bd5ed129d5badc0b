//! What a path below a prefix is passed on as, and which are refused.

use crate::handler::feed_door::below;

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

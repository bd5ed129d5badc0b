//! Reading nginx's language: faults with their line, and bounds.

use super::fault;
use crate::cli::import::include::Disk;
use crate::cli::import::{import, import_text};
use crate::limits;

#[test]
fn what_is_no_configuration_is_told_with_its_line() {
    for (text, expected) in [
        ("a;\nb {\n c;\n", "/nginx.conf:2: the block opened here is never closed; add a `}`"),
        ("a;\n}", "/nginx.conf:2: this `}` closes nothing; remove it"),
        ("a {\n b\n}", "/nginx.conf:2: `b` is not ended; end it with `;`"),
        ("{ }", "/nginx.conf:1: this block has no name; write one before the `{`, or remove it"),
        (";", "/nginx.conf:1: this `;` ends nothing; remove it"),
        ("a 'b", "/nginx.conf:1: the quote ' opened here is never closed; close it with another '"),
        ("a_by_lua_block { {", "/nginx.conf:1: the block opened here is never closed; add a `}`"),
        ("a \u{1b}[31m", "/nginx.conf:1: `a` is not ended; end it with `;`"),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn reading_is_bounded() {
    let deep = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert!(import_text(&deep(limits::IMPORT_DEPTH)).is_some());
    assert!(fault(&deep(limits::IMPORT_DEPTH + 1)).contains("nested more than 32 deep"));
    assert!(fault("include nginx.conf;").contains("nested more than 32 deep; look for a file that includes itself"));
    assert!(import_text(&"user a;".repeat(limits::IMPORT_DIRECTIVES)).is_some());
    assert!(fault(&"a;".repeat(limits::IMPORT_DIRECTIVES + 1)).contains("more than 50000 directives"));
    // Five includes of each other come to more files than may be read, long before they are nested too deep.
    assert!(fault(&"include nginx.conf;".repeat(5)).contains("nested more than"));
}

#[test]
fn files_and_their_bytes_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("nginx.conf");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let fault = || import(&main, &Disk).unwrap_err().to_string();
    write("empty", "");
    write("nginx.conf", &"include empty;".repeat(limits::IMPORT_FILES));
    assert!(fault().contains("there are more than 1024 files"), "{}", fault());
    write("half", &"#".repeat(limits::IMPORT_SIZE / 2));
    write("nginx.conf", "include half; include half; include empty;");
    assert!(fault().contains("come to more than"), "{}", fault());
    assert!(import(&folder.path().join("absent"), &Disk).unwrap_err().to_string().contains("can not be read"));
}

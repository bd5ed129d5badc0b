//! Any text is refused as nginx's configuration or comes to TOML, whatever it says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfeed::cli::import::import_text;

fuzz_target!(|text: String| {
    if let Some(imported) = import_text(&text) {
        assert!(imported.config.parse::<toml::Table>().is_ok(), "{}", imported.config);
        assert!(!imported.list.is_empty());
    }
});

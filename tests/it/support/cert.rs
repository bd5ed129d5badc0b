//! A certificate of its own for a TLS listener, in a folder that goes with it.

use std::fs;

use tempfile::TempDir;

pub struct Identity {
    folder: TempDir,
}

impl Identity {
    pub fn new() -> Identity {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(folder.path().join("cert.pem"), made.cert.pem()).expect("written");
        fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
        Identity { folder }
    }

    /// A TLS listener with it, as the config says it; `more` are further keys of the listener.
    pub fn listener(&self, more: &str) -> String {
        let path = self.folder.path().display();
        format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n{more}\n[listener.tls]\n\
             certificates = [{{ cert = \"{path}/cert.pem\", key = \"{path}/key.pem\" }}]\n"
        )
    }
}

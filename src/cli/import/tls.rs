//! `ssl_*`: the certificates of a listener, its oldest version of TLS, and whose clients it takes.

use super::model::Listener;
use super::servers::Server;
use super::translate::Translation;
use super::values::constant;

/// Takes what `server` says of TLS into the listener it shares.
pub(super) fn identity(server: &Server<'_>, listener: &mut Listener, translation: &mut Translation) {
    let (scope, report) = (&server.scope, &mut translation.report);
    let (certs, keys) = (scope.nearest("ssl_certificate"), scope.nearest("ssl_certificate_key"));
    for (cert, key) in certs.iter().zip(&keys) {
        report.see(cert);
        report.see(key);
        let files = (constant(cert.arg(0), scope), constant(key.arg(0), scope));
        let (Some(cert_file), Some(key_file)) = files else {
            report.left(cert, "which certificate it is depends on the request", "name each: they are chosen by SNI");
            continue;
        };
        if cert_file.is_empty() || key_file.is_empty() {
            report.left(cert, "no file is named", "name a PEM file");
            continue;
        }
        if cert_file.starts_with("data:") || key_file.starts_with("engine:") || key_file.starts_with("data:") {
            report.left(cert, "certificates and keys are PEM files", "put them into files");
            continue;
        }
        let pair = (cert_file, key_file);
        if !listener.certificates.contains(&pair) {
            listener.certificates.push(pair);
        }
    }
    if let Some(directive) = scope.last("ssl_protocols") {
        report.see(directive);
        let has = |version: &str| directive.args.iter().any(|arg| arg.eq_ignore_ascii_case(version));
        if has("TLSv1.3") && !has("TLSv1.2") && !has("TLSv1.1") && !has("TLSv1") {
            listener.min_version = Some("1.3");
        } else if has("TLSv1") || has("TLSv1.1") || has("SSLv3") {
            report.note(directive, "TLS 1.2 is the oldest version that is spoken", "leave the older ones out");
        }
    }
    if let Some(directive) = scope.last("ssl_verify_client") {
        report.see(directive);
        let ca = scope.last("ssl_client_certificate").and_then(|d| {
            report.see(d);
            constant(d.arg(0), scope).filter(|ca| !ca.is_empty())
        });
        match (directive.arg(0), ca) {
            ("off", _) => {}
            ("on", Some(ca)) => listener.client_ca = Some(ca),
            _ => report.left(
                directive,
                "a client certificate is required or not asked for",
                "use `client_ca`, or a token",
            ),
        }
    }
}

//! A `location ~` whose regex no pattern of ours can say: it is listed, and what it kept closed stays so.

use super::headers;
use super::location::{FOREIGN, Places};
use super::paths;
use super::scope::Scope;
use super::syntax::Directive;

impl<'a> Places<'_, 'a> {
    /// A location that no pattern of ours can say.
    pub(super) fn regex(&mut self, directive: &'a Directive, regex: &str, scope: &Scope<'a>) {
        let place = self.translation.report.place(directive);
        let report = &mut self.translation.report;
        let has = |names: &[&str]| scope.own().iter().any(|d| names.contains(&d.name.as_str()));
        let is_foreign = has(&FOREIGN);
        let refuses = scope.own().iter().any(|d| {
            (d.name == "deny" && d.arg(0) == "all")
                || (d.name == "return" && matches!(d.arg(0), "401" | "403" | "404" | "444"))
        });
        if refuses && paths::is_about_dot_files(regex) {
            report.see_all(directive);
            let why = "files whose names begin with a dot are never served";
            return report.note(directive, why, "leave it out; an app behind `proxy` must refuse them itself");
        }
        let keeps = headers::headers(scope, false, report).cache;
        report.see_all(directive);
        if is_foreign || refuses || has(&["auth_basic", "auth_request", "internal"]) {
            let why = "a path is exact or a prefix, and what this kept from being served as it is would be open";
            report.left(
                directive,
                why,
                "move those files out of the folder, or let the app refuse them; then open the route",
            );
            let why = format!("{place} treated some of its paths otherwise");
            if refuses || !is_foreign { self.closed = Some(why) } else { self.closed_files = Some(why) }
        } else if let (Some(cache), true) = (keeps, paths::is_about_extensions(regex) && !has(&["proxy_pass"])) {
            let instead = format!("name the folder of the built files: cache = {{ \"/assets/*\" = \"{cache}\" }}");
            report.left(directive, "a path is exact or a prefix, not an ending", &instead);
            self.hints.push(format!(
                "For {place}, if those files stand in one folder: cache = {{ \"/assets/*\" = \"{cache}\" }}"
            ));
        } else {
            report.left(directive, "a path is exact or a prefix", "write a route for each, as in \"/api/*\"");
        }
    }
}

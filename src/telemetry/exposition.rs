//! Prometheus's text format 0.0.4, for scrapers that do not ask for OpenMetrics.
//!
//! Owns: the differences between the two: there a counter's family is named without `_total`, units and the end are
//! marked, and some types have other names. Samples are alike. Never: exemplars, which no metric of ours has.

/// `openmetrics` (its text format 1.0.0) in the older format.
#[must_use]
pub fn plain(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    // A family's help comes before its type, on which its name depends.
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ');
        } else if let Some((name, type_)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, type_) = older(type_);
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                push(&mut out, &["# HELP ", name, suffix, " ", help]);
            }
            push(&mut out, &["# TYPE ", name, suffix, " ", type_]);
        } else if !line.starts_with('#') {
            push(&mut out, &[line]);
        }
    }
    out
}

/// What a family of this type is named with at the end, and what its type is called.
fn older(type_: &str) -> (&'static str, &str) {
    match type_ {
        "counter" => ("_total", type_),
        "info" => ("_info", "gauge"),
        "stateset" => ("", "gauge"),
        "unknown" | "gaugehistogram" => ("", "untyped"),
        _ => ("", type_),
    }
}

fn push(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[track_caller]
    fn check(openmetrics: &[&str], expected: &[&str]) {
        let lines = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(plain(&lines(openmetrics)), lines(expected));
    }

    #[test]
    fn a_counters_family_is_named_as_its_samples_are() {
        check(
            &["# HELP a_b Of a.", "# TYPE a_b counter", "a_b_total{c=\"# HELP x\"} 1", "# EOF"],
            &["# HELP a_b_total Of a.", "# TYPE a_b_total counter", "a_b_total{c=\"# HELP x\"} 1"],
        );
    }

    #[test]
    fn other_types_are_the_same_but_for_those_that_the_older_format_has_not() {
        let gauge = ["# HELP a Of a.", "# TYPE a gauge", "a -1"];
        check(&gauge, &gauge);
        let histogram = ["# HELP a Of a.", "# TYPE a histogram", "a_sum 0.5", "a_count 1", "a_bucket{le=\"+Inf\"} 1"];
        check(&histogram, &histogram);
        check(&["# TYPE a unknown", "# UNIT a seconds", "a 1"], &["# TYPE a untyped", "a 1"]);
        check(&["# TYPE a info", "a_info{b=\"c\"} 1"], &["# TYPE a_info gauge", "a_info{b=\"c\"} 1"]);
    }
}

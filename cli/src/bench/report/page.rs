//! The page: what every bench found, with its plots in place.

use super::plot;
use crate::bench::conditions::Conditions;
use crate::bench::series::Series;
use crate::bench::told::{Outcome, short};
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}.bad{color:#b00020;font-weight:bold}.faint{color:#666}\
svg{max-width:100%;height:auto}";

/// The whole page.
pub(super) fn page(outcomes: &[Outcome]) -> Result<String, String> {
    let mut html =
        String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    put(
        &mut html,
        format_args!("<title>qctl bench</title><style>{STYLE}</style></head><body>\n"),
    );
    for outcome in outcomes {
        section(&mut html, outcome)?;
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

fn section(html: &mut String, outcome: &Outcome) -> Result<(), String> {
    put(
        html,
        format_args!("<h1>qctl bench {}</h1>\n", escape(&outcome.bench)),
    );
    conditions(html, &outcome.conditions);
    figures(html, &outcome.series);
    for check in &outcome.checks {
        let class = if check.failed == 0 {
            ""
        } else {
            " class=\"bad\""
        };
        let seen = check.seen.as_deref().unwrap_or_default();
        put(
            html,
            format_args!(
                "<p{class}>{}: {} held, {} did not. {}</p>\n",
                escape(&check.name),
                check.passed,
                check.failed,
                escape(seen)
            ),
        );
    }
    for peer in &outcome.peers {
        put(html, format_args!("<p>{}</p>\n", escape(&peer.words())));
    }
    for remark in &outcome.remarks {
        put(
            html,
            format_args!("<p class=\"faint\">{}</p>\n", escape(remark)),
        );
    }
    let bars = plot::bars(&outcome.series);
    if !bars.is_empty() {
        html.push_str("<h2>Where the time goes</h2>\n");
        html.push_str(&plot::waterfall(&bars)?);
    }
    for unit in units(&outcome.series) {
        put(
            html,
            format_args!("<h2>Distribution ({})</h2>\n", escape(&unit)),
        );
        let of_unit: Vec<&Series> = outcome
            .series
            .iter()
            .filter(|series| series.unit == unit && !series.samples.is_empty())
            .collect();
        html.push_str(&plot::distribution(&of_unit, &unit)?);
    }
    Ok(())
}

fn conditions(html: &mut String, conditions: &Conditions) {
    let load = |load: [f64; 3]| load.map(|value| format!("{value:.2}")).join(", ");
    let mut rows = vec![
        ("conditions", conditions.words()),
        ("revision", conditions.revision.clone().unwrap_or_default()),
        (
            "world-wide name",
            conditions.wwid.clone().unwrap_or_default(),
        ),
        ("load at the start", load(conditions.load_start)),
        ("load at the end", load(conditions.load_end)),
        ("qctl", conditions.qctl.clone()),
    ];
    if let Some(rules) = &conditions.contest {
        rows.push((
            "times",
            format!(
                "defence every {} ms, challenge wait {} ms, settle {} ms; a takeover takes {} ms at most",
                short(rules.defend_interval_ms),
                short(rules.challenge_wait_ms),
                short(rules.settle_ms),
                short(rules.takeover_at_most_ms)
            ),
        ));
        rows.push((
            "late",
            format!(
                "a run is late when this host's timers were later than {} ms; it is kept and counted",
                short(rules.lateness_ms)
            ),
        ));
    }
    html.push_str("<table>\n");
    for (name, value) in rows {
        put(
            html,
            format_args!("<tr><td>{name}</td><td>{}</td></tr>\n", escape(&value)),
        );
    }
    html.push_str("</table>\n");
}

fn figures(html: &mut String, series: &[Series]) {
    html.push_str(
        "<table>\n<tr><th></th><th>n</th><th>late</th><th>min</th><th>p50</th><th>p99</th><th>p99.9</th>\
         <th>max</th></tr>\n",
    );
    for series in series {
        let Some(summary) = series.summary() else {
            continue;
        };
        let maybe = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
        put(
            html,
            format_args!(
                "<tr><td>{} ({})</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td></tr>\n",
                escape(&series.name),
                escape(&series.unit),
                summary.n,
                summary.late,
                short(summary.min),
                short(summary.p50),
                maybe(summary.p99),
                maybe(summary.p999),
                short(summary.max)
            ),
        );
    }
    html.push_str("</table>\n");
}

/// The units of what is worth a distribution, in order.
fn units(series: &[Series]) -> Vec<String> {
    let mut units = Vec::new();
    for series in series {
        if series.samples.len() > 1 && !units.contains(&series.unit) {
            units.push(series.unit.clone());
        }
    }
    units
}

fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _always_fits = html.write_fmt(text);
}

/// Text as HTML: a disk names itself, and may name itself anything.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::series::Sample;
    use crate::contest::phases::Phases;
    use scsi::disk::Identity;

    fn outcome(vendor: &str, values: &[f64]) -> Outcome {
        let identity = Identity {
            vendor: Some(vendor.to_owned()),
            ..Identity::default()
        };
        let mut series = Series::new("owner killed: next held", "ms");
        for value in values {
            series.samples.push(Sample {
                value: *value,
                late: false,
                phases: Some(Phases {
                    detect_ms: 1.0,
                    wait_ms: *value,
                    preempt_ms: 2.0,
                    barrier_ms: 3.0,
                    verify_ms: 4.0,
                    claim_ms: 1.0,
                    settle_ms: 5.0,
                    held_ms: *value,
                    owner_ms: *value + 6.0,
                    beyond_wait_ms: 9.0,
                }),
            });
        }
        Outcome {
            bench: "failover".to_owned(),
            conditions: Conditions::now("d", "iscsi", &identity, None),
            series: vec![series],
            checks: Vec::new(),
            peers: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_page_stands_alone_and_has_both_plots() {
        let page = page(&[outcome("V", &[900.0, 1000.0, 1100.0])]).unwrap();
        assert_eq!(page.matches("<svg").count(), 2);
        for outside in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn what_a_disk_names_itself_is_text_and_nothing_else() {
        let page = page(&[outcome("<b>\"&", &[1.0])]).unwrap();
        assert!(page.contains("&lt;b&gt;&quot;&amp;"), "{page}");
        assert!(!page.contains("<b>"));
    }

    #[test]
    fn odd_figures_are_drawn_too() {
        for values in [
            &[][..],
            &[0.0, 0.0],
            &[f64::MAX, 1.0],
            &[f64::NAN, 1.0],
            &[-3.0, 2.0],
        ] {
            page(&[outcome("V", values)]).unwrap();
        }
    }
}

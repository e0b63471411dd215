//! `qctl disk check` over iSCSI: two sessions are two nexuses, so the rules can be tried out with one URL.

use crate::world::{Disk, Kind};

#[test]
fn a_url_alone_has_the_two_nexuses_that_enforcement_takes() {
    let disk = Disk::new(Kind::Ours);
    let line = ["disk", "check", &disk.url, "--destructive", "--timeout=30s"];
    let (_, document, said) = disk.folder.run(1, &line);
    let points = document["points"]
        .as_array()
        .unwrap_or_else(|| panic!("{document} {said}"));
    let answer = |name: &str| {
        let point = points.iter().find(|point| point["name"] == name);
        point.map(|point| point["answer"].clone())
    };
    for name in [
        "stranger-refused",
        "registrants-only",
        "preempted-refused",
        "as-before",
    ] {
        assert_eq!(answer(name), Some("passed".into()), "{name}: {document:#}");
    }
    assert_eq!(document["not_proven"], 0, "{document:#}");
}

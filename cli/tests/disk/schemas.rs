//! Every document is held to the schema that it names, and every schema has a document in a test.

use crate::schema::{file, validator};
use crate::shown::Shown as _;
use crate::world::World;
use serde_json::Value;

#[test]
fn every_schema_is_printed_as_its_file_is() {
    let world = World::new();
    let names = String::from_utf8(world.output("schema").stdout).unwrap();
    assert!(names.lines().count() >= 15, "{names}");
    for name in names.lines() {
        let printed = world.output(&format!("schema {name}"));
        assert_eq!(
            serde_json::from_slice::<Value>(&printed.stdout).unwrap(),
            file(name)
        );
        assert_eq!(file(name)["title"], format!("{name}/1"));
        validator(name);
    }
}

#[test]
fn an_error_is_the_same_alone_and_inside_another_document() {
    assert_eq!(
        file("error")["properties"]["error"],
        file("common")["$defs"]["error"]
    );
}

#[test]
fn every_document_of_disk_meets_its_schema() {
    let world = World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa --aptpl",
        "disk pr register emu:q?nexus=b --key 0xa701020302000004",
    ]);
    let documents = [
        ("disk list", "disk-list"),
        ("disk show emu:q?nexus=a", "disk-show"),
        ("disk check emu:q?nexus=a", "disk-check"),
        (
            "disk check emu:fresh?nexus=a --destructive --second emu:fresh?nexus=b",
            "disk-check",
        ),
        ("disk check emu:q?nexus=a --cleanup", "disk-check-cleanup"),
        ("disk pr keys emu:q?nexus=a", "disk-pr-keys"),
        ("disk pr holder emu:q?nexus=a", "disk-pr-holder"),
        ("disk pr status emu:q?nexus=a", "disk-pr-status"),
        ("disk pr capabilities emu:q?nexus=a", "disk-pr-capabilities"),
        ("disk pr audit emu:q?nexus=a", "disk-pr-audit"),
        ("disk pr reserve emu:q?nexus=a --type we", "disk-change"),
        ("disk pr holder emu:q?nexus=a", "disk-pr-holder"),
        ("disk pr reserve emu:q?nexus=b --type we", "disk-change"),
        (
            "disk pr preempt emu:q?nexus=b --victim 0xa --dry-run",
            "disk-plan",
        ),
        ("disk pr clear emu:q?nexus=b", "disk-plan"),
        ("disk reset --lun emu:q?nexus=b --yes", "disk-change"),
        ("disk scsi2 reserve emu:other?nexus=b", "disk-change"),
        ("disk show emu:other?nexus=c", "disk-show"),
        ("disk pr keys nothing", "error"),
        ("disk pr keys", "error"),
    ];
    for (arguments, schema) in documents {
        let (document, code) = world.document(arguments);
        assert_eq!(document["schema"], format!("{schema}/1"), "{arguments}");
        let error = document.get("error");
        assert_eq!(
            error.is_some() && error.unwrap()["code"] == code,
            code != 0 && code != 36,
            "{arguments}: {document:#}"
        );
    }
}

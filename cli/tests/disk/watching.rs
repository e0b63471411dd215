//! `watch`: what happens, as it happens.

use crate::shown::Shown as _;
use crate::world::World;
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(world: &World, arguments: &str) -> Self {
        let mut child = world
            .qctl(&format!("--json disk watch {arguments} --interval 20ms"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next event, held to its schema.
    fn next(&mut self) -> Value {
        let event: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
        crate::schema::hold_to_schema(&event);
        event
    }

    /// The names of the next so many events.
    fn names(&mut self, count: usize) -> Vec<String> {
        (0..count)
            .map(|_| self.next()["event"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn what_others_do_comes_as_typed_events() {
    let world = World::new();
    let mut watch = Watch::start(&world, "emu:q?nexus=watcher");
    assert_eq!(watch.next()["state"]["generation"], 0);

    assert_eq!(world.code("disk pr register emu:q?nexus=a --key 0xa"), 0);
    let added = watch.next();
    assert_eq!(added["event"], "registration-added");
    assert_eq!(added["registration"]["key"], "0xa");
    assert_eq!(watch.next()["to"], 1);

    assert_eq!(world.code("disk pr reserve emu:q?nexus=a --type we"), 0);
    let changed = watch.next();
    assert_eq!(changed["event"], "holder-changed");
    assert_eq!(changed["from"], Value::Null);
    assert_eq!(changed["to"]["type"], "we");

    assert_eq!(world.code("disk reset --lun emu:q?nexus=a --yes"), 0);
    let reset = watch.next();
    assert_eq!(reset["event"], "reset");
    assert_eq!(reset["attention"]["asc"], "0x29");

    assert_eq!(world.code("disk pr unregister emu:q?nexus=a"), 0);
    assert_eq!(
        watch.names(3),
        ["registration-removed", "holder-changed", "generation"]
    );
}

#[test]
fn count_and_for_end_it() {
    let world = World::after(&["disk pr register emu:q?nexus=a --key 0xa"]);
    let output = world.output("disk watch emu:q?nexus=w --count 1");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("found                 generation 1, 1 registration, reservation none"));
    assert_eq!(text.lines().count(), 1);
    assert_eq!(
        world.code("disk watch emu:q?nexus=w --for 10ms --interval 5ms"),
        0
    );
}

#[test]
fn a_path_that_fails_is_an_event_and_not_the_end() {
    let world = World::new();
    let mut child = world
        .qctl("--json")
        .args([
            "--fault",
            "at 2 on TUR: drop",
            "disk",
            "watch",
            "emu:q?nexus=w",
        ])
        .args(["--interval", "20ms", "--count", "3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let events: Vec<Value> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let told: Vec<_> = events
        .iter()
        .map(|event| (&event["event"], &event["usable"]))
        .collect();
    assert_eq!(
        told,
        [
            (&Value::from("found"), &Value::Null),
            (&Value::from("path"), &Value::from(false)),
            (&Value::from("path"), &Value::from(true)),
        ]
    );
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    let world = World::new();
    let mut child = world
        .qctl("--json disk watch emu:q?nexus=w --interval 20ms")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    assert_eq!(world.code("disk pr register emu:q?nexus=a --key 0xa"), 0);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

//! `qctl bench` as people run it: what it prints follows its schema, the page stands alone, and a real disk is
//! safe from it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of one test's files.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("qctl-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn qctl(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_qctl"))
            .arg("--json")
            .args(args)
            .env("TMPDIR", &self.0)
            .env_remove("QCTL_INITIATOR")
            .output()
            .unwrap()
    }

    /// Runs it to its end, which is a good one: every line that it printed.
    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.qctl(args);
        let said = String::from_utf8_lossy(&output.stderr);
        let lines = documents(&output);
        assert_eq!(output.status.code(), Some(0), "{said} {lines:#?}");
        lines
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

fn documents(output: &Output) -> Vec<Value> {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/bench.json");
    let schema = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let mut documents = Vec::new();
    for value in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>() {
        let value = value.unwrap();
        if value["schema"] == "bench/1"
            && let Err(error) = jsonschema::validate(&schema, &value)
        {
            panic!("{value}: {error}");
        }
        documents.push(value);
    }
    documents
}

/// The series of this name in an outcome.
fn series<'a>(outcome: &'a Value, name: &str) -> &'a Value {
    let all = outcome["series"].as_array().unwrap();
    let found = all.iter().find(|series| series["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {all:#?}"))
}

#[test]
fn a_failover_is_measured_in_every_way_and_makes_a_page() {
    let folder = Folder::new("failover");
    let page = folder.0.join("page.html");
    let args = [
        "bench",
        "failover",
        "--runs=1",
        "--peer=fence-scsi",
        "--html",
        page.to_str().unwrap(),
    ];
    let lines = folder.lines(&args);
    assert_eq!(lines[0]["event"], "began");
    assert_eq!(
        lines.iter().filter(|line| line["event"] == "run").count(),
        3
    );
    let outcome = lines.last().unwrap();
    for cause in ["killed", "stopped", "cut off"] {
        let owner = series(outcome, &format!("owner {cause}: next owner"));
        assert_eq!(owner["summary"]["n"], 1);
        // Percentiles of one sample would be its maximum under other names.
        assert_eq!(owner["summary"]["p99"], Value::Null);
        let held = series(outcome, &format!("owner {cause}: next held"));
        let phases = &held["samples"][0]["phases"];
        let sum: f64 = [
            "detect", "wait", "preempt", "barrier", "verify", "claim", "settle",
        ]
        .iter()
        .map(|phase| phases[format!("{phase}_ms")].as_f64().unwrap())
        .sum();
        let whole = phases["owner_ms"].as_f64().unwrap();
        assert!((sum - whole).abs() < 0.01, "{phases}");
    }
    assert_eq!(outcome["peers"][0]["measured"], "stored");
    assert!(!outcome["peers"][0]["date"].is_null());
    let html = std::fs::read_to_string(&page).unwrap();
    // The phases; of single samples there is no distribution, but of the timers' lateness there is.
    assert_eq!(html.matches("<svg").count(), 2);
    assert!(!html.contains("src=") && !html.contains("href="));
    std::fs::remove_file(page).unwrap();
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn an_arbitration_counts_its_commands_and_what_its_defender_costs() {
    let folder = Folder::new("arbitration");
    let lines = folder.lines(&[
        "bench",
        "arbitration",
        "--runs=1",
        "--defend=1s",
        "--contenders=2",
        "--peer=sanlock",
    ]);
    let outcome = lines.last().unwrap();
    let commands = series(outcome, "take: commands to held");
    assert!(commands["summary"]["max"].as_f64().unwrap() > 3.0);
    // A service starts when the disk is owned and the log is claimed; of an owner that has parked nothing runs any more.
    for name in ["parked, and the next told", "parked"] {
        let held = series(outcome, &format!("{name}: next held"));
        let phases = &held["samples"][0]["phases"];
        assert!(phases["claim_ms"].as_f64().unwrap() > 0.0, "{phases}");
        assert_eq!(
            series(outcome, &format!("{name}: next owner"))["summary"]["n"],
            1
        );
    }
    let peer = &outcome["peers"][0];
    assert_eq!(
        (&peer["what"], &peer["measured"]),
        (&"hand-over".into(), &"stored".into())
    );
    assert!(
        series(outcome, "defender: resident")["summary"]["p50"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert_eq!(outcome["checks"][0]["failed"], 0);
}

#[test]
fn the_page_can_be_made_of_the_json_afterwards() {
    let folder = Folder::new("report");
    let output = folder.qctl(&["bench", "disk", "--runs=20"]);
    assert_eq!(documents(&output).len(), 2);
    let (json, html) = (folder.0.join("disk.json"), folder.0.join("disk.html"));
    std::fs::write(&json, &output.stdout).unwrap();
    let (json, html) = (json.to_str().unwrap(), html.to_str().unwrap());
    folder.lines(&["bench", "report", json, "--html", html]);
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("READ FULL STATUS") && page.contains("<svg"));
    for (text, word) in [
        ("{\"event\":\"run\"}", "no outcome"),
        ("{\"event\":\"outcome\"}", "not an outcome"),
        ("{", "EOF"),
    ] {
        std::fs::write(json, text).unwrap();
        let output = folder.qctl(&["bench", "report", json, "--html", html]);
        assert_eq!(output.status.code(), Some(15));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_disk_that_is_not_emulated_wants_a_yes_and_nobody_on_it() {
    let folder = Folder::new("consent");
    // For this bench a URL is a real disk, whoever serves it.
    let file = format!("--file={}", folder.0.join("disk").display());
    let mut target = Command::new(env!("CARGO_BIN_EXE_qctl"))
        .args([
            "--json",
            "target",
            "serve",
            "--size=8MiB",
            "--listen=127.0.0.1:0",
            &file,
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(target.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    let url = listening["url"].as_str().unwrap();
    let failover = |extra: &[&str]| {
        let mut args = vec!["bench", "failover", url, "--runs=1", "--cause=killed"];
        args.extend(extra);
        folder.qctl(&args).status.code()
    };
    assert_eq!(failover(&[]), Some(107));
    assert_eq!(failover(&["--dry-run"]), Some(0));
    assert_eq!(failover(&["--yes", "--profile=fast"]), Some(0));
    let register = [
        "--initiator=iqn.2026-01.test:x",
        "disk",
        "pr",
        "register",
        url,
        "--key=0x1",
    ];
    assert_eq!(folder.qctl(&register).status.code(), Some(0));
    assert_eq!(failover(&["--yes"]), Some(107));
    target.kill().unwrap();
    target.wait().unwrap();
}

//! `qctl target serve`, and what is said when a URL is wrong.

use crate::world::{Disk, Hosts, Running};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// The exit code and the message of `disk show`.
fn show(disk: &Disk, url: &str, extra: &[&str]) -> (Option<i32>, String) {
    let mut args = vec!["disk", "show", url];
    args.extend(extra);
    let (code, document, said) = disk.folder.run(1, &args);
    let message = document["error"]["message"].as_str().unwrap_or(&said);
    (code, message.to_owned())
}

#[test]
fn whatever_is_wrong_with_a_url_has_its_own_message_and_code() {
    let disk = Disk::ours(&[]);
    let (portal, name) = disk.url["iscsi://".len()..].split_once('/').unwrap();
    let name = name.strip_suffix("/0").unwrap();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for (url, code, word) in [
        (
            format!("iscsi://{portal}/iqn.other/0"),
            105,
            "no target iqn.other",
        ),
        (
            format!("iscsi://{portal}/{name}/5"),
            105,
            "no logical unit 5",
        ),
        (format!("iscsi://{closed}/{name}/0"), 35, "refused"),
        (
            format!("iscsi://no-such-host.invalid/{name}/0"),
            35,
            "no-such-host.invalid",
        ),
        (
            format!("iscsi://me%secret@{portal}/{name}/0"),
            1,
            "--chap-file",
        ),
        (format!("iscsi://me@{portal}/{name}/0"), 1, "needs a secret"),
        (format!("iscsi://{portal}/{name}"), 1, "/LUN"),
    ] {
        let (was, said) = show(&disk, &url, &[]);
        assert_eq!(was, Some(code), "{url}: {said}");
        assert!(said.contains(word), "{url}: {said}");
        assert!(!said.contains("%secret"), "{said}");
    }
    assert_eq!(show(&disk, &disk.url, &[]).0, Some(0));
}

#[test]
fn the_size_of_a_disk_is_shown_although_no_kernel_tells_it() {
    let disk = Disk::ours(&[]);
    let (code, document, said) = disk.folder.run(1, &["disk", "show", &disk.url]);
    assert_eq!(code, Some(0), "{document} {said}");
    assert_eq!(document["disk"]["block_bytes"], 512);
    assert_eq!(document["disk"]["size_bytes"], 8 << 20);
}

#[test]
fn chap_lets_in_who_knows_the_secret() {
    let folder = Hosts::new();
    let secrets = |name: &str, text: &str, mode| {
        let path = folder.file(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        format!("--chap-file={}", path.display())
    };
    let right = secrets(
        "right",
        "initiator me my-long-secret\ntarget disk its-own-secret\n",
        0o600,
    );
    let wrong = secrets("wrong", "initiator me no-long-secret\n", 0o600);
    let open = secrets("open", "initiator me my-long-secret\n", 0o644);
    let liar = secrets(
        "liar",
        "initiator me my-long-secret\ntarget disk no-such-secret\n",
        0o600,
    );
    let disk = Disk::ours(&[&right]);
    for (file, code, word) in [
        (Some(&right), 0, ""),
        (None, 15, "it wants CHAP"),
        (Some(&wrong), 15, "wrong CHAP name or secret"),
        (Some(&liar), 15, "may be another"),
        (Some(&open), 15, "chmod 600"),
    ] {
        let extra: Vec<&str> = file.map(String::as_str).into_iter().collect();
        let (was, said) = show(&disk, &disk.url, &extra);
        assert_eq!(was, Some(code), "{file:?}: {said}");
        assert!(said.contains(word), "{file:?}: {said}");
        assert!(!said.contains("long-secret"), "{said}");
    }
}

#[test]
fn only_the_initiators_that_are_allowed_come_in() {
    let disk = Disk::ours(&["--allow=iqn.2026-01.test:host-1"]);
    assert_eq!(show(&disk, &disk.url, &[]).0, Some(0));
    let (code, document, _) = disk.folder.run(2, &["disk", "show", &disk.url]);
    assert_eq!(code, Some(15));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("not authorised"), "{message}");
}

#[test]
fn registrations_with_aptpl_survive_the_target_and_the_others_do_not() {
    let folder = Hosts::new();
    let file = format!("--file={}", folder.file("disk").display());
    let serve = |port: &str| {
        let listen = format!("--listen=127.0.0.1:{port}");
        let args = ["target", "serve", "--size=8MiB", &file, &listen];
        let mut server = Running::of(folder.qctl(0, &args));
        let url = server.until("listening")["url"]
            .as_str()
            .unwrap()
            .to_owned();
        (server, url)
    };
    let keys = |url: &str| {
        let (code, document, said) = folder.run(2, &["disk", "pr", "keys", url]);
        assert_eq!(code, Some(0), "{said}");
        document.to_string()
    };
    for (aptpl, survives) in [(false, false), (true, true)] {
        let (mut server, url) = serve("0");
        let mut register = vec!["disk", "pr", "register", &url];
        register.extend(["--key=0xabc", "--ignore-existing"]);
        register.extend(aptpl.then_some("--aptpl"));
        let (code, document, said) = folder.run(1, &register);
        assert_eq!(code, Some(0), "{document} {said}");
        assert!(keys(&url).contains("abc"));
        server.signal(Signal::SIGTERM);
        assert_eq!(server.end().0, Some(0));
        let (_server, url) = serve("0");
        assert_eq!(keys(&url).contains("abc"), survives, "{aptpl}");
    }
}

#[test]
fn a_file_is_served_once_and_by_its_size() {
    let disk = Disk::ours(&[]);
    let file = format!("--file={}", disk.folder.file("disk").display());
    let serve = |size: &str| {
        let args = ["target", "serve", &file, size, "--listen=127.0.0.1:0"];
        let (code, document, _) = disk.folder.run(0, &args);
        let message = document["error"]["message"].as_str().unwrap().to_owned();
        (code, message)
    };
    let (code, message) = serve("--size=8MiB");
    assert_eq!(code, Some(15));
    assert!(message.contains("another process serves it"), "{message}");
}

#[test]
fn what_it_prints_follows_its_schema() {
    let folder = Hosts::new();
    let file = format!("--file={}", folder.file("disk").display());
    let args = [
        "target",
        "serve",
        &file,
        "--size=8MiB",
        "--listen=127.0.0.1:0",
    ];
    let mut server = Running::of(folder.qctl(0, &args));
    let listening = server.until("listening");
    let (_, schema, _) = folder.run(0, &["schema", "target-serve"]);
    let schema: Value = schema;
    if let Err(error) = jsonschema::validate(&schema, &listening) {
        panic!("{listening}: {error}");
    }
}

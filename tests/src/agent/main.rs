//! The agent: the lab's hands inside a guest.
//!
//! It reads requests from a virtio-serial port, carries out one at a time, and answers each once
//! ([`tests::protocol`]). It judges nothing: what a case expects, only the lab knows.
//!
//! Invariants:
//! * a program that never ends cannot hold it up: every wait has the bound that came with the request;
//! * it outlives the lab's side of the port, which goes away when the guest's state is saved.

mod files;
mod process;

use ::tests::protocol::{Answer, LINE_BYTES_MAX, PORT_NAME, Request};
use process::Processes;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::thread::sleep;
use std::time::Duration;

/// How long to wait before looking again at a port whose other side is away.
const AWAY: Duration = Duration::from_millis(5);

fn main() -> io::Result<()> {
    let mut port = open_port()?;
    let mut processes = Processes::default();
    let mut pending = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        // A port without the lab reads as end of file; the lab comes back when the state is restored.
        let read = match port.read(&mut chunk) {
            Ok(0) => {
                sleep(AWAY);
                continue;
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        pending.extend_from_slice(&chunk[..read]);
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let answer = match serde_json::from_slice(&line) {
                Ok(request) => carry_out(&mut processes, request),
                Err(error) => Answer::Misunderstood {
                    why: error.to_string(),
                },
            };
            let mut text = serde_json::to_vec(&answer)?;
            text.push(b'\n');
            port.write_all(&text)?;
        }
        assert!(
            pending.len() <= LINE_BYTES_MAX,
            "a request longer than any that the lab sends"
        );
    }
}

fn carry_out(processes: &mut Processes, request: Request) -> Answer {
    match request {
        Request::Ping => Answer::Done,
        Request::LoadModule { path, parameters } => files::load_module(&path, &parameters),
        Request::Run {
            argv,
            stdin,
            bound_ms,
        } => process::run(&argv, &stdin, Duration::from_millis(bound_ms)),
        Request::Start { name, argv } => processes.start(name, &argv),
        Request::Signal { name, signal } => processes.signal(&name, &signal),
        Request::Wait { name, bound_ms } => processes.wait(&name, Duration::from_millis(bound_ms)),
        Request::Event {
            name,
            fields,
            bound_ms,
        } => processes.event(&name, &fields, Duration::from_millis(bound_ms)),
        Request::Output { name } => processes.output(&name),
        Request::Read {
            path,
            offset,
            length,
        } => files::read(&path, offset, length),
        Request::Write {
            path,
            offset,
            byte,
            length,
        } => files::write(&path, offset, byte, length),
        Request::Put { path, text } => files::put(&path, &text),
    }
}

/// The port's node has no fixed name without udev: it is looked up by the name that the lab gave it.
fn open_port() -> io::Result<File> {
    for entry in std::fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT_NAME {
            let node = std::path::Path::new("/dev").join(entry.file_name());
            return OpenOptions::new().read(true).write(true).open(node);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no virtio port named {PORT_NAME}"),
    ))
}

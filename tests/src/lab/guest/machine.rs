//! The QEMU process: which machine it is, and that it does not outlive the lab.
//!
//! The machine was measured (emulation without KVM, everywhere the same): PVH entry, qboot instead of a BIOS, no
//! device that nobody uses. `panic=-1` with `-no-reboot` makes a panic, and a watchdog, the end of the process.
//!
//! A guest's time stamp counter is this processor's. A kernel that measures its frequency while it boots measures
//! nonsense on a busy machine (a clock twelve times too fast was seen), so it is told.
#![expect(unsafe_code, reason = "one instruction that reads the clock")]

use crate::leash::leash;
use ::tests::protocol::PORT_NAME;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const KERNEL_WORDS: &str = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check \
     cryptomgr.notests random.trust_cpu=on audit=0 8250.nr_uarts=1 raid=noautodetect apparmor=0 tsc=reliable";

/// What to start. A saved state fits only the machine that it was saved on: same kernel, memory and processors.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) vmlinux: PathBuf,
    pub(crate) initramfs: PathBuf,
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u32,
    /// Further devices, as QEMU's arguments.
    pub(crate) devices: Vec<String>,
}

impl Machine {
    /// Starts QEMU; it connects to the two sockets, which must listen already.
    pub(crate) fn start(
        &self,
        agent_socket: &Path,
        qmp_socket: &Path,
        console: &Path,
        saved: Option<&Path>,
    ) -> Result<Child> {
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-M", "pc,usb=off,smm=off,vmport=off,hpet=off"])
            .args(["-bios", "qboot.rom"])
            .args(["-accel", "tcg,thread=multi"])
            .args([
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-no-reboot",
            ])
            .arg("-smp")
            .arg(self.cpus.to_string())
            .arg("-m")
            .arg(self.memory_mib.to_string())
            .arg("-kernel")
            .arg(&self.vmlinux)
            .arg("-initrd")
            .arg(&self.initramfs)
            .arg("-append")
            .arg(kernel_words())
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-chardev")
            .arg(format!("socket,id=agent,path={}", agent_socket.display()))
            .args(["-device", "virtio-serial-pci", "-device"])
            .arg(format!("virtserialport,chardev=agent,name={PORT_NAME}"))
            .arg("-chardev")
            .arg(format!("socket,id=qmp,path={}", qmp_socket.display()))
            .args(["-mon", "chardev=qmp,mode=control"])
            .args(&self.devices)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(saved) = saved {
            command
                .arg("-incoming")
                .arg(format!("exec:cat '{}'", saved.display()));
        }
        leash(&mut command);
        command.spawn().context("start qemu-system-x86_64")
    }
}

fn kernel_words() -> String {
    match counter_khz() {
        Some(khz) => format!("{KERNEL_WORDS} tsc_early_khz={khz}"),
        None => KERNEL_WORDS.to_owned(),
    }
}

/// How often this processor's time stamp counter counts; measured once.
#[cfg(target_arch = "x86_64")]
fn counter_khz() -> Option<u128> {
    static KHZ: OnceLock<Option<u128>> = OnceLock::new();
    const SPAN: Duration = Duration::from_millis(200);
    *KHZ.get_or_init(|| {
        let (count, at) = counter_now();
        std::thread::sleep(SPAN);
        let (later_count, later) = counter_now();
        let counted = u128::from(later_count.checked_sub(count)?);
        Some(counted * 1_000_000 / (later - at).as_nanos())
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_khz() -> Option<u128> {
    None
}

/// The counter and the clock at one moment: of some pairs that which was read fastest.
#[cfg(target_arch = "x86_64")]
fn counter_now() -> (u64, Instant) {
    let pair = || {
        let before = Instant::now();
        // SAFETY: every x86-64 processor has this instruction, which touches no memory.
        let count = unsafe { core::arch::x86_64::_rdtsc() };
        (before.elapsed(), count, before)
    };
    let (_, count, at) =
        (0..9).map(|_| pair()).fold(
            pair(),
            |best, next| if next.0 < best.0 { next } else { best },
        );
    (count, at)
}

//! The QEMU process: which machine it is, and that it does not outlive the lab.
//!
//! The machine was measured (emulation without KVM, everywhere the same): PVH entry, qboot instead of a BIOS, no
//! device that nobody uses. `panic=-1` with `-no-reboot` makes a panic, and a watchdog, the end of the process.
#![expect(
    unsafe_code,
    reason = "a hook between fork and exec, so that a killed lab leaves no machines behind"
)]

use ::tests::protocol::PORT_NAME;
use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const KERNEL_WORDS: &str = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check \
     cryptomgr.notests random.trust_cpu=on audit=0 8250.nr_uarts=1 raid=noautodetect apparmor=0 tsc=reliable";

/// What to start. A saved state fits only the machine that it was saved on: same kernel, memory and processors.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) vmlinux: PathBuf,
    pub(crate) initramfs: PathBuf,
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u32,
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
            .args(["-append", KERNEL_WORDS])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-chardev")
            .arg(format!("socket,id=agent,path={}", agent_socket.display()))
            .args(["-device", "virtio-serial-pci", "-device"])
            .arg(format!("virtserialport,chardev=agent,name={PORT_NAME}"))
            .arg("-chardev")
            .arg(format!("socket,id=qmp,path={}", qmp_socket.display()))
            .args(["-mon", "chardev=qmp,mode=control"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(saved) = saved {
            command
                .arg("-incoming")
                .arg(format!("exec:cat '{}'", saved.display()));
        }
        let die_with_us =
            || nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from);
        // SAFETY: the hook makes one system call and touches no memory that a fork may have left in between.
        unsafe { command.pre_exec(die_with_us) };
        command.spawn().context("start qemu-system-x86_64")
    }
}

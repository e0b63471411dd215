//! The two units side by side: LIO behind three device nodes, and the unit in memory with three nexuses.
//!
//! Every operation goes to both. What is compared: the status; key, code and qualifier of the sense data; and what
//! came back, as far as it says something about reservations or is the medium's.

use crate::operation::{Action, Operation};
use ::tests::bare_ioctl::{self, Data};
use anyhow::{Context as _, Result, ensure};
use scsi::logical_unit::{Behaviour, Config, LogicalUnit, MemoryMedia, Nexus};
use scsi::reservation::ResetScope;
use scsi::wire::cdb::Cdb;
use scsi::wire::sense::Sense;
use scsi::wire::transport_id::TransportId;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;

/// Three initiators, as the lab's groups make them.
pub(crate) const NEXUSES: usize = 3;

/// Blocks that the walk writes, and that begin as zeros.
pub(crate) const BLOCKS: u8 = 4;

const GOOD: u8 = 0;
const CHECK_CONDITION: u8 = 2;

/// What one unit answered, in a form in which two answers can be equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u8,
    /// Key, code, qualifier.
    pub(crate) sense: Option<(u8, u8, u8)>,
    /// What is compared of what came.
    pub(crate) data: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_attention(&self) -> bool {
        self.sense.is_some_and(|(key, _, _)| key == 6)
    }

    /// Status and sense in a few characters.
    pub(crate) fn outcome(&self) -> String {
        match (self.status, self.sense) {
            (GOOD, _) => "GOOD".to_owned(),
            (0x18, _) => "CONFLICT".to_owned(),
            (_, Some((key, code, qualifier))) => format!("{key:x}/{code:02x}/{qualifier:02x}"),
            (status, None) => format!("status {status:#04x}"),
        }
    }

    /// With its data, but for zeros at their end.
    pub(crate) fn to_line(&self) -> String {
        let end = self
            .data
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        let hex: Vec<String> = self.data[..end]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{} {}", self.outcome(), hex.join(" "))
    }
}

/// Both units.
pub(crate) struct Both {
    devices: Vec<File>,
    nexuses: Vec<Nexus>,
    pub(crate) unit: LogicalUnit,
    media: MemoryMedia,
    /// LIO's PRGENERATION less the unit's: LIO counts from its boot, the unit from the last common start.
    generation_ahead: u32,
}

impl Both {
    /// Opens the nodes; the unit in memory begins blank, so LIO must be.
    pub(crate) fn open(nodes: &[String], initiators: &[TransportId]) -> Result<Self> {
        ensure!(nodes.len() == NEXUSES, "{NEXUSES} nodes are needed");
        let devices = nodes
            .iter()
            .map(|node| {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_NONBLOCK)
                    .open(node)
                    .with_context(|| format!("open {node}"))
            })
            .collect::<Result<_>>()?;
        let nexuses = (1..)
            .zip(initiators)
            .map(|(port, initiator)| Nexus::new(initiator.clone(), port))
            .collect();
        let mut both = Self {
            devices,
            nexuses,
            unit: blank_unit(),
            media: MemoryMedia::default(),
            generation_ahead: 0,
        };
        both.start_over()?;
        Ok(both)
    }

    /// The nexus as the unit knows it.
    pub(crate) fn nexus(&self, index: usize) -> &Nexus {
        &self.nexuses[index]
    }

    /// Performs an operation on both: LIO's answer, and the unit's.
    pub(crate) fn perform(&mut self, operation: &Operation) -> Result<(Answer, Answer)> {
        if operation.action == Action::LunReset {
            bare_ioctl::reset_unit(&self.devices[operation.nexus]).context("reset")?;
            self.unit.reset(ResetScope::Lun);
            let done = Answer {
                status: GOOD,
                sense: None,
                data: Vec::new(),
            };
            return Ok((done.clone(), done));
        }
        let real = self.on_lio(operation)?;
        let model = self.on_unit(operation)?;
        Ok((real, model))
    }

    fn on_lio(&self, operation: &Operation) -> Result<Answer> {
        let device = &self.devices[operation.nexus];
        let mut out = operation.data_out.clone();
        let mut came = vec![0; operation.data_in];
        let data = if !out.is_empty() {
            Data::Out(&mut out)
        } else if came.is_empty() {
            Data::None
        } else {
            Data::In(&mut came)
        };
        let ended = bare_ioctl::execute(device, &operation.cdb, data)
            .with_context(|| format!("{operation:?}"))?;
        ensure!(
            ended.host_status == 0,
            "{operation:?}: host status {}",
            ended.host_status
        );
        Ok(answer(
            operation,
            ended.status,
            Sense::parse(&ended.sense),
            &came,
            0,
        ))
    }

    fn on_unit(&mut self, operation: &Operation) -> Result<Answer> {
        let cdb = Cdb::new(&operation.cdb).context("a CDB of no length")?;
        let outcome = self.unit.execute(
            &self.nexuses[operation.nexus],
            &cdb,
            &operation.data_out,
            &mut self.media,
        );
        let mut came = outcome.data_in;
        came.resize(operation.data_in, 0);
        Ok(answer(
            operation,
            outcome.status.0,
            outcome.sense,
            &came,
            self.generation_ahead,
        ))
    }

    /// Brings both to a common blank state, after they came apart or at the start.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        for index in 0..NEXUSES {
            // Whatever the nexus has, in either way that it may have been registered.
            for flags in [0, 4] {
                let mut forget = Operation::register_ignore(index, 0);
                forget.data_out[20] = flags;
                self.until_no_attention(&forget)?;
            }
            self.until_no_attention(&Operation::plain(index, Action::Release6))?;
        }
        bare_ioctl::reset_unit(&self.devices[0]).context("reset")?;
        for index in 0..NEXUSES {
            let answer =
                self.until_no_attention(&Operation::plain(index, Action::TestUnitReady))?;
            ensure!(
                answer.status == GOOD,
                "LIO did not come to rest: {answer:?}"
            );
        }
        self.unit = blank_unit();
        for index in 0..NEXUSES {
            self.on_unit(&Operation::plain(index, Action::TestUnitReady))?;
        }
        for block in 0..BLOCKS {
            let mut zeros = Operation::plain(0, Action::Write10);
            zeros.cdb[5] = block;
            self.on_lio(&zeros)?;
            self.on_unit(&zeros)?;
        }
        self.generation_ahead = 0;
        let keys = Operation::plain(0, Action::ReadKeys);
        let real = self.on_lio(&keys)?;
        ensure!(
            real.data.get(4..8) == Some(&[0; 4]),
            "LIO still has registrations: {real:?}"
        );
        let generation = |answer: &Answer| {
            let bytes = answer.data.get(..4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_be_bytes)
        };
        self.generation_ahead = generation(&real).wrapping_sub(generation(&self.on_unit(&keys)?));
        Ok(())
    }

    fn until_no_attention(&self, operation: &Operation) -> Result<Answer> {
        // More than a nexus queues.
        for _ in 0..16 {
            let answer = self.on_lio(operation)?;
            if !answer.is_attention() {
                return Ok(answer);
            }
        }
        anyhow::bail!("LIO has attentions without end")
    }
}

/// As the lab makes LIO's: 64 MiB, three ports.
fn blank_unit() -> LogicalUnit {
    LogicalUnit::new(Config {
        behaviour: Behaviour::Lio,
        target_ports: 3,
        ..Config::default()
    })
}

/// Keeps of an answer what can be compared.
fn answer(
    operation: &Operation,
    status: u8,
    sense: Option<Sense>,
    came: &[u8],
    generation_ahead: u32,
) -> Answer {
    let mut data = if status == GOOD {
        came[..operation.action.compared_bytes().min(came.len())].to_vec()
    } else {
        Vec::new()
    };
    if operation.action == Action::RequestSense && status == GOOD {
        let told = Sense::parse(came).map(|sense| [sense.key, sense.asc, sense.ascq]);
        data = told.unwrap_or_default().to_vec();
    }
    if operation.action.tells_generation()
        && let Some(generation) = data.first_chunk_mut::<4>()
    {
        *generation = u32::from_be_bytes(*generation)
            .wrapping_add(generation_ahead)
            .to_be_bytes();
    }
    Answer {
        status,
        sense: sense
            .filter(|_| status == CHECK_CONDITION)
            .map(|sense| (sense.key, sense.asc, sense.ascq)),
        data,
    }
}

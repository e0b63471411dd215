//! The units side by side: a real one that judges, the unit in memory, and, on the wire, our target.
//!
//! Every operation goes to all. What is compared: the status; key, code and qualifier of the sense data; and what
//! came back, as far as it says something about reservations or is the medium's.

use crate::operation::{Action, Operation, OutArguments};
use crate::port::{Port, Raw, transport_id};
use anyhow::{Context as _, Result, ensure};
use scsi::iscsi::negotiation::DigestWish;
use scsi::logical_unit::{Behaviour, Config, LogicalUnit, MemoryMedia, Nexus};
use scsi::reservation::ResetScope;
use scsi::wire::cdb::Cdb;
use scsi::wire::sense::Sense;
use scsi::wire::transport_id::TransportId;

/// Three initiators, as the lab's groups make them.
pub(crate) const NEXUSES: usize = 3;
const INDEXES: [u8; NEXUSES] = [1, 2, 3];

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
    pub(crate) const fn is_good(&self) -> bool {
        self.status == GOOD
    }

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

/// A real unit behind three ways.
struct Real {
    ports: Vec<Port>,
    /// Its PRGENERATION less that of the unit in memory: it counts from its own start, the unit in memory from the last
    /// common one.
    generation_ahead: u32,
}

/// The units.
pub(crate) struct Both {
    judge: Real,
    /// Our target; none where the unit in memory itself is judged.
    wire: Option<Real>,
    nexuses: Vec<Nexus>,
    config: Config,
    pub(crate) unit: LogicalUnit,
    media: MemoryMedia,
}

/// What the units answered.
pub(crate) struct Answers {
    pub(crate) judge: Answer,
    /// The unit in memory.
    pub(crate) unit: Answer,
    /// Our target.
    pub(crate) wire: Option<Answer>,
}

impl Both {
    /// The kernel's nodes, and the unit in memory beside them: as the lab makes LIO's, 64 MiB, three ports.
    pub(crate) fn in_memory(nodes: &[String], initiators: &[TransportId]) -> Result<Self> {
        ensure!(nodes.len() == NEXUSES, "{NEXUSES} nodes are needed");
        let ports = nodes.iter().map(|node| Port::of_node(node));
        let nexuses = (1..)
            .zip(initiators)
            .map(|(port, initiator)| Nexus::new(initiator.clone(), port));
        let config = Config {
            behaviour: Behaviour::Lio,
            target_ports: 3,
            ..Config::default()
        };
        Self::open(
            ports.collect::<Result<_>>()?,
            None,
            nexuses.collect(),
            config,
        )
    }

    /// Two targets on the wire, three sessions to each.
    pub(crate) fn on_the_wire(
        behaviour: Behaviour,
        judge: &str,
        ours: &str,
        digests: DigestWish,
    ) -> Result<Self> {
        let ports = |url: &str| {
            INDEXES
                .into_iter()
                .map(|index| Port::of_url(url, index, digests))
                .collect::<Result<Vec<_>>>()
        };
        let nexuses = INDEXES.map(|index| Nexus::new(transport_id(index), 1));
        let config = Config {
            behaviour,
            target_ports: 1,
            ..Config::default()
        };
        Self::open(ports(judge)?, Some(ports(ours)?), nexuses.to_vec(), config)
    }

    /// The unit in memory begins blank, so the others must be.
    fn open(
        judge: Vec<Port>,
        wire: Option<Vec<Port>>,
        nexuses: Vec<Nexus>,
        config: Config,
    ) -> Result<Self> {
        let real = |ports| Real {
            ports,
            generation_ahead: 0,
        };
        let mut both = Self {
            judge: real(judge),
            wire: wire.map(real),
            nexuses,
            unit: LogicalUnit::new(config.clone()),
            config,
            media: MemoryMedia::default(),
        };
        both.start_over()?;
        Ok(both)
    }

    /// The nexus as the unit knows it.
    pub(crate) fn nexus(&self, index: usize) -> &Nexus {
        &self.nexuses[index]
    }

    /// Performs an operation on all.
    pub(crate) fn perform(&mut self, operation: &Operation) -> Result<Answers> {
        let judge = self.judge.perform(operation)?;
        let wire = match &mut self.wire {
            Some(wire) => Some(wire.perform(operation)?),
            None => None,
        };
        Ok(Answers {
            judge,
            wire,
            unit: self.on_unit(operation)?,
        })
    }

    fn on_unit(&mut self, operation: &Operation) -> Result<Answer> {
        if operation.action == Action::LunReset {
            self.unit.reset(ResetScope::Lun);
            return Ok(RESET);
        }
        let cdb = Cdb::new(&operation.cdb).context("a CDB of no length")?;
        let nexus = &self.nexuses[operation.nexus];
        let outcome = self
            .unit
            .execute(nexus, &cdb, &operation.data_out, &mut self.media);
        let mut came = outcome.data_in;
        came.resize(operation.data_in, 0);
        let raw = Raw {
            status: outcome.status.0,
            sense: outcome.sense,
            came,
        };
        Ok(answer(operation, raw, 0))
    }

    /// Brings all to a common blank state, after they came apart or at the start.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        self.unit = LogicalUnit::new(self.config.clone());
        for index in 0..NEXUSES {
            let ready = Operation::plain(index, Action::TestUnitReady);
            // Two, where a unit that is new says so twice.
            while self.on_unit(&ready)?.is_attention() {}
        }
        for zeros in zeroed() {
            self.on_unit(&zeros)?;
        }
        let generation = generation(&self.on_unit(&Operation::plain(0, Action::ReadKeys))?);
        self.judge.start_over(generation)?;
        if let Some(wire) = &mut self.wire {
            wire.start_over(generation)?;
        }
        Ok(())
    }
}

impl Real {
    fn perform(&mut self, operation: &Operation) -> Result<Answer> {
        let port = &mut self.ports[operation.nexus];
        if operation.action == Action::LunReset {
            port.reset()?;
            return Ok(RESET);
        }
        let raw = port.execute(operation)?;
        Ok(answer(operation, raw, self.generation_ahead))
    }

    /// Blank: nothing registered, nothing reserved, no attention, blocks of zeros.
    fn start_over(&mut self, common_generation: u32) -> Result<()> {
        self.generation_ahead = 0;
        for index in 0..NEXUSES {
            self.until_no_attention(&Operation::plain(index, Action::Release6))?;
        }
        // Whatever the nexuses have: by its own word, in either way that it may have been registered; what is left
        // by CLEAR.
        for index in 0..NEXUSES {
            for (new, flags) in [(0, 0), (0, 4), (LAST_KEY, 0), (LAST_KEY, 4)] {
                let mut register = Operation::register_ignore(index, new);
                register.data_out[20] = flags;
                self.until_no_attention(&register)?;
            }
            let arguments = OutArguments {
                key: LAST_KEY,
                ..OutArguments::default()
            };
            self.until_no_attention(&Operation::out(index, Action::Clear, arguments))?;
        }
        self.ports[0].reset()?;
        for index in 0..NEXUSES {
            let ready = Operation::plain(index, Action::TestUnitReady);
            let answer = self.until_no_attention(&ready)?;
            ensure!(answer.status == GOOD, "it did not come to rest: {answer:?}");
        }
        for zeros in zeroed() {
            self.perform(&zeros)?;
        }
        let keys = self.perform(&Operation::plain(0, Action::ReadKeys))?;
        ensure!(
            keys.data.get(4..8) == Some(&[0; 4]),
            "there still are registrations: {}",
            keys.to_line()
        );
        self.generation_ahead = generation(&keys).wrapping_sub(common_generation);
        Ok(())
    }

    fn until_no_attention(&mut self, operation: &Operation) -> Result<Answer> {
        // More than a nexus queues.
        for _ in 0..64 {
            let answer = self.perform(operation)?;
            if !answer.is_attention() {
                return Ok(answer);
            }
        }
        anyhow::bail!("attentions without end")
    }
}

/// A key that the walk does not draw.
const LAST_KEY: u64 = 0xFE;

/// Every reset is done.
const RESET: Answer = Answer {
    status: GOOD,
    sense: None,
    data: Vec::new(),
};

/// Writes zeros to every block of the walk.
fn zeroed() -> impl Iterator<Item = Operation> {
    (0..BLOCKS).map(|block| {
        let mut zeros = Operation::plain(0, Action::Write10);
        zeros.cdb[5] = block;
        zeros
    })
}

fn generation(answer: &Answer) -> u32 {
    let bytes = answer.data.get(..4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}

/// Keeps of an answer what can be compared.
fn answer(operation: &Operation, raw: Raw, generation_ahead: u32) -> Answer {
    let Raw {
        status,
        sense,
        came,
    } = raw;
    let mut data = if status == GOOD {
        came[..operation.action.compared_bytes().min(came.len())].to_vec()
    } else {
        Vec::new()
    };
    if operation.action == Action::RequestSense && status == GOOD {
        let told = Sense::parse(&came).map(|sense| [sense.key, sense.asc, sense.ascq]);
        data = told.unwrap_or_default().to_vec();
    }
    if operation.action.tells_generation()
        && let Some(generation) = data.first_chunk_mut::<4>()
    {
        *generation = u32::from_be_bytes(*generation)
            .wrapping_sub(generation_ahead)
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

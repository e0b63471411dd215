//! The operational parameters of a session, and how both ends agree on them (RFC 7143 section 13).
//!
//! | key | the result is | ours |
//! |---|---|---|
//! | HeaderDigest, DataDigest | the first of the offer that the other takes | CRC32C or None |
//! | InitialR2T | Yes if either says Yes | as configured |
//! | ImmediateData | Yes if both say Yes | as configured |
//! | MaxBurstLength, FirstBurstLength, MaxOutstandingR2T | the smaller | as configured |
//! | DefaultTime2Wait | the larger | 2 |
//! | DefaultTime2Retain, ErrorRecoveryLevel | the smaller | 0: a lost session is gone |
//! | MaxConnections | the smaller | 1 |
//! | DataPDUInOrder, DataSequenceInOrder | Yes if either says Yes | Yes |
//! | MaxRecvDataSegmentLength | each end declares its own | as configured |
//!
//! Invariants:
//! * [`respond`] answers every key that wants an answer, and what it answers is what it puts in force;
//! * [`conclude`] puts in force only answers that the offer allowed;
//! * FirstBurstLength never exceeds MaxBurstLength.

use super::pdu::Digests;
use super::text::{IRRELEVANT, NOT_UNDERSTOOD, Pairs, REJECT, number};

/// What one end wants, and how much it takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Wishes {
    /// How digests are offered, and which are taken.
    pub digests: DigestWish,
    /// Every write waits for an R2T.
    pub initial_r2t: bool,
    /// Data may travel in a SCSI Command.
    pub immediate_data: bool,
    /// The longest data segment that this end takes.
    pub receive_bytes_max: u32,
    /// The longest burst of data that one R2T asks for.
    pub max_burst_bytes: u32,
    /// The most unsolicited data.
    pub first_burst_bytes: u32,
}

/// What one end thinks of digests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DigestWish {
    /// Not offered; taken where the other end prefers them.
    Unwanted,
    /// Offered before None.
    Preferred,
    /// Nothing else is offered or taken.
    Required,
}

impl DigestWish {
    const fn offer(self) -> &'static str {
        match self {
            Self::Unwanted => "None",
            Self::Preferred => "CRC32C,None",
            Self::Required => "CRC32C",
        }
    }

    fn takes(self, digest: &str) -> bool {
        match digest {
            "CRC32C" => true,
            "None" => match self {
                Self::Unwanted | Self::Preferred => true,
                Self::Required => false,
            },
            _ => false,
        }
    }
}

impl Default for Wishes {
    /// No digests, immediate data, 64 KiB segments and first bursts, 256 KiB bursts.
    fn default() -> Self {
        Self {
            digests: DigestWish::Unwanted,
            initial_r2t: true,
            immediate_data: true,
            receive_bytes_max: 64 * 1024,
            max_burst_bytes: 256 * 1024,
            first_burst_bytes: 64 * 1024,
        }
    }
}

/// What is in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parameters {
    /// Digests on the connection.
    pub digests: Digests,
    /// Every write waits for an R2T.
    pub initial_r2t: bool,
    /// Data may travel in a SCSI Command.
    pub immediate_data: bool,
    /// The longest data segment that the *other* end takes.
    pub send_bytes_max: u32,
    /// The longest burst of data that one R2T asks for.
    pub max_burst_bytes: u32,
    /// The most unsolicited data.
    pub first_burst_bytes: u32,
    /// How many R2Ts of one task may be unanswered.
    pub outstanding_r2t_max: u32,
}

impl Default for Parameters {
    /// What holds while nothing is negotiated.
    fn default() -> Self {
        Self {
            digests: Digests::default(),
            initial_r2t: true,
            immediate_data: true,
            send_bytes_max: 8192,
            max_burst_bytes: 262_144,
            first_burst_bytes: 65_536,
            outstanding_r2t_max: 1,
        }
    }
}

/// The range of every length (RFC 7143 13.12 to 13.14).
const LENGTHS: std::ops::RangeInclusive<u32> = 512..=0xff_ffff;

/// The other end broke the rules of negotiation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum NegotiationError {
    /// A key was negotiated twice.
    #[error("the key {0} was negotiated twice")]
    Repeated(String),
    /// An answer that the offer did not allow.
    #[error("{key}={value} is no answer to what was offered")]
    Unoffered {
        /// The key.
        key: String,
        /// The answer.
        value: String,
    },
}

/// Answers an offer: takes the keys of `offer` that belong here into force and appends an answer for each.
///
/// Keys that name and authenticate (`InitiatorName`, `AuthMethod`, `CHAP_*`, …) are not looked at.
///
/// # Errors
/// [`NegotiationError::Repeated`].
pub fn respond(
    offer: &Pairs,
    wishes: &Wishes,
    parameters: &mut Parameters,
    answers: &mut Pairs,
) -> Result<(), NegotiationError> {
    if let Some(key) = offer.repeated() {
        return Err(NegotiationError::Repeated(key.to_owned()));
    }
    // The first burst is bounded by the longest burst, wherever that stands in the text.
    let (early, late): (Vec<_>, Vec<_>) = offer
        .iter()
        .filter(|(key, _)| !is_identity(key))
        .partition(|&(key, _)| key != "FirstBurstLength");
    for (key, value) in early.into_iter().chain(late) {
        if let Some(answer) = respond_to(key, value, wishes, parameters) {
            answers.push(key, answer);
        }
    }
    Ok(())
}

/// Keys that say who it is, not how to talk.
fn is_identity(key: &str) -> bool {
    matches!(
        key,
        "InitiatorName"
            | "InitiatorAlias"
            | "TargetName"
            | "TargetAlias"
            | "TargetAddress"
            | "TargetPortalGroupTag"
            | "SessionType"
            | "AuthMethod"
            | "SendTargets"
    ) || key.starts_with("CHAP_")
}

/// The answer to one key; none for a declaration.
fn respond_to(
    key: &str,
    value: &str,
    wishes: &Wishes,
    parameters: &mut Parameters,
) -> Option<String> {
    let length = || number(value).filter(|bytes| LENGTHS.contains(bytes));
    let smaller = |own: u32, force: &mut u32| match length() {
        Some(offered) => {
            *force = offered.min(own);
            force.to_string()
        }
        None => REJECT.to_owned(),
    };
    let bounded = |range: std::ops::RangeInclusive<u32>, result: fn(u32) -> u32| {
        number(value)
            .filter(|number| range.contains(number))
            .map_or_else(|| REJECT.to_owned(), |number| result(number).to_string())
    };
    Some(match key {
        "HeaderDigest" => digest(value, wishes, &mut parameters.digests.header),
        "DataDigest" => digest(value, wishes, &mut parameters.digests.data),
        "InitialR2T" => boolean(value, &mut parameters.initial_r2t, |offered| {
            offered || wishes.initial_r2t
        }),
        "ImmediateData" => boolean(value, &mut parameters.immediate_data, |offered| {
            offered && wishes.immediate_data
        }),
        "MaxBurstLength" => {
            let answer = smaller(wishes.max_burst_bytes, &mut parameters.max_burst_bytes);
            // Holds too where no FirstBurstLength follows.
            parameters.first_burst_bytes =
                parameters.first_burst_bytes.min(parameters.max_burst_bytes);
            answer
        }
        "FirstBurstLength" => {
            let own = wishes.first_burst_bytes.min(parameters.max_burst_bytes);
            smaller(own, &mut parameters.first_burst_bytes)
        }
        "MaxRecvDataSegmentLength" => {
            return match length() {
                Some(bytes) => {
                    parameters.send_bytes_max = bytes;
                    None
                }
                None => Some(REJECT.to_owned()),
            };
        }
        "MaxOutstandingR2T" => {
            parameters.outstanding_r2t_max = 1;
            bounded(1..=65_535, |_| 1)
        }
        "MaxConnections" => bounded(1..=65_535, |_| 1),
        "ErrorRecoveryLevel" => bounded(0..=2, |_| 0),
        "DefaultTime2Wait" => bounded(0..=3600, |offered| offered.max(2)),
        "DefaultTime2Retain" => bounded(0..=3600, |_| 0),
        "DataPDUInOrder" | "DataSequenceInOrder" => boolean(value, &mut true, |_| true),
        // RFC 7143 13.25 makes markers obsolete; older initiators still offer them.
        "IFMarker" | "OFMarker" => boolean(value, &mut false, |_| false),
        "IFMarkInt" | "OFMarkInt" => IRRELEVANT.to_owned(),
        "TaskReporting" => {
            if value.split(',').any(|known| known == "RFC3720") {
                "RFC3720".to_owned()
            } else {
                REJECT.to_owned()
            }
        }
        "iSCSIProtocolLevel" => bounded(0..=31, |offered| offered.min(1)),
        _ => NOT_UNDERSTOOD.to_owned(),
    })
}

fn digest(offer: &str, wishes: &Wishes, force: &mut bool) -> String {
    match offer.split(',').find(|known| wishes.digests.takes(known)) {
        Some(chosen) => {
            *force = chosen == "CRC32C";
            chosen.to_owned()
        }
        None => REJECT.to_owned(),
    }
}

fn boolean(offer: &str, force: &mut bool, result: impl Fn(bool) -> bool) -> String {
    let offered = match offer {
        "Yes" => true,
        "No" => false,
        _ => return REJECT.to_owned(),
    };
    *force = result(offered);
    if *force { "Yes" } else { "No" }.to_owned()
}

/// What an initiator offers.
pub fn offer(wishes: &Wishes, offer: &mut Pairs) {
    let yes = |on| if on { "Yes" } else { "No" };
    offer.push("HeaderDigest", wishes.digests.offer());
    offer.push("DataDigest", wishes.digests.offer());
    offer.push("InitialR2T", yes(wishes.initial_r2t));
    offer.push("ImmediateData", yes(wishes.immediate_data));
    offer.push(
        "MaxRecvDataSegmentLength",
        wishes.receive_bytes_max.to_string(),
    );
    offer.push("MaxBurstLength", wishes.max_burst_bytes.to_string());
    offer.push("FirstBurstLength", wishes.first_burst_bytes.to_string());
    offer.push("MaxOutstandingR2T", "1");
    offer.push("MaxConnections", "1");
    offer.push("ErrorRecoveryLevel", "0");
    offer.push("DefaultTime2Wait", "2");
    offer.push("DefaultTime2Retain", "0");
    offer.push("DataPDUInOrder", "Yes");
    offer.push("DataSequenceInOrder", "Yes");
}

/// Takes the answers to [`offer`] into force, and answers what the target offers by itself.
///
/// # Errors
/// [`NegotiationError`] when an answer is not one that the offer allowed.
pub fn conclude(
    answers: &Pairs,
    wishes: &Wishes,
    parameters: &mut Parameters,
) -> Result<(), NegotiationError> {
    if let Some(key) = answers.repeated() {
        return Err(NegotiationError::Repeated(key.to_owned()));
    }
    for (key, value) in answers.iter().filter(|(key, _)| !is_identity(key)) {
        if !conclude_one(key, value, wishes, parameters) {
            return Err(NegotiationError::Unoffered {
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
    }
    if parameters.first_burst_bytes > parameters.max_burst_bytes {
        parameters.first_burst_bytes = parameters.max_burst_bytes;
    }
    Ok(())
}

/// Takes one answer into force, if it is allowed.
fn conclude_one(key: &str, value: &str, wishes: &Wishes, parameters: &mut Parameters) -> bool {
    let at_most = |own: u32, force: &mut u32| match number(value) {
        Some(bytes) if (512..=own).contains(&bytes) => {
            *force = bytes;
            true
        }
        Some(_) | None => false,
    };
    let agreed = |own: bool, either: bool, force: &mut bool| {
        // Where one Yes decides, our Yes leaves nothing else; where one No decides, our No.
        let answer = match value {
            "Yes" => true,
            "No" => false,
            _ => return false,
        };
        *force = answer;
        own != either || answer == own
    };
    match key {
        "HeaderDigest" => conclude_digest(value, wishes, &mut parameters.digests.header),
        "DataDigest" => conclude_digest(value, wishes, &mut parameters.digests.data),
        "InitialR2T" => agreed(wishes.initial_r2t, true, &mut parameters.initial_r2t),
        "ImmediateData" => agreed(wishes.immediate_data, false, &mut parameters.immediate_data),
        "MaxBurstLength" => at_most(wishes.max_burst_bytes, &mut parameters.max_burst_bytes),
        "FirstBurstLength" => at_most(wishes.first_burst_bytes, &mut parameters.first_burst_bytes),
        "MaxRecvDataSegmentLength" => at_most(*LENGTHS.end(), &mut parameters.send_bytes_max),
        "MaxOutstandingR2T" | "MaxConnections" => number(value) == Some(1),
        "ErrorRecoveryLevel" => number(value) == Some(0),
        "DataPDUInOrder" | "DataSequenceInOrder" => value == "Yes",
        // Times of a recovery that does not happen here, and keys that were not offered: a target may
        // say what it likes.
        _ => true,
    }
}

fn conclude_digest(value: &str, wishes: &Wishes, force: &mut bool) -> bool {
    *force = value == "CRC32C";
    wishes
        .digests
        .offer()
        .split(',')
        .any(|known| known == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Pairs {
        Pairs::parse(text.replace(' ', "\0").as_bytes()).unwrap()
    }

    /// The answers to an offer as one line, and what is then in force.
    fn answered(text: &str, wishes: &Wishes) -> (String, Parameters) {
        let (mut parameters, mut answers) = (Parameters::default(), Pairs::new());
        respond(&pairs(text), wishes, &mut parameters, &mut answers).unwrap();
        let line = answers
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" ");
        (line, parameters)
    }

    #[test]
    fn each_key_has_its_own_rule() {
        let (answers, parameters) = answered(
            "HeaderDigest=CRC32C,None DataDigest=None InitialR2T=No ImmediateData=Yes MaxBurstLength=16776192 \
             FirstBurstLength=262144 MaxRecvDataSegmentLength=262144 MaxOutstandingR2T=8 MaxConnections=4 \
             ErrorRecoveryLevel=2 DefaultTime2Wait=0 DefaultTime2Retain=20 DataPDUInOrder=No IFMarker=No \
             X-org.example.more=1",
            &Wishes {
                initial_r2t: false,
                ..Wishes::default()
            },
        );
        assert_eq!(
            answers,
            "HeaderDigest=CRC32C DataDigest=None InitialR2T=No ImmediateData=Yes MaxBurstLength=262144 \
             MaxOutstandingR2T=1 MaxConnections=1 ErrorRecoveryLevel=0 DefaultTime2Wait=2 \
             DefaultTime2Retain=0 DataPDUInOrder=Yes IFMarker=No X-org.example.more=NotUnderstood \
             FirstBurstLength=65536"
        );
        assert_eq!(
            parameters,
            Parameters {
                digests: Digests {
                    header: true,
                    data: false
                },
                initial_r2t: false,
                immediate_data: true,
                send_bytes_max: 262_144,
                max_burst_bytes: 262_144,
                first_burst_bytes: 65_536,
                outstanding_r2t_max: 1,
            }
        );
    }

    #[test]
    fn values_out_of_range_are_rejected_and_change_nothing() {
        let (answers, parameters) = answered(
            "MaxBurstLength=511 FirstBurstLength=x MaxRecvDataSegmentLength=16777216 InitialR2T=no \
             HeaderDigest=MD5 MaxConnections=0 ErrorRecoveryLevel=3",
            &Wishes::default(),
        );
        assert!(answers.split(' ').all(|answer| answer.ends_with("=Reject")));
        assert_eq!(answers.split(' ').count(), 7);
        assert_eq!(parameters, Parameters::default());
    }

    #[test]
    fn the_first_burst_fits_the_longest_burst() {
        let (answers, parameters) = answered(
            "FirstBurstLength=65536 MaxBurstLength=4096",
            &Wishes::default(),
        );
        assert_eq!(answers, "MaxBurstLength=4096 FirstBurstLength=4096");
        assert_eq!(parameters.first_burst_bytes, 4096);
        let (_, parameters) = answered("MaxBurstLength=4096", &Wishes::default());
        assert_eq!(parameters.first_burst_bytes, 4096);
    }

    #[test]
    fn a_key_offered_twice_ends_the_negotiation() {
        let twice = pairs("InitialR2T=Yes InitialR2T=No");
        let refused = respond(
            &twice,
            &Wishes::default(),
            &mut Parameters::default(),
            &mut Pairs::new(),
        );
        assert_eq!(
            refused,
            Err(NegotiationError::Repeated("InitialR2T".to_owned()))
        );
    }

    #[test]
    fn an_initiator_takes_only_answers_to_its_offer() {
        let concluded = |text: &str, wishes: Wishes| {
            let mut parameters = Parameters::default();
            conclude(&pairs(text), &wishes, &mut parameters).map(|()| parameters)
        };
        let wishes = Wishes::default();
        for wrong in [
            "HeaderDigest=CRC32C",
            "InitialR2T=No",
            "InitialR2T=Reject",
            "MaxBurstLength=262145",
            "MaxBurstLength=0",
            "MaxOutstandingR2T=2",
            "ErrorRecoveryLevel=1",
            "DataPDUInOrder=No",
        ] {
            assert!(concluded(wrong, wishes).is_err(), "{wrong}");
        }
        let required = Wishes {
            digests: DigestWish::Required,
            ..wishes
        };
        assert!(concluded("HeaderDigest=None", required).is_err());
        let parameters = concluded(
            "HeaderDigest=CRC32C ImmediateData=No MaxBurstLength=512",
            required,
        );
        let parameters = parameters.unwrap();
        assert!(parameters.digests.header && !parameters.immediate_data);
        assert_eq!(parameters.first_burst_bytes, 512);
    }

    #[test]
    fn what_one_end_offers_the_other_answers_and_both_have_the_same_in_force() {
        for digests in [
            DigestWish::Unwanted,
            DigestWish::Preferred,
            DigestWish::Required,
        ] {
            for flags in 0..4 {
                let initiator = Wishes {
                    digests,
                    initial_r2t: flags & 1 != 0,
                    immediate_data: flags & 2 != 0,
                    ..Wishes::default()
                };
                let target = Wishes {
                    initial_r2t: false,
                    max_burst_bytes: 4096,
                    ..Wishes::default()
                };
                let (mut ours, mut theirs) = (Parameters::default(), Parameters::default());
                let (mut text, mut answers) = (Pairs::new(), Pairs::new());
                offer(&initiator, &mut text);
                respond(&text, &target, &mut theirs, &mut answers).unwrap();
                conclude(&answers, &initiator, &mut ours).unwrap();
                assert_eq!(theirs.send_bytes_max, initiator.receive_bytes_max);
                ours.send_bytes_max = theirs.send_bytes_max;
                assert_eq!(ours, theirs);
            }
        }
    }

    proptest! {
        #[test]
        fn every_key_of_an_offer_is_answered_once(text in "([A-Za-z]{1,20}=[ -~]{0,20}\0){0,10}") {
            let offer = Pairs::parse(text.as_bytes()).unwrap();
            let mut answers = Pairs::new();
            let mut parameters = Parameters::default();
            if respond(&offer, &Wishes::default(), &mut parameters, &mut answers).is_ok() {
                prop_assert_eq!(answers.iter().count(), offer.iter().count());
                prop_assert!(parameters.first_burst_bytes <= parameters.max_burst_bytes);
            }
        }
    }
}

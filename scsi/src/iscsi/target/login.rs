//! The login as the target sees it (RFC 7143 section 6.3), pure: whom to let in, and how to talk.
//!
//! Invariants:
//! * nobody comes in who is not allowed, asks for another target, or must prove itself and has not;
//! * stages only go forward; every key is answered once;
//! * at most [`EXCHANGES_MAX`] requests, and text up to a bound, whatever arrives.

use crate::iscsi::chap::{self, Algorithm};
use crate::iscsi::keyring::Keyring;
use crate::iscsi::name::check_name;
use crate::iscsi::negotiation::{self, Parameters, Wishes};
use crate::iscsi::pdu::{Counters, Isid, LoginRequest, LoginResponse, LoginStatus, Stage};
use crate::iscsi::serial::Serial;
use crate::iscsi::text::{Gather, NOT_UNDERSTOOD, Pairs, REJECT, number};

/// How many requests one login may take.
const EXCHANGES_MAX: u32 = 32;

/// What a login is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// This target's name.
    pub target: &'a str,
    /// Who may come in; nobody named: everybody.
    pub allowed: &'a [String],
    /// Secrets; with an initiator's in it, initiators must prove themselves.
    pub keyring: &'a Keyring,
    /// What is negotiated.
    pub wishes: &'a Wishes,
}

/// Who came in, for what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Admitted {
    /// The initiator's name.
    pub initiator: String,
    /// Its port.
    pub isid: Isid,
    /// Only to ask which targets there are.
    pub discovery: bool,
    /// What was agreed.
    pub parameters: Parameters,
    /// The next CmdSN.
    pub exp_cmd_sn: Serial,
    /// The next StatSN.
    pub stat_sn: Serial,
    /// The connection's identifier.
    pub connection: u16,
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Send this; the login goes on.
    Continue(LoginResponse),
    /// Send this, and close.
    Refuse(LoginResponse),
    /// Send this once the session has its handle.
    Admit(Box<Admitted>, LoginResponse),
}

/// Where an authentication stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Chap {
    /// Nothing was said yet.
    Unspoken,
    /// CHAP was chosen.
    Chosen,
    /// The challenge was sent.
    Challenged(Algorithm),
    /// The initiator has proved itself, or need not.
    Proven,
}

/// A login under way.
#[derive(Debug)]
pub(super) struct Login {
    challenge: [u8; chap::CHALLENGE_BYTES],
    stage: Stage,
    chap: Chap,
    initiator: Option<String>,
    discovery: bool,
    /// Was the portal group named?
    introduced: bool,
    /// Was our own segment length said?
    declared: bool,
    parameters: Parameters,
    gather: Gather,
    exchanges: u32,
    stat_sn: Serial,
}

impl Login {
    /// A login on a new connection. The challenge is random.
    pub(super) fn new(challenge: [u8; chap::CHALLENGE_BYTES]) -> Self {
        Self {
            challenge,
            stage: Stage::Security,
            chap: Chap::Unspoken,
            initiator: None,
            discovery: false,
            introduced: false,
            declared: false,
            parameters: Parameters::default(),
            gather: Gather::default(),
            exchanges: 0,
            stat_sn: Serial(1),
        }
    }

    /// Takes one request.
    pub(super) fn handle(&mut self, request: &LoginRequest, rules: &Rules<'_>) -> Verdict {
        self.exchanges += 1;
        let mut text = Pairs::new();
        let step = self.step(request, rules, &mut text);
        let (next, status) = match step {
            Ok(next) => (next, LoginStatus::SUCCESS),
            Err(status) => (None, status),
        };
        let response = LoginResponse {
            current: request.current,
            next,
            isid: request.isid,
            tsih: request.tsih,
            task_tag: request.task_tag,
            counters: Counters {
                stat_sn: self.stat_sn,
                exp_cmd_sn: request.cmd_sn,
                max_cmd_sn: request.cmd_sn,
            },
            status,
            text: text.emit(),
            ..LoginResponse::default()
        };
        self.stat_sn = self.stat_sn.next();
        if !status.is_success() {
            return Verdict::Refuse(response);
        }
        match (next, &self.initiator) {
            (Some(Stage::FullFeature), Some(initiator)) => Verdict::Admit(
                Box::new(Admitted {
                    initiator: initiator.clone(),
                    isid: request.isid,
                    discovery: self.discovery,
                    parameters: self.parameters,
                    exp_cmd_sn: request.cmd_sn,
                    stat_sn: self.stat_sn,
                    connection: request.connection,
                }),
                response,
            ),
            _ => Verdict::Continue(response),
        }
    }

    /// The stage to go to, if any; answers go into `text`.
    fn step(
        &mut self,
        request: &LoginRequest,
        rules: &Rules<'_>,
        text: &mut Pairs,
    ) -> Result<Option<Stage>, LoginStatus> {
        if request.version_min > 0 {
            return Err(LoginStatus::UNSUPPORTED_VERSION);
        }
        if self.exchanges > EXCHANGES_MAX || request.current < self.stage {
            return Err(LoginStatus::INVALID_DURING_LOGIN);
        }
        self.stage = request.current;
        let gathered = self.gather.push(&request.text, request.more);
        let Some(offer) = gathered.map_err(|_| LoginStatus::INITIATOR_ERROR)? else {
            return Ok(None);
        };
        if offer.repeated().is_some() {
            return Err(LoginStatus::INITIATOR_ERROR);
        }
        if self.initiator.is_none() {
            self.introduce(&offer, rules)?;
        }
        if !self.introduced {
            self.introduced = true;
            if !self.discovery {
                text.push("TargetPortalGroupTag", super::TARGET_PORT.to_string());
            }
        }
        match request.current {
            Stage::Security => self.authenticate(&offer, rules, text)?,
            Stage::Operational | Stage::FullFeature => {
                if self.chap != Chap::Proven && !rules.keyring.initiators.is_empty() {
                    return Err(LoginStatus::AUTHENTICATION_FAILURE);
                }
                self.chap = Chap::Proven;
            }
        }
        negotiation::respond(&offer, rules.wishes, &mut self.parameters, text)
            .map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        if request.current == Stage::Operational && !self.declared {
            self.declared = true;
            let bytes = rules.wishes.receive_bytes_max;
            text.push("MaxRecvDataSegmentLength", bytes.to_string());
        }
        let next = request.next.filter(|_| self.chap == Chap::Proven);
        if let Some(next) = next {
            self.stage = next;
        }
        Ok(next)
    }

    /// Who is it, and what for?
    fn introduce(&mut self, offer: &Pairs, rules: &Rules<'_>) -> Result<(), LoginStatus> {
        let initiator = offer
            .get("InitiatorName")
            .ok_or(LoginStatus::MISSING_PARAMETER)?;
        check_name(initiator).map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        self.discovery = match offer.get("SessionType") {
            None | Some("Normal") => false,
            Some("Discovery") => true,
            Some(_) => return Err(LoginStatus::SESSION_TYPE),
        };
        if !self.discovery {
            match offer.get("TargetName") {
                None => return Err(LoginStatus::MISSING_PARAMETER),
                Some(name) if name != rules.target => return Err(LoginStatus::NOT_FOUND),
                Some(_) => {}
            }
        }
        if !rules.allowed.is_empty() && !rules.allowed.iter().any(|one| one == initiator) {
            return Err(LoginStatus::AUTHORIZATION_FAILURE);
        }
        self.initiator = Some(initiator.to_owned());
        Ok(())
    }

    fn authenticate(
        &mut self,
        offer: &Pairs,
        rules: &Rules<'_>,
        text: &mut Pairs,
    ) -> Result<(), LoginStatus> {
        let wanted = !rules.keyring.initiators.is_empty();
        if let Some(methods) = offer.get("AuthMethod") {
            let offers = |method| methods.split(',').any(|known| known == method);
            if self.chap != Chap::Unspoken {
                return Err(LoginStatus::INITIATOR_ERROR);
            }
            if wanted && offers("CHAP") {
                text.push("AuthMethod", "CHAP");
                self.chap = Chap::Chosen;
            } else if !wanted && offers("None") {
                text.push("AuthMethod", "None");
                self.chap = Chap::Proven;
            } else {
                text.push("AuthMethod", REJECT);
                return Err(LoginStatus::AUTHENTICATION_FAILURE);
            }
        }
        if let Some(algorithms) = offer.get("CHAP_A") {
            if self.chap != Chap::Chosen {
                return Err(LoginStatus::INITIATOR_ERROR);
            }
            let algorithm =
                Algorithm::choose(algorithms).ok_or(LoginStatus::AUTHENTICATION_FAILURE)?;
            text.push("CHAP_A", algorithm.number());
            text.push("CHAP_I", self.challenge[0].to_string());
            text.push("CHAP_C", chap::encode(&self.challenge));
            self.chap = Chap::Challenged(algorithm);
        }
        if offer.get("CHAP_N").is_some() || offer.get("CHAP_R").is_some() {
            let Chap::Challenged(algorithm) = self.chap else {
                return Err(LoginStatus::INITIATOR_ERROR);
            };
            self.check_proof(algorithm, offer, rules)?;
            self.prove_oneself(algorithm, offer, rules, text)?;
            self.chap = Chap::Proven;
        }
        if self.chap == Chap::Unspoken && !wanted {
            self.chap = Chap::Proven;
        }
        Ok(())
    }

    fn check_proof(
        &self,
        algorithm: Algorithm,
        offer: &Pairs,
        rules: &Rules<'_>,
    ) -> Result<(), LoginStatus> {
        let given = offer.get("CHAP_R").and_then(chap::decode);
        let known = rules
            .keyring
            .initiators
            .iter()
            .find(|one| Some(one.name.as_str()) == offer.get("CHAP_N"));
        let (Some(given), Some(known)) = (given, known) else {
            return Err(LoginStatus::AUTHENTICATION_FAILURE);
        };
        let proof = algorithm.response(self.challenge[0], &known.secret, &self.challenge);
        if chap::same(&given, &proof) {
            Ok(())
        } else {
            Err(LoginStatus::AUTHENTICATION_FAILURE)
        }
    }

    /// Answers the initiator's own challenge, where there is one.
    fn prove_oneself(
        &self,
        algorithm: Algorithm,
        offer: &Pairs,
        rules: &Rules<'_>,
        text: &mut Pairs,
    ) -> Result<(), LoginStatus> {
        let (Some(id), Some(challenge)) = (offer.get("CHAP_I"), offer.get("CHAP_C")) else {
            return Ok(());
        };
        let id = number(id)
            .and_then(|id| u8::try_from(id).ok())
            .ok_or(LoginStatus::INITIATOR_ERROR)?;
        let challenge = chap::decode(challenge).ok_or(LoginStatus::INITIATOR_ERROR)?;
        // Our own challenge back would be answered for whoever has another login open (RFC 7143 12.1.3).
        let Some(own) = rules
            .keyring
            .target
            .as_ref()
            .filter(|_| challenge != self.challenge)
        else {
            return Err(LoginStatus::AUTHENTICATION_FAILURE);
        };
        text.push("CHAP_N", own.name.clone());
        let proof = algorithm.response(id, &own.secret, &challenge);
        text.push("CHAP_R", chap::encode(&proof));
        Ok(())
    }
}

/// The answer to a text request in full feature phase: which targets there are, and what may still be
/// negotiated.
pub(super) fn answer_text(
    request: &Pairs,
    target: &str,
    portals: &[String],
    parameters: &mut Parameters,
) -> Pairs {
    let mut answers = Pairs::new();
    for (key, value) in request.iter() {
        match key {
            "SendTargets" if value.is_empty() || value == "All" || value == target => {
                answers.push("TargetName", target);
                for portal in portals {
                    answers.push("TargetAddress", format!("{portal},{}", super::TARGET_PORT));
                }
            }
            "SendTargets" => {}
            // The one operational key that may change now (RFC 7143 13.12).
            "MaxRecvDataSegmentLength" => match number(value) {
                Some(bytes @ 512..=0xff_ffff) => parameters.send_bytes_max = bytes,
                Some(_) | None => answers.push(key, REJECT),
            },
            _ => answers.push(key, NOT_UNDERSTOOD),
        }
    }
    answers
}

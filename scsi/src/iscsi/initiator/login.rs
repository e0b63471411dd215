//! The login as the initiator sees it (RFC 7143 section 6.3), pure.
//!
//! ```text
//!   start ──► Security ──(CHAP_A, CHAP_N/CHAP_R)──► Operational ──► LoggedIn
//!                └── any refusal, any broken rule ──► LoginError
//! ```
//!
//! Invariants:
//! * a target that must prove itself and does not, is not logged in to;
//! * at most [`EXCHANGES_MAX`] requests are sent, whatever the target answers.

use crate::iscsi::chap::{self, Algorithm, Credentials};
use crate::iscsi::negotiation::{self, NegotiationError, Parameters, Wishes};
use crate::iscsi::pdu::{Isid, LoginRequest, LoginResponse, LoginStatus, Stage};
use crate::iscsi::serial::Serial;
use crate::iscsi::text::{Gather, Pairs, TextError};

/// How many requests one login may take. CHAP both ways takes four; a target that has more to ask each
/// time would never end.
const EXCHANGES_MAX: u32 = 16;

/// What is said about oneself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This initiator's name.
    pub initiator: String,
    /// This port's part of the session identifier.
    pub isid: Isid,
    /// The target's name.
    pub target: String,
    /// What this end proves itself with; none: the target must do without.
    pub credentials: Option<Credentials>,
    /// What the target must prove itself with.
    pub target_credentials: Option<Credentials>,
}

/// Why a login failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoginError {
    /// The target said no.
    #[error("the target refused the login: {status}{}", hint(*.status, *.had_credentials))]
    Refused {
        /// How it said so.
        status: LoginStatus,
        /// Did this end offer to prove itself?
        had_credentials: bool,
    },
    /// The target could not prove who it is.
    #[error("the target did not prove that it knows its CHAP secret: it may be another")]
    TargetNotProven,
    /// The target wants a kind of authentication that is not offered.
    #[error("the target wants {0} for authentication")]
    Method(String),
    /// The target broke the protocol.
    #[error("the target broke the rules of a login: {0}")]
    Protocol(String),
}

fn hint(status: LoginStatus, had_credentials: bool) -> &'static str {
    match status {
        LoginStatus::AUTHENTICATION_FAILURE if had_credentials => " (wrong CHAP name or secret)",
        LoginStatus::AUTHENTICATION_FAILURE => " (it wants CHAP; give it a --chap-file)",
        _ => "",
    }
}

impl From<TextError> for LoginError {
    fn from(error: TextError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<NegotiationError> for LoginError {
    fn from(error: NegotiationError) -> Self {
        Self::Protocol(error.to_string())
    }
}

fn protocol(why: &str) -> LoginError {
    LoginError::Protocol(why.to_owned())
}

/// What a login ends with.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// What was agreed.
    pub parameters: Parameters,
    /// The next CmdSN.
    pub cmd_sn: Serial,
    /// The last CmdSN that the target has room for.
    pub max_cmd_sn: Serial,
    /// The next StatSN that is expected.
    pub exp_stat_sn: Serial,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, and wait for its answer.
    Send(LoginRequest),
    /// Done.
    LoggedIn(LoggedIn),
}

/// Where the exchange stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// AuthMethod was sent.
    Method,
    /// CHAP_A was sent.
    Algorithm,
    /// CHAP_N and CHAP_R were sent.
    Proof,
    /// The operational parameters were sent.
    Operational,
}

/// A login under way.
#[derive(Debug)]
pub struct Login {
    identity: Identity,
    wishes: Wishes,
    /// Random bytes for the challenge to the target.
    challenge: [u8; chap::CHALLENGE_BYTES],
    phase: Phase,
    parameters: Parameters,
    exchanges: u32,
    gather: Gather,
    algorithm: Option<Algorithm>,
    cmd_sn: Serial,
    exp_stat_sn: Serial,
}

impl Login {
    /// Starts; the challenge is random, and new for each login.
    #[must_use]
    pub fn start(
        identity: Identity,
        wishes: Wishes,
        challenge: [u8; chap::CHALLENGE_BYTES],
    ) -> (Self, LoginRequest) {
        let mut text = Pairs::new();
        text.push("InitiatorName", identity.initiator.clone());
        text.push("SessionType", "Normal");
        text.push("TargetName", identity.target.clone());
        text.push(
            "AuthMethod",
            match (&identity.credentials, &identity.target_credentials) {
                (None, _) => "None",
                (Some(_), None) => "CHAP,None",
                (Some(_), Some(_)) => "CHAP",
            },
        );
        let mut login = Self {
            identity,
            wishes,
            challenge,
            phase: Phase::Method,
            parameters: Parameters::default(),
            exchanges: 0,
            gather: Gather::default(),
            algorithm: None,
            cmd_sn: Serial(1),
            exp_stat_sn: Serial(0),
        };
        let request = login.request(Stage::Security, Some(Stage::Operational), &text);
        (login, request)
    }

    fn request(&mut self, current: Stage, next: Option<Stage>, text: &Pairs) -> LoginRequest {
        self.exchanges += 1;
        LoginRequest {
            current,
            next,
            isid: self.identity.isid,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            text: text.emit(),
            ..LoginRequest::default()
        }
    }

    /// Takes the target's answer.
    ///
    /// # Errors
    /// [`LoginError`]; the connection is of no more use then.
    pub fn handle(&mut self, response: &LoginResponse) -> Result<Step, LoginError> {
        if !response.status.is_success() {
            return Err(LoginError::Refused {
                status: response.status,
                had_credentials: self.identity.credentials.is_some(),
            });
        }
        if self.exchanges >= EXCHANGES_MAX {
            return Err(protocol("it does not come to an end"));
        }
        self.exp_stat_sn = response.counters.stat_sn.next();
        let Some(answers) = self.gather.push(&response.text, response.more)? else {
            let stage = match self.phase {
                Phase::Method | Phase::Algorithm | Phase::Proof => Stage::Security,
                Phase::Operational => Stage::Operational,
            };
            return Ok(Step::Send(self.request(stage, None, &Pairs::new())));
        };
        match self.phase {
            Phase::Method => self.method_answered(response, &answers),
            Phase::Algorithm => self.challenged(&answers),
            Phase::Proof => self.proof_answered(response, &answers),
            Phase::Operational => self.operational_answered(response, &answers),
        }
    }

    fn method_answered(
        &mut self,
        response: &LoginResponse,
        answers: &Pairs,
    ) -> Result<Step, LoginError> {
        match (answers.get("AuthMethod"), &self.identity.credentials) {
            (Some("CHAP"), Some(_)) => {
                let mut text = Pairs::new();
                text.push("CHAP_A", Algorithm::OFFER);
                self.phase = Phase::Algorithm;
                Ok(Step::Send(self.request(Stage::Security, None, &text)))
            }
            // A target without authentication may leave the answer out.
            (Some("None") | None, _) if self.identity.target_credentials.is_none() => {
                self.go_operational(response)
            }
            (Some("None") | None, _) => Err(LoginError::TargetNotProven),
            (Some(method), _) => Err(LoginError::Method(method.to_owned())),
        }
    }

    /// The target has chosen an algorithm and sent its challenge.
    fn challenged(&mut self, answers: &Pairs) -> Result<Step, LoginError> {
        let Some(credentials) = &self.identity.credentials else {
            return Err(protocol("CHAP without having been offered it"));
        };
        let algorithm = answers
            .get("CHAP_A")
            .and_then(Algorithm::from_number)
            .ok_or_else(|| protocol("no CHAP_A that was offered"))?;
        let id = chap_id(answers).ok_or_else(|| protocol("no CHAP_I"))?;
        let challenge = answers
            .get("CHAP_C")
            .and_then(chap::decode)
            .ok_or_else(|| protocol("no CHAP_C"))?;
        let mut text = Pairs::new();
        text.push("CHAP_N", credentials.name.clone());
        let proof = algorithm.response(id, &credentials.secret, &challenge);
        text.push("CHAP_R", chap::encode(&proof));
        if self.identity.target_credentials.is_some() {
            // The same challenge back would let a target reflect it (RFC 7143 12.1.3).
            if challenge == self.challenge {
                return Err(LoginError::TargetNotProven);
            }
            text.push("CHAP_I", self.challenge[0].to_string());
            text.push("CHAP_C", chap::encode(&self.challenge));
        }
        self.algorithm = Some(algorithm);
        self.phase = Phase::Proof;
        Ok(Step::Send(self.request(
            Stage::Security,
            Some(Stage::Operational),
            &text,
        )))
    }

    fn proof_answered(
        &mut self,
        response: &LoginResponse,
        answers: &Pairs,
    ) -> Result<Step, LoginError> {
        if let (Some(expected), Some(algorithm)) =
            (&self.identity.target_credentials, self.algorithm)
        {
            let proof = algorithm.response(self.challenge[0], &expected.secret, &self.challenge);
            let given = answers.get("CHAP_R").and_then(chap::decode);
            let proven = answers.get("CHAP_N") == Some(&expected.name)
                && given.is_some_and(|given| chap::same(&given, &proof));
            if !proven {
                return Err(LoginError::TargetNotProven);
            }
        }
        self.go_operational(response)
    }

    fn go_operational(&mut self, response: &LoginResponse) -> Result<Step, LoginError> {
        match response.next {
            Some(Stage::Operational) => {}
            Some(Stage::FullFeature) => return Err(protocol("it skipped the negotiation")),
            Some(Stage::Security) | None => {
                return Err(protocol("it does not leave the security stage"));
            }
        }
        let mut text = Pairs::new();
        negotiation::offer(&self.wishes, &mut text);
        self.phase = Phase::Operational;
        Ok(Step::Send(self.request(
            Stage::Operational,
            Some(Stage::FullFeature),
            &text,
        )))
    }

    fn operational_answered(
        &mut self,
        response: &LoginResponse,
        answers: &Pairs,
    ) -> Result<Step, LoginError> {
        negotiation::conclude(answers, &self.wishes, &mut self.parameters)?;
        if response.next.is_none() {
            // The target has had something to ask; what it said stands in `parameters`.
            return Ok(Step::Send(self.request(
                Stage::Operational,
                Some(Stage::FullFeature),
                &Pairs::new(),
            )));
        }
        if response.tsih == 0 {
            return Err(protocol("a session without a handle"));
        }
        Ok(Step::LoggedIn(LoggedIn {
            parameters: self.parameters,
            cmd_sn: self.cmd_sn,
            max_cmd_sn: response.counters.max_cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        }))
    }
}

fn chap_id(pairs: &Pairs) -> Option<u8> {
    crate::iscsi::text::number(pairs.get("CHAP_I")?).and_then(|id| u8::try_from(id).ok())
}

//! How real units differ from the standards, as one table of named differences.
//!
//! The rules of this module read as the standards do and ask [`Behaviour::has`] where some unit is
//! known to do otherwise. Each difference has a name, the behaviours that show it, why it matters, and
//! where it was read or measured; nothing differs without a row here.
//!
//! Sources: "LIO" is `target_core_pr.c`, `target_core_ua.c`, `target_core_spc.c` and `target_core_sbc.c` of
//! Linux, read, and measured in a guest of Linux 6.1 where it says so; "tgt" is `spc.c` and `target.c` of tgt,
//! read, and tgt 1.0.85 run.

use std::fmt;

/// Whose behaviour the unit has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Behaviour {
    /// SPC-2, SPC-4, SBC-3 and SAM-5 as they are written.
    #[default]
    Standard,
    /// Linux's kernel target.
    Lio,
    /// The user-space target of the Linux SCSI target framework.
    Tgt,
    /// Wrong in every way that was ever seen: what a machine above must survive without losing data.
    Hostile,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Lio, Self::Tgt, Self::Hostile];

    /// The name that users type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Lio => "lio",
            Self::Tgt => "tgt",
            Self::Hostile => "hostile",
        }
    }

    /// The behaviour with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Does it differ from the standards in this?
    #[must_use]
    pub fn has(self, difference: Difference) -> bool {
        difference.row().behaviours.contains(&self)
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The difference.
    pub difference: Difference,
    /// Its name, for reports.
    pub name: &'static str,
    /// Who shows it.
    pub behaviours: &'static [Behaviour],
    /// What differs, and what the standard says.
    pub reason: &'static str,
    /// Where it is known from.
    pub source: &'static str,
}

/// Declares the differences and their table in one place, so that neither can miss a row of the other.
macro_rules! differences {
    ($($(#[$doc:meta])* $variant:ident $name:literal [$($who:ident),+] $reason:literal $source:literal;)+) => {
        /// A way in which some unit differs from the standards. Its row says which, why and whence.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Difference {
            $(#[doc = $reason] $variant,)+
        }

        /// The table: one row for each difference, in the order of the enum.
        pub const DIFFERENCES: &[Row] = &[
            $(Row {
                difference: Difference::$variant,
                name: $name,
                behaviours: &[$(Behaviour::$who),+],
                reason: $reason,
                source: $source,
            },)+
        ];
    };
}

impl Difference {
    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static Row {
        &DIFFERENCES[self as usize]
    }
}

differences! {
    // What a nexus meets before its command is looked at.
    EveryAttentionBeforeConflict "every-attention-before-conflict" [Lio, Tgt]
        "Any attention is reported before RESERVATION CONFLICT. SAM-5, Status precedence, puts only those of the 29h family first."
        "LIO: the attention check runs before the reservation check, measured; tgt: scsi_cmd_perform";
    UnsupportedBeforeAttention "unsupported-before-attention" [Lio]
        "An unknown operation code or an address out of range is refused before an attention or a conflict is looked at."
        "LIO: the CDB is parsed when it arrives, attentions are checked when it runs";
    RequestSenseClearsAll "request-sense-clears-all" [Lio]
        "REQUEST SENSE reports the first attention and forgets the others. SPC-4 6.39 clears only the one reported."
        "LIO: core_scsi3_ua_clear_for_request_sense";
    AttentionClearsAll "attention-clears-all" [Lio]
        "The first attention that is reported takes all others with it. SAM-5 5.14.1 clears only the one reported."
        "LIO: core_scsi3_ua_for_check_condition; measured in 6.1";
    NoDescriptorRequestSense "no-descriptor-request-sense" [Lio]
        "REQUEST SENSE with DESC is 05/24/00. SPC-4 6.39 answers in the descriptor form."
        "LIO: spc_emulate_request_sense; measured in 6.1";
    RequestSenseMeetsAttentions "request-sense-meets-attentions" [Tgt]
        "REQUEST SENSE ends with CHECK CONDITION and the first attention, and leaves it waiting. SPC-4 6.39 reports it as data and clears it."
        "tgt: scsi_cmd_perform; tgt 1.0.85, run";
    AttentionsInOrderOfArrival "attentions-in-order-of-arrival" [Tgt]
        "Attentions leave in the order in which they came, repeats included. SAM-5 puts resets first."
        "tgt: ua_sense_add appends";
    OnlyResetsGoFirst "only-resets-go-first" [Lio]
        "Attentions other than resets leave in the order in which they came. SAM-5 5.14.1 orders them too."
        "LIO: core_scsi3_ua_allocate compares a qualifier with a code; measured in 6.1";
    NoNexusLossAttention "no-nexus-loss-attention" [Lio, Tgt]
        "A nexus that was lost and comes back meets no 29/07. SAM-5, I_T nexus loss, establishes it."
        "LIO: nothing raises 29/07; tgt: no such code";
    ResetAttentionIsPowerOn "reset-attention-is-power-on" [Tgt]
        "A reset raises 29/00 in place of 29/02 and 29/03."
        "tgt 1.0.85, run: LUN reset raises 29/00";
    HostileAttentions "hostile-attentions" [Hostile]
        "An attention may come one command late, be another one, or never come."
        "arrays that lose attentions on failover; others on the nexus that eat them";

    // SPC-2 reservations.
    Spc2AdmitsOnlyInquiry "spc2-admits-only-inquiry" [Lio]
        "Under another's SPC-2 reservation REQUEST SENSE, REPORT LUNS, READ CAPACITY and LOG SENSE conflict too. SPC-2 lets them pass."
        "LIO: target_scsi2_reservation_check; READ CAPACITY measured through QEMU";
    Spc2AdmitsModeSense "spc2-admits-mode-sense" [Tgt]
        "MODE SENSE passes under another's SPC-2 reservation. SPC-2 says conflict."
        "tgt 1.0.85 under iscsi-test-cu, Reserve6.2Initiators fails for it";
    RegistrantsReserveConflicts "registrants-reserve-conflicts" [Lio]
        "RESERVE or RELEASE of a registrant that is not the holder conflicts under the registrants only and all registrants types. SPC-4 5.13.3 answers GOOD and does nothing."
        "LIO: it looks at the type stored with the registrant, which only the holder has; measured";
    Spc2AdmitsPersistent "spc2-admits-persistent" [Tgt]
        "PERSISTENT RESERVE IN and OUT pass under an SPC-2 reservation, and both kinds can be in force at once. SPC-2 5.5.1 says conflict."
        "tgt 1.0.85, run";
    NoTenByteReserve "no-ten-byte-reserve" [Tgt]
        "RESERVE(10) and RELEASE(10) are not there."
        "tgt 1.0.85, run: 05/20/00";
    ReserveOptionsIgnored "reserve-options-ignored" [Lio, Tgt]
        "Third-party and extent bits of RESERVE and RELEASE are ignored. A unit without them answers 05/24/00."
        "LIO: only both low bits together are refused; tgt: not looked at";

    // Access under a persistent reservation.
    NoDataPassesWriteExclusive "no-data-passes-write-exclusive" [Lio]
        "Under a write exclusive type an unregistered nexus may do what transfers no data out, SYNCHRONIZE CACHE too. SBC-3 says conflict."
        "LIO: core_scsi3_pr_seq_non_holder asks for the data direction";
    ReadCapacityConflicts "read-capacity-conflicts" [Lio]
        "READ CAPACITY conflicts where READ does. SBC-3 always lets it pass."
        "LIO: not among the allowed codes of core_scsi3_pr_seq_non_holder; measured in 6.1";
    ModeSenseConflictsAsWrites "mode-sense-conflicts-as-writes" [Tgt]
        "MODE SENSE conflicts under a write exclusive type too, where a WRITE would. SPC-4 table 65 lets it pass."
        "tgt: the conflict bits of sbc_template; tgt 1.0.85, run";
    RegistrantsMayModeSense "registrants-may-mode-sense" [Lio]
        "A registrant that does not hold an Exclusive Access reservation may MODE SENSE and REPORT SUPPORTED OPERATION CODES. SPC-4 table 65 says conflict."
        "LIO: core_scsi3_pr_seq_non_holder";

    // PERSISTENT RESERVE OUT: what is refused, and how.
    ListBeforeConflict "list-before-conflict" [Tgt]
        "PERSISTENT RESERVE OUT looks at its parameter list before it looks who asks. SPC-4 table 66 says conflict first."
        "tgt: check_pr_out_basic_parameter; tgt 1.0.85, run";
    UnregisteredIsNotReady "unregistered-is-not-ready" [Lio]
        "RESERVE, RELEASE, CLEAR and REGISTER AND MOVE of an unregistered nexus end with 02/08/00 while nothing is reserved. SPC-4 5.13.7 says RESERVATION CONFLICT."
        "LIO: TCM_LOGICAL_UNIT_COMMUNICATION_FAILURE";
    WrongReleaseConflicts "wrong-release-conflicts" [Lio]
        "RELEASE with another type or scope than is held conflicts. SPC-4 5.13.11.2.2 says 05/26/04."
        "LIO: core_scsi3_emulate_pro_release";
    IdleReleaseIgnoresKey "idle-release-ignores-key" [Lio, Tgt]
        "RELEASE of a registrant that holds nothing is GOOD whatever its key. SPC-4 6.16.3 says conflict for a wrong key."
        "LIO, tgt: the key is compared after the holder";
    ReserveIgnoresKey "reserve-ignores-key" [Tgt]
        "RESERVE does not compare the reservation key. SPC-4 6.16.3 says conflict for a wrong one."
        "tgt: spc_pr_reserve";
    BadScopeIsListField "bad-scope-is-list-field" [Lio]
        "A scope other than the logical unit is 05/26/00. SPC-4 6.16.2 has the scope in the CDB: 05/24/00."
        "LIO: core_scsi3_pro_reserve, core_scsi3_emulate_pro_preempt";
    PreemptLooksAtTheTypeFirst "preempt-looks-at-the-type-first" [Lio]
        "PREEMPT with a type that is none is 05/24/00 whoever asks and whatever the victim. SPC-4 5.13.11.4 looks at the type only where the reservation is taken over."
        "LIO: the switch in core_scsi3_emulate_pro_preempt; measured in 6.1";
    BadListIsCdbField "bad-list-is-cdb-field" [Tgt]
        "A parameter list that is too short, or whose bits are not supported, is 05/24/00. SPC-4 6.16 says 05/1A/00 and 05/26/00."
        "tgt: check_pr_out_basic_parameter";
    NoPowerLossNoPorts "no-power-loss-no-ports" [Tgt]
        "APTPL, ALL_TG_PT and SPEC_I_PT are not there."
        "tgt: check_pr_out_basic_parameter, REPORT CAPABILITIES";
    NoPreemptAndAbort "no-preempt-and-abort" [Tgt]
        "PREEMPT AND ABORT is not there."
        "tgt: persistent_reserve_out_actions";
    PortsStayAsRegistered "ports-stay-as-registered" [Lio]
        "ALL_TG_PT with a new key for a nexus that is registered changes the key alone. SPC-4 5.13.7 registers it at every port."
        "LIO: the existing registration is updated in place; measured in 6.1";
    PortsMustBeAllAgain "ports-must-be-all-again" [Lio]
        "A registration made with ALL_TG_PT is changed or removed only with ALL_TG_PT, else 05/24/00."
        "LIO: core_scsi3_emulate_pro_register";
    MoveLooksAtTheListFirst "move-looks-at-the-list-first" [Lio]
        "REGISTER AND MOVE refuses what is wrong with its list (05/26/00) before it looks who holds. SPC-4 5.13.8 says conflict for who does not hold."
        "LIO: core_scsi3_emulate_pro_register_and_move; measured in 6.1";
    DestinationsMustBeKnown "destinations-must-be-known" [Lio]
        "SPEC_I_PT and REGISTER AND MOVE refuse an initiator port that has no nexus yet. SPC-4 5.13.7 registers any that the transport could name."
        "LIO: the node ACL is looked up";
    RegisteredPortsAreSkipped "registered-ports-are-skipped" [Lio]
        "SPEC_I_PT passes over an initiator port that is registered already. SPC-4 5.13.7 says 05/26/00, and registers nobody."
        "LIO: core_scsi3_decode_spec_i_port";
    MoveToRegistrantsOnly "move-to-registrants-only" [Tgt]
        "REGISTER AND MOVE finds its destination by the service action key, which must be registered; from a registrant that holds nothing it is GOOD and does nothing. SPC-4 5.13.8 registers the destination, and conflicts."
        "tgt: spc_pr_register_and_move";

    // PERSISTENT RESERVE OUT: what happens.
    FirstHolderFallsToPreempt "first-holder-falls-to-preempt" [Lio]
        "Under an all registrants type, PREEMPT of the key whose nexus reserved takes the reservation over with the type given. SPC-4 5.13.11.2.5 removes the registrations and leaves the reservation."
        "LIO: the key is compared with that of the recorded holder";
    PreemptSparesCaller "preempt-spares-caller" [Tgt]
        "PREEMPT of one's own key leaves one's own registration. SPC-4 5.13.11.2.5 removes it where it does not hold."
        "tgt: spc_pr_preempt skips the caller";
    SharedPreemptSparesCaller "shared-preempt-spares-caller" [Lio]
        "The same, under an all registrants type only."
        "LIO: core_scsi3_emulate_pro_preempt skips the caller in that branch";
    PreemptOfNothingIsGood "preempt-of-nothing-is-good" [Tgt]
        "PREEMPT of key 0 with nothing reserved is GOOD. SPC-4 5.13.11.2.4.1 says 05/26/00."
        "tgt: spc_pr_preempt looks at the key only beside a holder";
    UnregisteringIsNotCounted "unregistering-is-not-counted" [Lio]
        "Removing one's registration leaves PRGENERATION. SPC-4 6.15.2 counts it."
        "LIO: only additions, key changes, CLEAR and PREEMPT count";
    EmptyRegisterIsCounted "empty-register-is-counted" [Tgt]
        "REGISTER with key 0 from an unregistered nexus counts PRGENERATION, and a holder that unregisters counts it twice. SPC-4 5.13.7 does nothing but answer GOOD."
        "tgt: spc_pr_register";
    EachPortIsCounted "each-port-is-counted" [Lio]
        "PRGENERATION counts each port registered by SPEC_I_PT. SPC-4 6.15.2 counts the command."
        "LIO: __core_scsi3_add_registration";
    ClearTurnsAptplOff "clear-turns-aptpl-off" [Lio]
        "CLEAR turns APTPL off. SPC-4 5.13.5.1 leaves it to the next REGISTER."
        "LIO: core_scsi3_emulate_pro_clear";
    PreemptedAttentionIsCleared "preempted-attention-is-cleared" [Tgt]
        "PREEMPT raises 2A/03 in place of 2A/05 for those who lost their registration."
        "tgt: spc_pr_preempt";
    ReleaseAttentionsReversed "release-attentions-reversed" [Tgt]
        "RELEASE raises 2A/04 for Write Exclusive and Exclusive Access and not for the others. SPC-4 5.13.11.2.2 has it the other way round."
        "tgt: spc_pr_release; fails iscsi-test-cu";
    ReleaseAttendsTheOthers "release-attends-the-others" [Tgt]
        "A reservation that is given up raises 2A/04, once for each other registrant, for every nexus but that registrant's: for strangers and the releaser too. SPC-4 5.13.11.2.2 raises it for the registrants."
        "tgt: ua_sense_add_other_it_nexus; tgt 1.0.85, run";
    UnregisterAlwaysAttends "unregister-always-attends" [Tgt]
        "A holder that unregisters raises 2A/04 whatever the type. SPC-4 5.13.11.2.3 raises it for the registrants only types."
        "tgt: __unregister_and_clean";
    RegistrationEndsWithNexus "registration-ends-with-nexus" [Tgt]
        "A registration belongs to its session: after a nexus loss it stays listed, and no nexus owns it. SPC-4 5.13.7 binds it to the nexus."
        "tgt: lookup_registration_by_nexus compares the time of creation; nothing removes the entry";
    AbortDoesNotAbort "abort-does-not-abort" [Hostile]
        "PREEMPT AND ABORT and CLEAR TASK SET leave queued commands, which run later."
        "LIO before the mend for keys that hold nothing; arrays behind a cache";
    LyingGood "lying-good" [Hostile]
        "A PERSISTENT RESERVE OUT may answer GOOD and have done nothing."
        "paths through gateways that answer for the unit";

    // PERSISTENT RESERVE IN.
    NoFullStatus "no-full-status" [Tgt, Hostile]
        "READ FULL STATUS is not there."
        "tgt: persistent_reserve_in_actions; older arrays";
    ShortAllocationRefused "short-allocation-refused" [Lio, Tgt]
        "PERSISTENT RESERVE IN with an allocation length below 8 (below 6 for REPORT CAPABILITIES of LIO) is 05/24/00. SPC-4 4.2.5.6 cuts the answer short."
        "LIO, tgt: each service action checks";
    FullStatusCountsWhatFits "full-status-counts-what-fits" [Lio]
        "READ FULL STATUS tells only of registrations whose TransportID's length fits behind those before, and counts no others. SPC-4 6.15.5 counts all."
        "LIO: core_scsi3_pri_read_full_status; measured in 6.1, where a descriptor that just begins to fit is told and cut";
    ReservationNeedsRoom "reservation-needs-room" [Lio]
        "READ RESERVATION with an allocation length below 22 tells that there is a reservation but not which. SPC-4 4.2.5.6 cuts the answer at the allocation length."
        "LIO: core_scsi3_pri_read_reservation; measured in 6.1";
    NoCompatibleHandling "no-compatible-handling" [Tgt]
        "REPORT CAPABILITIES says CRH=0."
        "tgt: spc_pr_report_capabilities";

    // The rest.
    AbortedEndWithStatus "aborted-end-with-status" [Lio]
        "Commands aborted from another nexus end with TASK ABORTED. With TAS=0 (SPC-4 7.5.8) they end without status, and 2F/00 waits."
        "LIO: emulate_tas is 1";
    NoCompareAndWrite "no-compare-and-write" [Tgt]
        "COMPARE AND WRITE is not there."
        "tgt 1.0.85 with a file behind it, run: 05/20/00";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_finds_its_own_row() {
        for row in DIFFERENCES {
            assert_eq!(row.difference.row().name, row.name);
            assert!(
                !row.behaviours.contains(&Behaviour::Standard),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn names_are_unique_and_lead_back() {
        let names: std::collections::BTreeSet<_> = DIFFERENCES.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), DIFFERENCES.len());
        for behaviour in Behaviour::ALL {
            assert_eq!(Behaviour::from_name(behaviour.name()), Some(behaviour));
        }
    }
}

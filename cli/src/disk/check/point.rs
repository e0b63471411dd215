//! One question of a check and what came of it, and the verdict over all of them.

use serde_json::{Value, json};

/// What came of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// As a quorum disk must be.
    Passed,
    /// Not as a quorum disk must be.
    Failed,
    /// Not tested, or it needs more than this run had.
    NotProven,
}

/// A question and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Point {
    /// Its short name.
    pub(super) name: &'static str,
    /// What must hold, in words.
    pub(super) claim: &'static str,
    /// What came of it.
    pub(super) answer: Answer,
    /// Why, where that is not plain.
    pub(super) why: Option<String>,
}

/// Over all points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Everything was tested, and holds.
    Fit,
    /// Something does not hold.
    Unfit,
    /// Nothing failed, and not everything was tested.
    NotProven,
}

impl Answer {
    /// As JSON spells it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotProven => "not-proven",
        }
    }
}

impl Point {
    /// A point that has this answer.
    pub(super) fn new(name: &'static str, claim: &'static str, answer: Answer) -> Self {
        Self {
            name,
            claim,
            answer,
            why: None,
        }
    }

    /// With the reason.
    #[must_use]
    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// As a document has it.
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "claim": self.claim,
            "answer": self.answer.name(),
            "why": self.why,
        })
    }
}

impl Verdict {
    /// The verdict over these points; nothing tested is nothing proven.
    pub(super) fn over(points: &[Point]) -> Self {
        let any = |answer| points.iter().any(|point| point.answer == answer);
        if any(Answer::Failed) {
            Self::Unfit
        } else if points.is_empty() || any(Answer::NotProven) {
            Self::NotProven
        } else {
            Self::Fit
        }
    }

    /// As JSON spells it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Unfit => "unfit",
            Self::NotProven => "not-proven",
        }
    }
}

/// How many points have this answer.
pub(super) fn count(points: &[Point], answer: Answer) -> usize {
    points.iter().filter(|point| point.answer == answer).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_unfit_and_one_gap_is_not_proven() {
        let point = |answer| Point::new("p", "c", answer);
        let (passed, failed, open) = (
            point(Answer::Passed),
            point(Answer::Failed),
            point(Answer::NotProven),
        );
        assert_eq!(Verdict::over(&[]), Verdict::NotProven);
        assert_eq!(Verdict::over(std::slice::from_ref(&passed)), Verdict::Fit);
        assert_eq!(
            Verdict::over(&[passed.clone(), open.clone()]),
            Verdict::NotProven
        );
        assert_eq!(Verdict::over(&[passed, open, failed]), Verdict::Unfit);
    }
}

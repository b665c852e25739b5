//! One line of the table: what was measured, against what, and whether the goal is met.

use serde_json::{Value, json};

/// One result.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    id: &'static str,
    what: String,
    measured: f64,
    unit: &'static str,
    reference: Option<(String, f64)>,
    goals: Vec<Goal>,
}

/// What one figure should be.
#[derive(Debug, Clone, Copy)]
struct Goal {
    of_ratio: bool,
    at_least: bool,
    limit: f64,
}

impl Row {
    /// A figure without a goal.
    pub(crate) fn new(
        id: &'static str,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
    ) -> Self {
        Self { id, what: what.into(), measured, unit, reference: None, goals: Vec::new() }
    }

    /// What it is compared with: a figure of the same run and unit.
    #[must_use]
    pub(crate) fn against(mut self, what: impl Into<String>, figure: f64) -> Self {
        self.reference = Some((what.into(), figure));
        self
    }

    /// The figure must reach `limit`.
    #[must_use]
    pub(crate) fn at_least(self, limit: f64) -> Self {
        self.goal(Goal { of_ratio: false, at_least: true, limit })
    }

    /// The figure must stay below `limit`, or reach it exactly.
    #[must_use]
    pub(crate) fn at_most(self, limit: f64) -> Self {
        self.goal(Goal { of_ratio: false, at_least: false, limit })
    }

    /// The figure must be at least `limit` of its reference.
    #[must_use]
    pub(crate) fn ratio_at_least(self, limit: f64) -> Self {
        self.goal(Goal { of_ratio: true, at_least: true, limit })
    }

    /// The figure must be at most `limit` of its reference.
    #[must_use]
    pub(crate) fn ratio_at_most(self, limit: f64) -> Self {
        self.goal(Goal { of_ratio: true, at_least: false, limit })
    }

    fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|(_, reference)| self.measured / reference)
    }

    /// Whether all goals are met; `None` without one. A figure that is not a number meets none.
    fn is_met(&self) -> Option<bool> {
        let is_goal_met = |goal: &Goal| {
            let figure =
                if goal.of_ratio { self.ratio().unwrap_or(f64::NAN) } else { self.measured };
            if goal.at_least { figure >= goal.limit } else { figure <= goal.limit }
        };
        (!self.goals.is_empty()).then(|| self.goals.iter().all(is_goal_met))
    }

    fn goal_text(&self) -> String {
        let one = |goal: &Goal| {
            let sign = if goal.at_least { ">=" } else { "<=" };
            let of = if goal.of_ratio { "x" } else { "" };
            format!("{sign} {}{of}", shown(goal.limit))
        };
        self.goals.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The line for people.
    pub(crate) fn text(&self) -> String {
        let measured = format!("{} {}", shown(self.measured), self.unit);
        let reference = match &self.reference {
            Some((what, figure)) => format!("{} {what}", shown(*figure)),
            None => String::new(),
        };
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        let verdict = match self.is_met() {
            None => "",
            Some(true) => "met",
            Some(false) => "SHORT",
        };
        let (id, what, goal) = (self.id, &self.what, self.goal_text());
        format!(
            "{id:<5} {what:<44} {measured:>18}  {reference:<34} {ratio:>7}  {goal:<18} {verdict}"
        )
        .trim_end()
        .to_owned()
    }

    /// The names of the columns of [`Self::text`].
    pub(crate) fn heading() -> String {
        let (id, what, measured, reference) = ("id", "what", "measured", "reference of this run");
        let (ratio, goal) = ("ratio", "goal");
        format!("{id:<5} {what:<44} {measured:>18}  {reference:<34} {ratio:>7}  {goal}")
    }

    /// The line for programs.
    pub(crate) fn object(&self) -> Value {
        let goal = if self.goals.is_empty() { Value::Null } else { self.goal_text().into() };
        json!({
            "id": self.id,
            "what": self.what,
            "measured": self.measured,
            "unit": self.unit,
            "reference": self.reference.as_ref().map(|(_, figure)| figure),
            "reference_what": self.reference.as_ref().map(|(what, _)| what),
            "ratio": self.ratio(),
            "goal": goal,
            "is_met": self.is_met(),
        })
    }
}

/// Three digits that say something.
fn shown(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => trimmed(format!("{figure:.1}")),
        size if size >= 1.0 => trimmed(format!("{figure:.2}")),
        _ => trimmed(format!("{figure:.3}")),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_limit_and_not_past_it() {
        let met = |row: Row| row.is_met();
        let row = |figure| Row::new("P1", "test", figure, "MB");
        assert_eq!(met(row(1.0)), None);
        assert_eq!(met(row(400.0).at_least(400.0)), Some(true));
        assert_eq!(met(row(399.0).at_least(400.0)), Some(false));
        assert_eq!(met(row(1.1).at_most(1.1)), Some(true));
        assert_eq!(met(row(1.2).at_most(1.1)), Some(false));
        assert_eq!(met(row(75.0).against("raw", 100.0).ratio_at_least(0.75)), Some(true));
        assert_eq!(met(row(74.0).against("raw", 100.0).ratio_at_least(0.75)), Some(false));
        assert_eq!(met(row(131.0).against("raw", 100.0).ratio_at_most(1.3)), Some(false));
        assert_eq!(met(row(500.0).at_least(400.0).ratio_at_least(0.75)), Some(false));
        assert_eq!(met(row(f64::NAN).at_most(1.0)), Some(false));
    }

    #[test]
    fn lines_say_what_programs_and_people_need() {
        let row = Row::new("P1", "ingest", 300.0, "MB/CPU-s").against("ceiling", 500.0);
        let row = row.at_least(400.0).ratio_at_least(0.75);
        assert!(row.text().ends_with(">= 400, >= 0.75x   SHORT"), "{}", row.text());
        assert_eq!(row.object()["ratio"], 0.6);
        assert_eq!(row.object()["is_met"], false);
        assert_eq!(
            [shown(0.0123), shown(1.0), shown(12.34), shown(1234.5)],
            ["0.012", "1", "12.3", "1234"]
        );
    }
}

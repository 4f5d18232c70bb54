//! What every panel is given: the session to read, the view state to change, a queue for requests.

use super::commands::Facts;
use super::derived::Derived;
use super::frames::FrameBudget;
use super::state::{Queue, ViewState};
use crate::ops::Stage;
use crate::project::{Content, Project};
use crate::session::Session;

/// A panel's surroundings during one frame. It cannot reach `&mut Project`.
pub(crate) struct Cx<'a> {
    /// The document, jobs and settings, to read.
    pub(crate) session: &'a Session,
    /// What the window knows.
    pub(crate) view: &'a mut ViewState,
    /// Where requests go.
    pub(crate) queue: &'a mut Queue,
    /// What is computed from the document for showing it.
    pub(crate) derived: &'a mut Derived,
    /// What is possible now.
    pub(crate) facts: Facts,
    /// Name of the device that draws; `None` where nothing can be drawn.
    pub(crate) device: Option<&'a str>,
    /// What frames cost, and when the next may come.
    pub(crate) frames: &'a FrameBudget,
    /// The document as it was at a keyframe, while the scene of that is made.
    pub(crate) past: Option<&'a Project>,
}

impl<'a> Cx<'a> {
    /// The document as it is drawn.
    pub(crate) fn project(&self) -> &'a Project {
        self.past.unwrap_or_else(|| self.session.project())
    }
}

/// Whether a stage of the work has its result.
pub(crate) fn stage_done(cx: &Cx<'_>, stage: Stage) -> bool {
    let project = cx.session.project();
    match stage {
        Stage::Scan => has(project, |c| matches!(c, Content::Scan(_) | Content::Series(_))),
        Stage::Align => has(project, |c| matches!(c, Content::Alignment(_))),
        Stage::Reconstruct => {
            project.layers.iter().any(|l| l.volume().is_some() && l.provenance.op == "reconstruct")
        }
        Stage::Quality => super::panels::quality::is_judged(project),
        Stage::Segment => project
            .layers
            .iter()
            .any(|l| l.provenance.op != "demo" && l.labels().is_some_and(|labels| !labels.labels.is_empty())),
        Stage::Measure => !super::panels::measure::tables(project).is_empty(),
        Stage::Correlate => project.layers.iter().any(|l| l.placement != glam::DAffine3::IDENTITY),
        Stage::Export => cx.view.exported,
    }
}

fn has(project: &Project, wanted: impl Fn(&Content) -> bool) -> bool {
    project.layers.iter().any(|layer| wanted(&layer.content))
}

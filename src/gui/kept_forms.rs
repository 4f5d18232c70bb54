//! What is set up for figures and films, as a project keeps it.

use serde::{Deserialize, Serialize};

use super::film::FilmForm;
use super::panels::figure::FigureForm;
use super::state::ViewState;
use crate::project::Project;
use crate::session::Session;

/// Under which name they are kept with the project.
const KEPT: &str = "export";

/// Both forms.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Forms {
    figure: FigureForm,
    film: FilmForm,
}

/// Keeps them with the project; they are written with the next save.
pub(crate) fn keep(session: &mut Session, view: &ViewState) {
    let forms = Forms { figure: view.figure.clone(), film: view.film.clone() };
    if let Ok(value) = serde_json::to_value(&forms) {
        session.keep_aside(KEPT, value);
    }
}

/// Takes up those that a project was saved with; without any they are as in a new one.
pub(crate) fn read(project: &Project, view: &mut ViewState) {
    let kept = project.kept.get(KEPT).cloned();
    let forms: Forms = kept.and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or_default();
    view.figure = forms.figure.within_limits();
    view.film = forms.film.within_limits();
}

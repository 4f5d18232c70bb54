//! The demo cells: what the welcome page starts.

use serde_json::json;

use crate::session::{Command, Session};

/// Makes a demo cell and its scan.
pub(crate) fn open(session: &mut Session, cell: &str) {
    session.apply(Command::OpenDemo(json!({ "cell": cell })));
}

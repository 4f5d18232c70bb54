//! How many frames the window asks for by itself.

use serde_json::json;
use waterwindow::gui::{App, Start};
use waterwindow::session::{Command, Session, Settings};

/// A window without a device, on a clock that waits for nobody.
struct Clock {
    ctx: egui::Context,
    app: App,
    now: f64,
}

impl Clock {
    fn new(session: Session) -> Self {
        let ctx = egui::Context::default();
        let app = App::with_session(&ctx, None, session, Start::default());
        Self { ctx, app, now: 0.0 }
    }

    /// One frame; how long until the next that nobody asked for by hand, seconds.
    fn frame(&mut self, events: Vec<egui::Event>) -> f64 {
        let size = egui::vec2(1440.0, 900.0);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(self.now),
            events,
            ..egui::RawInput::default()
        };
        let mut output = self.ctx.run_ui(input, |ui| self.app.frame(ui));
        // Nothing is drawn here.
        output.textures_delta.clear();
        output
            .viewport_output
            .values()
            .map(|viewport| viewport.repaint_delay.as_secs_f64())
            .fold(1e9, f64::min)
    }

    /// Frames of so many seconds in which nobody touches anything.
    fn leave_alone(&mut self, seconds: f64) -> usize {
        let until = self.now + seconds;
        let mut n = 0;
        while self.now < until {
            self.now += self.frame(Vec::new()).max(1.0 / 60.0);
            n += 1;
        }
        n
    }

    fn is_working(&self) -> bool {
        self.app.session().jobs().iter().any(|job| !job.state.is_over())
    }
}

/// A window beside a job that goes on for seconds.
fn at_work() -> Clock {
    let mut session = Session::new(Settings::default());
    let params = json!({ "size": 512, "views": 180 });
    session.apply(Command::StartOp { op: "demo".to_owned(), params, inputs: Vec::new(), name: None });
    Clock::new(session)
}

#[test]
fn frames_beside_a_job_take_a_twentieth_of_a_core() {
    let mut clock = at_work();
    clock.leave_alone(2.0);
    let before = clock.app.frames_spent();
    let n = clock.leave_alone(20.0);
    assert!(clock.is_working(), "the job is over too soon for this test");
    let share = (clock.app.frames_spent() - before) / 20.0;
    // The last frame may begin at the end of the time.
    assert!(share < 0.06, "{share} of a core in {n} frames");
    assert!((2..=210).contains(&n), "{n} frames");
}

#[test]
fn a_hand_gets_its_frames_and_the_bar_goes_on_alone() {
    let mut clock = at_work();
    clock.leave_alone(2.0);
    let moved = |x: f32| vec![egui::Event::PointerMoved(egui::pos2(x, 400.0))];
    for step in 0..30 {
        clock.frame(moved(300.0 + step as f32));
        clock.now += 1.0 / 30.0;
    }
    let n = clock.leave_alone(1.0);
    assert!(n <= 25, "fades end soon after a hand has gone: {n} frames in a second");
    assert!(clock.is_working(), "the job is over too soon for this test");
    // With nothing at work nothing is drawn at all.
    let mut idle = Clock::new(Session::new(Settings::default()));
    idle.leave_alone(2.0);
    assert!(idle.frame(Vec::new()) > 1e6);
}

//! When the next frame may come that nobody asked for by hand.
//!
//! While a job runs and nobody touches the window, frames take [`SHARE`] of a core: how often they come is set by what one
//! costs on this machine. What the hand does, and the end of a job, wait for nothing.

use std::time::Duration;

/// Part of one core that frames take while a job runs and nobody touches the window.
const SHARE: f64 = 0.05;
/// How long after the last touch frames belong to the hand, seconds: fades end in it, and a turned volume gets a sharper picture.
const IN_USE: f64 = 0.5;
/// Between two frames that show progress, however little they cost, seconds.
const LEAST: f64 = 0.1;
/// The same, however much they cost: a bar that stands still longer looks as if nothing were done.
const MOST: f64 = 10.0;
/// Between two pieces of a picture where nothing else is at work.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(8);

/// What frames cost here, and when the next one is due. Times are seconds of the window's clock.
#[derive(Debug, Default)]
pub(crate) struct FrameBudget {
    /// Processor time of a frame, seconds; 0 before one was measured.
    cost: f64,
    /// What frames at rest took beyond their share, seconds.
    debt: f64,
    /// When the last frame began, and the processor time of all frames until then.
    last: Option<(f64, f64)>,
    touched: Option<f64>,
    is_working: bool,
    due: f64,
}

impl FrameBudget {
    /// Somebody did something in the window.
    pub(crate) fn touch(&mut self, now: f64) {
        self.touched = Some(now);
    }

    /// A frame begins; all frames so far took `spent` seconds of processor time. `is_working` while a job runs.
    pub(crate) fn begin(&mut self, now: f64, spent: f64, is_working: bool) {
        if let Some((began, before)) = self.last {
            let cost = (spent - before).max(0.0);
            // A dear frame counts at once, a cheap one after the other.
            self.cost = if cost > self.cost { cost } else { f64::midpoint(self.cost, cost) };
            self.debt = (self.debt + cost - SHARE * (now - began)).clamp(0.0, self.cost);
        }
        self.is_working = is_working;
        if !self.is_resting(now) {
            self.debt = 0.0;
        }
        self.last = Some((now, spent));
        self.due = now + ((self.debt + self.cost) / SHARE).clamp(LEAST, MOST);
    }

    /// Whether a job runs and nobody touches the window.
    fn is_resting(&self, now: f64) -> bool {
        self.is_working && self.touched.is_none_or(|touched| now - touched > IN_USE)
    }

    /// How long until progress is shown again.
    pub(crate) fn next_progress(&self, now: f64) -> Duration {
        Duration::from_secs_f64((self.due - now).max(LEAST))
    }

    /// How long until the next piece of a picture that becomes finer is drawn.
    pub(crate) fn next_piece(&self, now: f64) -> Duration {
        if self.is_resting(now) { self.next_progress(now) } else { AT_ONCE }
    }

    /// Whether pieces of pictures may take long: nobody would feel it, and no job waits for the processor.
    pub(crate) fn is_calm(&self, now: f64) -> bool {
        !self.is_working && self.touched.is_none_or(|touched| now - touched > IN_USE)
    }
}

/// Asks for one frame. Without a delay egui draws two.
pub(crate) fn wake(ctx: &egui::Context) {
    ctx.request_repaint_after(Duration::from_nanos(1));
}

/// Lets the cursor of text fields blink, or stand still: every blink is a frame.
pub(crate) fn blink(ctx: &egui::Context, blinks: bool) {
    if ctx.global_style().visuals.text_cursor.blink != blinks {
        ctx.all_styles_mut(|style| style.visuals.text_cursor.blink = blinks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames within `seconds` where each costs `cost` and comes when it is due; and what they took, as a part of a core.
    fn run(budget: &mut FrameBudget, from: f64, seconds: f64, cost: impl Fn(usize) -> f64) -> (usize, f64) {
        let (mut now, mut n, mut taken) = (from, 0, 0.0);
        let before = budget.last.map_or(0.0, |(_, spent)| spent);
        while now < from + seconds {
            budget.begin(now, before + taken, true);
            taken += cost(n);
            n += 1;
            now += budget.next_piece(now).min(budget.next_progress(now)).as_secs_f64();
        }
        (n, taken / seconds)
    }

    #[test]
    fn frames_beside_a_job_keep_to_their_share_whatever_they_cost() {
        for cost in [0.001, 0.02, 0.2, 0.4] {
            let mut budget = FrameBudget::default();
            let (n, share) = run(&mut budget, 0.0, 200.0, |_| cost);
            // The first two come before anything is known of their cost.
            assert!(share <= SHARE + 3.0 * cost / 200.0, "{share} at {cost}");
            assert!(n >= 20, "the bar moves: {n} frames at {cost}");
            assert!(n <= 2001, "{n}");
        }
    }

    #[test]
    fn a_dear_frame_is_paid_back_and_a_cheap_machine_is_not_held_up() {
        let mut budget = FrameBudget::default();
        let (_, share) = run(&mut budget, 0.0, 400.0, |n| if n % 5 == 0 { 0.3 } else { 0.05 });
        assert!(share < SHARE * 1.1, "{share}");
        let mut budget = FrameBudget::default();
        let (n, _) = run(&mut budget, 0.0, 10.0, |_| 0.002);
        assert!(n > 90, "ten a second: {n}");
    }

    #[test]
    fn the_hand_is_never_held_up_and_gives_way_when_it_rests() {
        let mut budget = FrameBudget::default();
        run(&mut budget, 0.0, 20.0, |_| 0.2);
        let spent = budget.last.map_or(0.0, |(_, spent)| spent);
        budget.begin(20.0, spent + 0.2, true);
        assert!(budget.next_piece(20.0) > Duration::from_secs(1));
        budget.touch(20.0);
        assert_eq!(budget.next_piece(20.4), AT_ONCE);
        assert!(budget.next_piece(20.6) > Duration::from_secs(1));
        assert!(!budget.is_calm(30.0), "a job wants the processor");
        budget.begin(31.0, 10.0, false);
        assert_eq!((budget.next_piece(31.0), budget.is_calm(31.0)), (AT_ONCE, true));
    }
}

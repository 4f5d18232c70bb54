//! When to draw how finely: coarse while something moves, finer and finer while it rests.
//!
//! Once the picture is at full resolution more samples follow, each a part of a pixel and of a step aside, whose mean
//! is shown: edges and steps become smooth. Their places are always the same, so that a view has one picture.
//!
//! The 3-D view is drawn in pieces of work, each small enough for its budget, into a picture that
//! replaces the shown one when it is whole. Knows no device and no window: it is told how long
//! each piece took.

use std::time::Duration;

/// A piece of work: some rows of a picture of some size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Size of the picture this is a part of, pixels.
    pub size: [u32; 2],
    /// First row.
    pub row: u32,
    /// Number of rows.
    pub n_rows: u32,
    /// Whether the picture is whole after this.
    pub is_last: bool,
    /// Edge of its pixels, 1 for full resolution, 0.5 for half.
    pub fraction: f32,
    /// Which sample of the pixels, 0 for their middles.
    pub sample: u32,
}

/// Where a sample lies: right and down of the middle of its pixel, in pixels, and how far along a step of its ray, 0 to 1.
///
/// Halton's points, which fill pixel and step evenly however many there are; the first is the middle.
pub(crate) fn sample_offset(sample: u32) -> [f64; 3] {
    if sample == 0 {
        return [0.0; 3];
    }
    [halton(sample, 2) - 0.5, halton(sample, 3) - 0.5, halton(sample, 5)]
}

/// The digits of a number in a base, mirrored at the point.
fn halton(mut number: u32, base: u32) -> f64 {
    let (mut value, mut share) = (0.0, 1.0);
    while number > 0 {
        share /= f64::from(base);
        value += share * f64::from(number % base);
        number /= base;
    }
    value
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Something changed: one coarse picture is due.
    Moving,
    /// Drawing the picture at this place of [`LEVELS`], rows from here on are due.
    Level(usize, u32),
    /// Drawing this sample of the full picture, rows from here on are due.
    Sample(u32, u32),
    Done,
}

/// Resolutions while at rest.
pub(crate) const LEVELS: [f32; 2] = [0.5, 1.0];
/// Resolutions while moving, the best that fits its budget is taken.
const COARSE: [f32; 7] = [1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125];

/// Pieces of a picture at rest.
const MOST_PIECES: u32 = 64;

/// The state machine of one view.
#[derive(Debug, Clone)]
pub struct Refinement {
    size: [u32; 2],
    motion_budget: Duration,
    /// Time per pixel, seconds, as measured; pieces differ, so it follows slowly downwards.
    secs_per_px: f64,
    state: State,
    shown: f32,
    /// How many samples a pixel gets at rest.
    samples: u32,
}

impl Refinement {
    /// For a view of this size. `motion_budget` is what a frame may take while moving: 80 ms on
    /// a software driver gives the 10 frames a second that still feel connected to the hand.
    pub fn new(size: [u32; 2], motion_budget: Duration, secs_per_px: f64) -> Self {
        let size = size.map(|n| n.max(1));
        Self { size, motion_budget, secs_per_px, state: State::Moving, shown: 0.0, samples: 1 }
    }

    /// How many samples a pixel gets at rest, from 1.
    pub fn set_samples(&mut self, samples: u32) {
        self.samples = samples.max(1);
    }

    /// The scene changed: what is being refined is out of date.
    pub fn begin_motion(&mut self) {
        self.state = State::Moving;
    }

    /// The view has another size now.
    pub fn resize(&mut self, size: [u32; 2]) {
        let size = size.map(|n| n.max(1));
        if size != self.size {
            self.size = size;
            self.begin_motion();
        }
    }

    /// Whether the picture shown is at full resolution and nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Resolution of the last whole picture, 1 is full; 0 before the first.
    pub fn shown_fraction(&self) -> f32 {
        self.shown
    }

    /// The next piece of work, meant to take about `budget` (or the motion budget for the coarse
    /// picture); `None` when the full picture is there.
    pub fn next_work(&mut self, budget: Duration) -> Option<Work> {
        let picture = |fraction: f32| self.size.map(|n| ((n as f32 * fraction).round() as u32).max(1));
        match self.state {
            State::Done => None,
            State::Moving => {
                let affordable = self.motion_budget.as_secs_f64() / self.secs_per_px;
                let fits = |fraction: &&f32| {
                    let [w, h] = picture(**fraction);
                    f64::from(w) * f64::from(h) <= affordable
                };
                let fraction = COARSE.iter().find(fits).copied().unwrap_or(COARSE[COARSE.len() - 1]);
                let size = picture(fraction);
                Some(Work { size, row: 0, n_rows: size[1], is_last: true, fraction, sample: 0 })
            }
            State::Level(level, row) => Some(self.rows(LEVELS[level], row, 0, budget)),
            State::Sample(sample, row) => Some(self.rows(1.0, row, sample, budget)),
        }
    }

    /// Rows of a picture that are drawn within a budget.
    fn rows(&self, fraction: f32, row: u32, sample: u32, budget: Duration) -> Work {
        let size = self.size.map(|n| ((n as f32 * fraction).round() as u32).max(1));
        let affordable = budget.as_secs_f64() / self.secs_per_px / f64::from(size[0]);
        // No less than a part of the picture, as every piece costs a frame of the window; no more than is left.
        let n_rows = (affordable as u32).max(size[1].div_ceil(MOST_PIECES)).min(size[1] - row);
        Work { size, row, n_rows, is_last: row + n_rows == size[1], fraction, sample }
    }

    /// A piece was handed to the device: go on to the next.
    pub fn advance(&mut self, work: &Work) {
        if work.is_last {
            self.shown = work.fraction;
        }
        self.state = match self.state {
            State::Level(level, _) if !work.is_last => State::Level(level, work.row + work.n_rows),
            State::Sample(sample, _) if !work.is_last => State::Sample(sample, work.row + work.n_rows),
            State::Moving | State::Level(..) => self.level_above(work.fraction),
            State::Sample(sample, _) => self.sample_after(sample),
            State::Done => State::Done,
        };
    }

    fn level_above(&self, fraction: f32) -> State {
        let level = LEVELS.iter().position(|level| *level > fraction);
        level.map_or_else(|| self.sample_after(0), |level| State::Level(level, 0))
    }

    fn sample_after(&self, sample: u32) -> State {
        if sample + 1 < self.samples { State::Sample(sample + 1, 0) } else { State::Done }
    }

    /// How long a piece took. Dear pieces count at once, cheap ones (sky) slowly.
    pub fn measured(&mut self, work: &Work, took: Duration) {
        let pixels = f64::from(work.size[0]) * f64::from(work.n_rows);
        let now = (took.as_secs_f64() / pixels).max(1e-11);
        let weight = if now > self.secs_per_px { 0.7 } else { 0.25 };
        self.secs_per_px += (now - self.secs_per_px) * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(40);

    fn run(mut refinement: Refinement, secs_per_px: f64) -> (Vec<f32>, f64) {
        let (mut whole, mut longest) = (Vec::new(), 0.0f64);
        while let Some(work) = refinement.next_work(BUDGET) {
            let took = f64::from(work.size[0]) * f64::from(work.n_rows) * secs_per_px;
            refinement.advance(&work);
            refinement.measured(&work, Duration::from_secs_f64(took));
            if work.is_last {
                whole.push(work.fraction);
            }
            longest = longest.max(took);
            assert!(whole.len() < 10, "it ends");
        }
        (whole, longest)
    }

    #[test]
    fn a_slow_device_gets_coarse_then_half_then_full_in_short_pieces() {
        // 2 µs a pixel: a full HD picture takes four seconds.
        let start = Refinement::new([1920, 1080], Duration::from_millis(80), 2e-6);
        let (whole, longest) = run(start, 2e-6);
        assert_eq!(whole, [0.125, 0.5, 1.0]);
        // One coarse picture at the lowest resolution and the least piece at rest take 65 ms each.
        assert!(longest < 0.085, "{longest}");
    }

    #[test]
    fn pictures_of_every_height_come_to_an_end() {
        for height in 1..40 {
            for secs_per_px in [1e-9, 1e-5, 1e-3] {
                let (whole, _) = run(Refinement::new([50, height], BUDGET, secs_per_px), secs_per_px);
                assert_eq!(whole.last(), Some(&1.0), "{height} rows");
            }
        }
    }

    #[test]
    fn a_busy_machine_still_ends_in_few_pieces() {
        // Every piece seems to take a hundred times as long as it should.
        let mut refinement = Refinement::new([1920, 1080], BUDGET, 2e-4);
        let mut n = 0;
        while let Some(work) = refinement.next_work(BUDGET) {
            refinement.advance(&work);
            n += 1;
        }
        assert!(n <= 1 + 2 * MOST_PIECES, "{n} pieces");
    }

    #[test]
    fn a_fast_device_draws_the_full_picture_at_once() {
        let start = Refinement::new([1920, 1080], Duration::from_millis(12), 1e-9);
        assert_eq!(run(start, 1e-9).0, [1.0]);
    }

    #[test]
    fn at_rest_every_pixel_gets_its_samples_and_then_nothing_more_is_drawn() {
        for secs_per_px in [1e-9, 1e-5] {
            let mut refinement = Refinement::new([300, 200], BUDGET, secs_per_px);
            refinement.set_samples(5);
            let mut rows = [0; 5];
            let mut n = 0;
            while let Some(work) = refinement.next_work(BUDGET) {
                refinement.advance(&work);
                if work.fraction >= 1.0 {
                    assert_eq!(work.size, [300, 200]);
                    rows[work.sample as usize] += work.n_rows;
                }
                n += 1;
                assert!(n < 1000, "it ends");
            }
            assert_eq!(rows, [200; 5]);
            refinement.begin_motion();
            assert_eq!(refinement.next_work(BUDGET).unwrap().sample, 0);
        }
    }

    #[test]
    fn samples_fill_the_pixel_evenly() {
        let all: Vec<_> = (0..16).map(sample_offset).collect();
        for axis in 0..2 {
            let mean: f64 = all.iter().map(|offset| offset[axis]).sum::<f64>() / 16.0;
            assert!(mean.abs() < 0.05 && all.iter().all(|offset| offset[axis].abs() < 0.5), "{mean}");
        }
    }

    #[test]
    fn a_change_throws_away_what_is_under_way() {
        let mut refinement = Refinement::new([800, 600], Duration::from_millis(80), 2e-6);
        let work = refinement.next_work(BUDGET).unwrap();
        refinement.advance(&work);
        assert!(refinement.next_work(BUDGET).unwrap().size[0] > work.size[0]);
        refinement.begin_motion();
        assert_eq!(refinement.next_work(BUDGET).unwrap(), work);
        refinement.resize([400, 300]);
        assert!(!refinement.is_done());
    }
}

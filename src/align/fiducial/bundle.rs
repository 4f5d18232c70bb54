//! Bundle adjustment of beads: positions and views at once, by Levenberg and Marquardt with robust weights.
//!
//! A bead at (X, Y, Z) from the middle is seen in view i at
//! `m_i R(φ_i) (X cos θ_i - Z sin θ_i, Y) + s_i` from the middle of the view (the model of IMOD's tiltalign
//! without beam tilt and stretching). Shifts s_i are free; φ, m and the change of θ are straight lines between
//! knots. Beads are eliminated (Schur complement), what is left is a dense system of the views.
//!
//! What no fit can know is set as follows: no turn, growth or change of tilt at the view nearest 0° but for the
//! one in-plane rotation that all views share, mean shift along y 0, no sinusoid of the tilt in the shifts
//! along x. A constant offset of the axis stays in the shifts.

use super::super::fit_sinusoid;
use super::dense::{self, Dense};
use crate::volume::BeadTracks;

/// Tukey's constant: 95 % of the efficiency of least squares on normal errors.
const TUKEY: f64 = 4.685;
/// Smallest spread of the errors that is believed, in pixels.
const FLOOR_PX: f64 = 0.02;
/// Standard deviations that knots are held to: degrees of rotation beside the common one, magnification, degrees of tilt.
const PRIOR: [f64; 3] = [0.2, 0.005, 0.3];

/// How many knots each property has; none keeps it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Knots {
    /// In-plane rotation; one is the same for all views.
    pub(super) rotation: usize,
    pub(super) magnification: usize,
    pub(super) tilt: usize,
}

impl Knots {
    fn counts(self) -> [usize; 3] {
        [self.rotation, self.magnification, self.tilt]
    }

    fn total(self) -> usize {
        self.rotation + self.magnification + self.tilt
    }
}

/// One view of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Tilt in radians.
    pub(super) theta: f64,
    /// In-plane rotation in radians.
    pub(super) phi: f64,
    pub(super) magnification: f64,
    /// (x, y) in pixels.
    pub(super) shift: [f64; 2],
}

impl View {
    /// Where a bead (X, Y, Z) is seen, from the middle of the view.
    pub(super) fn project(&self, [x, y, z]: [f64; 3]) -> [f64; 2] {
        let (sin, cos) = self.theta.sin_cos();
        let (sin_phi, cos_phi) = self.phi.sin_cos();
        let (u, m) = (x * cos - z * sin, self.magnification);
        [m * (cos_phi * u - sin_phi * y) + self.shift[0], m * (sin_phi * u + cos_phi * y) + self.shift[1]]
    }

    /// A⁻¹ shift: the shift of the aligned view, (x, y).
    fn aligned_shift(&self) -> [f64; 2] {
        let (sin, cos) = self.phi.sin_cos();
        let [x, y] = self.shift;
        [(cos * x + sin * y) / self.magnification, (cos * y - sin * x) / self.magnification]
    }

    fn set_aligned_shift(&mut self, [x, y]: [f64; 2]) {
        let (sin, cos) = self.phi.sin_cos();
        self.shift = [self.magnification * (cos * x - sin * y), self.magnification * (sin * x + cos * y)];
    }
}

/// One observation: which view (place among those fitted), where from the middle (x, y), how much it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) view: usize,
    pub(super) at: [f64; 2],
    pub(super) weight: f64,
    pub(super) residual: [f64; 2],
}

impl Seen {
    pub(super) fn distance(&self) -> f64 {
        self.residual[0].hypot(self.residual[1])
    }
}

/// Views, beads and what was seen of them.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) views: Vec<View>,
    /// (X, Y, Z) from the middle.
    pub(super) beads: Vec<[f64; 3]>,
    pub(super) seen: Vec<Vec<Seen>>,
    /// Tilts before the fit, in radians.
    nominal: Vec<f64>,
    /// Place of each view from 0 to 1 in the order of the tilts.
    place: Vec<f64>,
    knots: Knots,
    values: Vec<f64>,
}

impl Model {
    /// A model of the views at `angles_deg`; `place_of` gives the place of a view of the scan among them.
    pub(super) fn new(
        angles_deg: &[f64],
        tracks: &BeadTracks,
        middle_yx: [f64; 2],
        place_of: impl Fn(usize) -> Option<usize>,
        rotation_deg: f64,
    ) -> Self {
        let n = angles_deg.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| angles_deg[*a].total_cmp(&angles_deg[*b]));
        let mut place = vec![0.0; n];
        for (rank, view) in order.into_iter().enumerate() {
            place[view] = rank as f64 / (n.max(2) - 1) as f64;
        }
        let seen: Vec<Vec<Seen>> = tracks
            .beads
            .iter()
            .map(|bead| {
                let point = |p: &crate::volume::TrackPoint| {
                    let at = [p.x - middle_yx[1], p.y - middle_yx[0]];
                    Some(Seen { view: place_of(p.view)?, at, weight: 1.0, residual: [0.0; 2] })
                };
                bead.points.iter().filter_map(point).collect()
            })
            .collect();
        let nominal: Vec<f64> = angles_deg.iter().map(|a| a.to_radians()).collect();
        let phi = rotation_deg.to_radians();
        let view = |theta: &f64| View { theta: *theta, phi, magnification: 1.0, shift: [0.0; 2] };
        let mut model = Self {
            views: nominal.iter().map(view).collect(),
            beads: vec![[0.0; 3]; seen.len()],
            seen,
            nominal,
            place,
            knots: Knots { rotation: 1, magnification: 0, tilt: 0 },
            values: vec![phi],
        };
        for (bead, seen) in model.beads.iter_mut().zip(&model.seen) {
            let n = seen.len().max(1) as f64;
            bead[1] = seen.iter().map(|s| s.at[1]).sum::<f64>() / n;
        }
        model
    }

    /// Fits with more knots from where the model is.
    pub(super) fn with_knots(&self, knots: Knots) -> Self {
        let mut more = self.clone();
        let common = self.values.first().copied().unwrap_or(0.0);
        more.values = vec![0.0; knots.total()];
        more.values[..knots.rotation].fill(common);
        more.values[knots.rotation..knots.rotation + knots.magnification].fill(1.0);
        more.knots = knots;
        more.apply_knots();
        more
    }

    /// Knots beside a view and their weights.
    fn between(&self, count: usize, view: usize) -> [(usize, f64); 2] {
        if count < 2 {
            return [(0, 1.0), (0, 0.0)];
        }
        let at = self.place[view] * (count - 1) as f64;
        let low = (at as usize).min(count - 2);
        let t = at - low as f64;
        [(low, 1.0 - t), (low + 1, t)]
    }

    fn apply_knots(&mut self) {
        let counts = self.knots.counts();
        for view in 0..self.views.len() {
            let mut first = 0;
            for (kind, count) in counts.into_iter().enumerate() {
                if count == 0 {
                    continue;
                }
                let value: f64 =
                    self.between(count, view).iter().map(|(k, w)| w * self.values[first + k]).sum();
                match kind {
                    0 => self.views[view].phi = value,
                    1 => self.views[view].magnification = value,
                    _ => self.views[view].theta = self.nominal[view] + value,
                }
                first += count;
            }
        }
    }

    fn update_residuals(&mut self) {
        for (bead, seen) in self.beads.iter().zip(&mut self.seen) {
            for s in seen {
                let at = self.views[s.view].project(*bead);
                s.residual = [s.at[0] - at[0], s.at[1] - at[1]];
            }
        }
    }

    fn cost(&self) -> f64 {
        let data: f64 = self.seen.iter().flatten().map(|s| s.weight * s.distance().powi(2)).sum();
        data + self.prior().iter().map(|(_, value, strength)| strength * value * value).sum::<f64>()
    }

    /// Knots that are held: place among the knots, how far off, how strongly.
    fn prior(&self) -> Vec<(usize, f64, f64)> {
        let [rotation, magnification, tilt] = self.knots.counts();
        let strength = |kind: usize| {
            let sigma = if kind == 1 { PRIOR[1] } else { PRIOR[kind].to_radians() };
            (FLOOR_PX / sigma).powi(2)
        };
        let mut held = Vec::new();
        if rotation > 1 {
            let mean = self.values[..rotation].iter().sum::<f64>() / rotation as f64;
            held.extend((0..rotation).map(|k| (k, self.values[k] - mean, strength(0))));
        }
        held.extend((rotation..rotation + magnification).map(|k| (k, self.values[k] - 1.0, strength(1))));
        let first = rotation + magnification;
        held.extend((first..first + tilt).map(|k| (k, self.values[k], strength(2))));
        held
    }

    /// Robust weights at a spread of the errors; `redescending` ones leave far errors out altogether.
    fn reweigh(&mut self, sigma: f64, redescending: bool) {
        for s in self.seen.iter_mut().flatten() {
            let x = s.distance() / sigma;
            s.weight =
                if redescending { (1.0 - (x / TUKEY).powi(2)).max(0.0).powi(2) } else { 1.0 / x.max(1.0) };
        }
    }

    /// The spread of the errors along one axis, from the median distance of all or of those not left out.
    pub(super) fn spread(&self, only_weighted: bool) -> f64 {
        let mut distances: Vec<f64> = self
            .seen
            .iter()
            .flatten()
            .filter(|s| !only_weighted || s.weight > 0.0)
            .map(Seen::distance)
            .collect();
        if distances.is_empty() {
            return FLOOR_PX;
        }
        let middle = distances.len() / 2;
        let (_, median, _) = distances.select_nth_unstable_by(middle, f64::total_cmp);
        // Distances of normal errors along two axes follow Rayleigh, whose median is 1.1774 of them.
        (*median / 1.1774).max(FLOOR_PX)
    }

    /// Fits from anywhere: errors count by their size at first, then every view is placed by the most beads that
    /// agree, then far errors do not count at all.
    pub(super) fn fit(&mut self) {
        self.update_residuals();
        self.rounds(14, false);
        self.place_by_vote();
        self.rounds(16, true);
        self.set_gauge();
        self.update_residuals();
    }

    /// Fits from nearby.
    pub(super) fn go_on(&mut self) {
        self.update_residuals();
        self.rounds(10, true);
        self.set_gauge();
        self.update_residuals();
    }

    fn rounds(&mut self, most: usize, redescending: bool) {
        let mut damping = 1e-4;
        for _ in 0..most {
            self.reweigh(self.spread(false), redescending);
            let before = self.cost();
            if !self.step(&mut damping, before) || before - self.cost() < 1e-5 * before {
                break;
            }
        }
    }

    /// Moves each view to where most of its beads agree, if that is more than agree now: in a view most
    /// of whose points are wrong the others still point at one place.
    fn place_by_vote(&mut self) {
        let far = TUKEY * self.spread(false).max(0.1);
        let mut here: Vec<Vec<[f64; 2]>> = vec![Vec::new(); self.views.len()];
        for s in self.seen.iter().flatten() {
            here[s.view].push(s.residual);
        }
        for (view, residuals) in self.views.iter_mut().zip(here) {
            let support = |at: [f64; 2]| -> f64 {
                let part = |r: &[f64; 2]| ((r[0] - at[0]).hypot(r[1] - at[1]) / far).powi(2);
                residuals.iter().map(|r| (1.0 - part(r)).max(0.0).powi(2)).sum()
            };
            let now = support([0.0; 2]);
            let best = residuals.iter().max_by(|a, b| support(**a).total_cmp(&support(**b)));
            if let Some(best) = best.filter(|best| support(**best) > now + 0.5) {
                view.shift = [view.shift[0] + best[0], view.shift[1] + best[1]];
            }
        }
        self.update_residuals();
    }

    /// One step of Levenberg and Marquardt; whether one was found.
    fn step(&mut self, damping: &mut f64, before: f64) -> bool {
        let system = self.system();
        for _ in 0..8 {
            let Some(solution) = system.solve(*damping) else {
                *damping = (*damping * 10.0).max(1e-9);
                continue;
            };
            let saved = (self.views.clone(), self.beads.clone(), self.values.clone());
            let n = 2 * self.views.len();
            for (i, view) in self.views.iter_mut().enumerate() {
                view.shift[0] += solution.views[2 * i];
                view.shift[1] += solution.views[2 * i + 1];
            }
            self.values.iter_mut().zip(&solution.views[n..]).for_each(|(value, step)| *value += step);
            for (bead, step) in self.beads.iter_mut().zip(&solution.beads) {
                bead.iter_mut().zip(step).for_each(|(b, s)| *b += s);
            }
            self.apply_knots();
            self.update_residuals();
            if self.cost() <= before * (1.0 + 1e-12) + 1e-12 {
                *damping = (*damping * 0.2).max(1e-9);
                return true;
            }
            (self.views, self.beads, self.values) = saved;
            self.update_residuals();
            *damping = (*damping * 10.0).max(1e-9);
        }
        false
    }

    /// The normal equations at the present values.
    fn system(&self) -> Dense {
        let n_views = self.views.len();
        let size = 2 * n_views + self.knots.total();
        let mut system = Dense::new(size, 2 * n_views, self.beads.len());
        for (j, (bead, seen)) in self.beads.iter().zip(&self.seen).enumerate() {
            for s in seen.iter().filter(|s| s.weight > 0.0) {
                let (mut columns, by_bead) = self.derivatives(s.view, *bead);
                columns.push((2 * s.view, [1.0, 0.0]));
                columns.push((2 * s.view + 1, [0.0, 1.0]));
                system.add(j, &columns, by_bead, s.residual, s.weight);
            }
        }
        for (k, value, strength) in self.prior() {
            system.hold(2 * n_views + k, value, strength);
        }
        system
    }

    /// How a projection changes with the knots and with the bead.
    fn derivatives(&self, view: usize, [x, y, z]: [f64; 3]) -> (Vec<(usize, [f64; 2])>, [[f64; 3]; 2]) {
        let v = &self.views[view];
        let (sin, cos) = v.theta.sin_cos();
        let (sin_phi, cos_phi) = v.phi.sin_cos();
        let m = v.magnification;
        let u = x * cos - z * sin;
        let turned = [cos_phi * u - sin_phi * y, sin_phi * u + cos_phi * y];
        let du = -x * sin - z * cos;
        let by_kind = [[-m * turned[1], m * turned[0]], turned, [m * cos_phi * du, m * sin_phi * du]];
        let mut columns = Vec::with_capacity(8);
        let mut first = 2 * self.views.len();
        for (count, by) in self.knots.counts().into_iter().zip(by_kind) {
            if count > 0 {
                for (k, w) in self.between(count, view) {
                    if w > 0.0 {
                        columns.push((first + k, [w * by[0], w * by[1]]));
                    }
                }
            }
            first += count;
        }
        let by_bead = [
            [m * cos_phi * cos, -m * sin_phi, -m * cos_phi * sin],
            [m * sin_phi * cos, m * cos_phi, -m * sin_phi * sin],
        ];
        (columns, by_bead)
    }

    /// Sets what the fit leaves open; see the head of this file.
    fn set_gauge(&mut self) {
        let nearest = |a: &&usize, b: &&usize| {
            let tilt = |i: usize| self.nominal[i].sin().abs();
            tilt(**a).total_cmp(&tilt(**b))
        };
        let all: Vec<usize> = (0..self.views.len()).collect();
        let Some(&flat) = all.iter().min_by(nearest) else { return };
        let (tilt, growth) = (self.views[flat].theta - self.nominal[flat], self.views[flat].magnification);
        let (sin, cos) = tilt.sin_cos();
        for view in &mut self.views {
            view.theta -= tilt;
            view.magnification /= growth;
        }
        for [x, y, z] in &mut self.beads {
            (*x, *z) = (growth * (*x * cos - *z * sin), growth * (*x * sin + *z * cos));
            *y *= growth;
        }
        let mut shifts: Vec<[f64; 2]> = self.views.iter().map(View::aligned_shift).collect();
        let mean = shifts.iter().map(|s| s[1]).sum::<f64>() / shifts.len() as f64;
        let angles: Vec<f64> = self.views.iter().map(|view| view.theta).collect();
        let [a, b, _] = fit_sinusoid(&angles, shifts.iter().map(|s| s[0]));
        for ((shift, view), angle) in shifts.iter_mut().zip(&mut self.views).zip(&angles) {
            view.set_aligned_shift([shift[0] - a * angle.cos() - b * angle.sin(), shift[1] - mean]);
        }
        for [x, y, z] in &mut self.beads {
            *x += a;
            *z -= b;
            *y += mean;
        }
        let counts = self.knots.counts();
        let (first, end) = (counts[0], counts[0] + counts[1]);
        self.values[first..end].iter_mut().for_each(|value| *value /= growth);
        self.values[end..].iter_mut().for_each(|value| *value -= tilt);
    }

    /// Whether tilts are those of before the fit.
    pub(super) fn knots_keep_tilt(&self) -> bool {
        self.knots.tilt == 0
    }

    /// Sum of squared errors in units of `sigma`, each at most Tukey's limit.
    pub(super) fn robust_sum(&self, sigma: f64) -> f64 {
        self.seen.iter().flatten().map(|s| (s.distance() / sigma).min(TUKEY).powi(2)).sum()
    }

    /// Takes a bead out of the fit.
    pub(super) fn silence(&mut self, bead: usize) {
        self.seen[bead].clear();
    }
}

/// Root mean square distance by weight; `None` where nothing counts.
pub(super) fn rms<'a>(seen: impl Iterator<Item = &'a Seen>) -> Option<f64> {
    let (sum, total) =
        seen.fold((0.0, 0.0), |(sum, total), s| (sum + s.weight * s.distance().powi(2), total + s.weight));
    (total > 1e-9).then(|| dense::root(sum / total))
}

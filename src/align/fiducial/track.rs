//! Following discs from view to view: each view is placed by the vote of all, then each disc takes the nearest.
//!
//! From the flattest view outwards. What is known of a disc so far says where it should be next to it: a part
//! of a sinusoid along x, and nearly a constant along y. How far a view has jumped is the displacement that most
//! predictions agree on with discs of the view.

use super::detect::Disc;

/// Most discs that are followed.
const MAX_TRACKS: usize = 40;
/// Discs of a view that vote.
const MAX_VOTES: usize = 48;
/// A vote agrees within this many pixels, at least.
const AGREE_PX: f64 = 2.0;
/// How far a bead may lie from the axis along z for a start, as a share of the width of the view.
const DEPTH_SHARE: f64 = 0.15;
/// How well places are known while following, in pixels.
const SIGMA_PX: f64 = 0.5;
/// Times that the strength of one disc may differ from one view to the next.
const ALIKE: f64 = 2.5;

/// A disc that is followed: view, disc.
pub(super) type Track = Vec<(usize, Disc)>;

/// The strongest discs of a view that stand out from the rest: up to the largest drop in strength, if there is one.
pub(super) fn outstanding(discs: &[Disc]) -> usize {
    let n = discs.len().min(MAX_TRACKS);
    let drop = |i: &usize| discs[i - 1].strength / discs[*i].strength.max(1e-12);
    match (2..n).max_by(|a, b| drop(a).total_cmp(&drop(b))) {
        Some(place) if drop(&place) > 1.35 => place,
        _ => n,
    }
}

/// What is known of a disc where views are moved back: sums of a fit of 1, cos θ and sin θ along x and y.
#[derive(Debug, Clone)]
struct Path {
    track: Track,
    /// Normal matrix of (cos, sin), and right side along x.
    along_x: ([[f64; 2]; 2], [f64; 2]),
    /// The same of (1, sin) along y.
    along_y: ([[f64; 2]; 2], [f64; 2]),
    strength: f64,
}

impl Path {
    fn new(view: usize, angle: f64, disc: Disc, middle: [f64; 2], width: f64) -> Self {
        // The sinusoid's part that the flattest view does not tell is held near 0.
        let hold = (SIGMA_PX / (DEPTH_SHARE * width)).powi(2);
        let mut path = Self {
            track: Vec::new(),
            along_x: ([[1e-9, 0.0], [0.0, hold]], [0.0; 2]),
            along_y: ([[1e-9, 0.0], [0.0, 0.02]], [0.0; 2]),
            strength: disc.strength,
        };
        path.add(view, angle, disc, [disc.y - middle[0], disc.x - middle[1]]);
        path
    }

    fn add(&mut self, view: usize, angle: f64, disc: Disc, moved_back: [f64; 2]) {
        let (sin, cos) = angle.sin_cos();
        let add = |(normal, right): &mut ([[f64; 2]; 2], [f64; 2]), row: [f64; 2], value: f64| {
            for i in 0..2 {
                right[i] += row[i] * value;
                for j in 0..2 {
                    normal[i][j] += row[i] * row[j];
                }
            }
        };
        add(&mut self.along_x, [cos, sin], moved_back[1]);
        add(&mut self.along_y, [1.0, sin], moved_back[0]);
        self.strength += 0.2 * (disc.strength - self.strength);
        self.track.push((view, disc));
    }

    /// Where it should be where the view is moved back, (y, x) from the middle.
    fn predict(&self, angle: f64) -> [f64; 2] {
        let (sin, cos) = angle.sin_cos();
        let solve = |(n, r): &([[f64; 2]; 2], [f64; 2])| {
            let determinant = n[0][0] * n[1][1] - n[0][1] * n[1][0];
            [(n[1][1] * r[0] - n[0][1] * r[1]) / determinant, (n[0][0] * r[1] - n[1][0] * r[0]) / determinant]
        };
        let ([a, b], [c, d]) = (solve(&self.along_x), solve(&self.along_y));
        [c + d * sin, a * cos + b * sin]
    }

    fn is_like(&self, disc: &Disc) -> bool {
        let ratio = disc.strength / self.strength;
        (1.0 / ALIKE..=ALIKE).contains(&ratio)
    }
}

/// What following gives.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    /// Views and discs of each track, views as places in the list that was given.
    pub(super) tracks: Vec<Track>,
}

/// Follows the outstanding discs of the flattest view through all views.
///
/// `discs` and `angles_deg` are one a view; `shape` is (rows, columns).
pub(super) fn follow(discs: &[Vec<Disc>], angles_deg: &[f64], shape: [usize; 2]) -> Followed {
    let n = angles_deg.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| angles_deg[*a].total_cmp(&angles_deg[*b]));
    let tilt = |view: usize| angles_deg[view].to_radians().sin().abs();
    let Some(flat) = (0..n).min_by(|a, b| tilt(order[*a]).total_cmp(&tilt(order[*b]))) else {
        return Followed::default();
    };
    let middle = shape.map(|n| (n as f64 - 1.0) / 2.0);
    let first = order[flat];
    let seeds = &discs[first][..outstanding(&discs[first])];
    let angle = |view: usize| angles_deg[view].to_radians();
    let mut paths: Vec<Path> =
        seeds.iter().map(|disc| Path::new(first, angle(first), *disc, middle, shape[1] as f64)).collect();
    // Outwards on both sides in turn; each side knows how its last view had jumped.
    let mut jumps = [[0.0; 2]; 2];
    for distance in 1..n {
        for side in 0..2 {
            let place = if side == 0 { flat.checked_add(distance) } else { flat.checked_sub(distance) };
            let Some(&view) = place.and_then(|place| order.get(place)) else { continue };
            if let Some(jump) = place_view(&mut paths, &discs[view], view, angle(view), jumps[side], shape) {
                jumps[side] = jump;
            }
        }
    }
    let mut tracks: Vec<Track> = paths.into_iter().map(|path| path.track).collect();
    for track in &mut tracks {
        track.sort_by_key(|(view, _)| *view);
    }
    Followed { tracks }
}

/// Finds how far a view has jumped and gives each path its disc; `None` where too few agree.
fn place_view(
    paths: &mut [Path],
    discs: &[Disc],
    view: usize,
    angle: f64,
    near: [f64; 2],
    shape: [usize; 2],
) -> Option<[f64; 2]> {
    let middle = shape.map(|n| (n as f64 - 1.0) / 2.0);
    let far = 0.12 * shape[0].min(shape[1]) as f64 + 8.0;
    let predicted: Vec<[f64; 2]> = paths.iter().map(|path| path.predict(angle)).collect();
    let discs = &discs[..discs.len().min(MAX_VOTES)];
    let off = |p: &[f64; 2], disc: &Disc| [disc.y - middle[0] - p[0], disc.x - middle[1] - p[1]];
    // For a displacement: which paths have a disc there, and how far from it.
    let nearest = |path: usize, d: [f64; 2], within: f64| -> Option<(usize, f64)> {
        discs
            .iter()
            .enumerate()
            .filter(|(_, disc)| paths[path].is_like(disc))
            .map(|(k, disc)| {
                let o = off(&predicted[path], disc);
                (k, (o[0] - d[0]).hypot(o[1] - d[1]))
            })
            .filter(|(_, distance)| *distance < within)
            .min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let mut best = (0.0, [0.0; 2]);
    for (path, p) in predicted.iter().enumerate() {
        for disc in discs.iter().filter(|disc| paths[path].is_like(disc)) {
            let d = off(p, disc);
            let jump = (d[0] - near[0]).hypot(d[1] - near[1]);
            if jump > far {
                continue;
            }
            let votes: f64 = (0..paths.len())
                .filter_map(|path| nearest(path, d, AGREE_PX))
                .map(|(_, distance)| 1.0 - 0.5 * (distance / AGREE_PX).powi(2))
                .sum();
            // Of two that agree alike the smaller jump.
            let score = votes - 0.3 * jump / far;
            if score > best.0 {
                best = (score, d);
            }
        }
    }
    if best.0 < (0.3 * paths.len() as f64).clamp(1.2, 8.0).min(paths.len() as f64 - 0.4) {
        return None;
    }
    let mut d = best.1;
    for within in [AGREE_PX, AGREE_PX] {
        let agreed: Vec<[f64; 2]> = (0..paths.len())
            .filter_map(|path| nearest(path, d, within).map(|(k, _)| off(&predicted[path], &discs[k])))
            .collect();
        if agreed.is_empty() {
            return None;
        }
        d = [0, 1].map(|axis| median(agreed.iter().map(|o| o[axis]).collect()));
    }
    // Nearest pairs first; a disc belongs to one path.
    let mut pairs: Vec<(f64, usize, usize)> = (0..paths.len())
        .filter_map(|path| nearest(path, d, AGREE_PX + 0.5).map(|(k, distance)| (distance, path, k)))
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut taken = vec![false; discs.len()];
    for (_, path, k) in pairs {
        if !std::mem::replace(&mut taken[k], true) {
            let back = [discs[k].y - middle[0] - d[0], discs[k].x - middle[1] - d[1]];
            paths[path].add(view, angle, discs[k], back);
        }
    }
    Some(d)
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The diameter that is usual for a track.
pub(super) fn diameter(track: &Track) -> f64 {
    median(track.iter().map(|(_, disc)| disc.diameter).collect())
}

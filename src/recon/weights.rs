//! How much of the half turn each view stands for.

/// The widest gap between neighbouring views, in degrees, that is still filled by them.
const WEDGE_DEG: f64 = 15.0;

/// The angle in radians that each view stands for: half the distance to its neighbours on both sides.
///
/// Angles are taken modulo a half turn, so a full turn counts every direction twice with half the weight,
/// and repeated views share theirs. Without a missing wedge the weights add up to π. A gap of more than 15°
/// and three times the usual one is a wedge: the views at its ends get the step on their other side.
pub fn angular_weights(angles_deg: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> =
        angles_deg.iter().enumerate().map(|(i, a)| (a.rem_euclid(180.0), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // Directions that occur, with the views that look along them.
    let mut directions: Vec<(f64, Vec<usize>)> = Vec::new();
    for (angle, view) in order {
        match directions.last_mut() {
            Some((last, views)) if angle - *last < 1e-6 => views.push(view),
            _ => directions.push((angle, vec![view])),
        }
    }
    // 179.9999999° and 0° are one direction.
    if directions.len() > 1 && directions[0].0 + 180.0 - directions[directions.len() - 1].0 < 1e-6 {
        let last = directions.pop().map(|(_, views)| views).unwrap_or_default();
        directions[0].1.extend(last);
    }
    let n = directions.len();
    let mut gaps: Vec<f64> = (0..n)
        .map(|i| (directions[(i + 1) % n].0 - directions[i].0).rem_euclid(180.0))
        .map(|gap| if n == 1 { 180.0 } else { gap })
        .collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(n / 2).copied().unwrap_or(180.0);
    let is_wedge = |gap: f64| gap > WEDGE_DEG && gap > 3.0 * usual;
    let wedges: Vec<bool> = gaps.iter().map(|gap| is_wedge(*gap)).collect();
    for (gap, wedge) in gaps.iter_mut().zip(&wedges) {
        if *wedge {
            *gap = f64::NAN;
        }
    }
    let mut weights = vec![0.0; angles_deg.len()];
    for (i, (_, views)) in directions.iter().enumerate() {
        let (before, after) = (gaps[(i + n - 1) % n], gaps[i]);
        let step = match (before.is_nan(), after.is_nan()) {
            (false, false) => f64::midpoint(before, after),
            (true, false) => after,
            (false, true) => before,
            (true, true) => usual,
        };
        for view in views {
            weights[*view] = step.to_radians() / views.len() as f64;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn check(angles_deg: &[f64], expected_deg: &[f64]) {
        let weights = angular_weights(angles_deg);
        for (w, e) in weights.iter().zip(expected_deg) {
            assert!((w.to_degrees() - e).abs() < 1e-9, "{angles_deg:?}: {weights:?}");
        }
        assert_eq!(weights.len(), angles_deg.len());
    }

    #[test]
    fn weights_are_half_the_distances_to_the_neighbours() {
        check(&[0.0, 60.0, 120.0], &[60.0; 3]);
        check(&[0.0, 30.0, 90.0, 120.0], &[45.0, 45.0, 45.0, 45.0]);
        check(&[0.0, 10.0, 30.0, 60.0, 90.0, 120.0, 150.0], &[20.0, 15.0, 25.0, 30.0, 30.0, 30.0, 30.0]);
        check(&[5.0], &[180.0]);
        check(&[], &[]);
    }

    #[test]
    fn a_missing_wedge_is_not_filled() {
        let angles: Vec<f64> = (-65..=65).map(f64::from).collect();
        check(&angles, &vec![1.0; angles.len()]);
    }

    #[test]
    fn a_full_turn_and_repeated_views_share_their_direction() {
        let turn: Vec<f64> = (0..360).map(f64::from).collect();
        check(&turn, &vec![0.5; 360]);
        let turn: Vec<f64> = (0..=360).map(f64::from).collect();
        let total: f64 = angular_weights(&turn).iter().sum();
        assert!((total - PI).abs() < 1e-9, "{total}");
        check(&[0.0, 0.0, 90.0], &[45.0, 45.0, 90.0]);
    }
}

//! Point registration in closed form: rigid, similarity and affine maps, and the small matrices they need.
//!
//! The rotation is the eigenvector of Horn's quaternion matrix (1987, doi:10.1364/JOSAA.4.000629): the
//! same least-squares optimum as Umeyama's singular values with the determinant fixed, and never a
//! mirror image, whatever the points.

use glam::{DAffine3, DMat3, DMat4, DQuat, DVec3, DVec4};

/// The mean of points; zero for none.
pub fn centroid(points: &[DVec3]) -> DVec3 {
    points.iter().copied().sum::<DVec3>() / points.len().max(1) as f64
}

/// The rotation (and one scale, if asked) and translation that bring `moving` closest to `fixed` in least squares.
///
/// Lists run in step. `None` where there are no points, or all of `moving` coincide and a scale is asked.
pub fn fit_similarity(moving: &[DVec3], fixed: &[DVec3], with_scale: bool) -> Option<DAffine3> {
    if moving.is_empty() || moving.len() != fixed.len() {
        return None;
    }
    let (center_m, center_f) = (centroid(moving), centroid(fixed));
    let mut s = [[0.0; 3]; 3];
    let mut spread = 0.0;
    for (m, f) in moving.iter().zip(fixed) {
        let (m, f) = ((*m - center_m).to_array(), (*f - center_f).to_array());
        spread += m.iter().map(|v| v * v).sum::<f64>();
        for (row, m) in s.iter_mut().zip(m) {
            row.iter_mut().zip(f).for_each(|(sum, f)| *sum += m * f);
        }
    }
    let [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]] = s;
    let horn = [
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ];
    let (values, vectors) = symmetric_eigen(horn);
    let best = (0..4).max_by(|a, b| values[*a].total_cmp(&values[*b]))?;
    let [w, x, y, z] = [0, 1, 2, 3].map(|k| vectors[k][best]);
    let rotation = DMat3::from_quat(DQuat::from_xyzw(x, y, z, w).normalize());
    // The largest eigenvalue is the sum of fixed · (rotated moving), which is what the scale needs.
    let scale = if with_scale { values[best] / spread } else { 1.0 };
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    let matrix = rotation * scale;
    Some(DAffine3::from_mat3_translation(matrix, center_f - matrix * center_m))
}

/// The affine map that brings `moving` closest to `fixed` in least squares.
///
/// `None` where the points of `moving` lie in one plane (to one part in a million of their extent).
pub fn fit_affine(moving: &[DVec3], fixed: &[DVec3]) -> Option<DAffine3> {
    if moving.len() != fixed.len() || !(extent_ratios(moving)[1] > 1e-6) {
        return None;
    }
    let (center_m, center_f) = (centroid(moving), centroid(fixed));
    let (mut scatter, mut cross) = (DMat3::ZERO, DMat3::ZERO);
    for (m, f) in moving.iter().zip(fixed) {
        let (m, f) = (*m - center_m, *f - center_f);
        scatter += outer(m, m);
        cross += outer(f, m);
    }
    let matrix = cross * scatter.inverse();
    matrix.is_finite().then(|| DAffine3::from_mat3_translation(matrix, center_f - matrix * center_m))
}

fn outer(a: DVec3, b: DVec3) -> DMat3 {
    DMat3::from_cols(a * b.x, a * b.y, a * b.z)
}

/// How flat a set of points is: its second and third extent (rms along principal axes) over the first.
///
/// About 0 for both on a line, for the second in a plane; NaN where all points coincide.
pub fn extent_ratios(points: &[DVec3]) -> [f64; 2] {
    let center = centroid(points);
    let scatter = points.iter().fold(DMat3::ZERO, |sum, p| sum + outer(*p - center, *p - center));
    let (mut values, _) = symmetric_eigen(scatter.transpose().to_cols_array_2d());
    values.sort_by(|a, b| b.total_cmp(a));
    [1, 2].map(|k| (values[k].max(0.0) / values[0]).sqrt())
}

/// The normal of the plane that fits the points best.
pub fn plane_normal(points: &[DVec3]) -> DVec3 {
    let center = centroid(points);
    let scatter = points.iter().fold(DMat3::ZERO, |sum, p| sum + outer(*p - center, *p - center));
    let (values, vectors) = symmetric_eigen(scatter.transpose().to_cols_array_2d());
    let least = (0..3).min_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0);
    DVec3::from_array([0, 1, 2].map(|k| vectors[k][least]))
}

/// Eigenvalues and eigenvectors (as columns) of a symmetric matrix, by Jacobi's rotations.
pub fn symmetric_eigen<const N: usize>(mut a: [[f64; N]; N]) -> ([f64; N], [[f64; N]; N]) {
    let mut vectors = [[0.0; N]; N];
    (0..N).for_each(|k| vectors[k][k] = 1.0);
    // Convergence is quadratic: 4×4 matrices take about six sweeps.
    for _ in 0..60 {
        let off: f64 = (0..N).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| a[p][q].abs()).sum();
        let diagonal: f64 = (0..N).map(|k| a[k][k].abs()).sum();
        if off <= f64::EPSILON * 1e-3 * diagonal || !off.is_finite() {
            break;
        }
        for p in 0..N {
            for q in p + 1..N {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    (std::array::from_fn(|k| a[k][k]), vectors)
}

/// One Jacobi rotation that clears `a[p][q]`.
fn rotate<const N: usize>(a: &mut [[f64; N]; N], vectors: &mut [[f64; N]; N], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    let turn = |u: &mut f64, v: &mut f64| (*u, *v) = (c * *u - s * *v, s * *u + c * *v);
    for row in a.iter_mut().chain(vectors.iter_mut()) {
        let (mut u, mut v) = (row[p], row[q]);
        turn(&mut u, &mut v);
        (row[p], row[q]) = (u, v);
    }
    for k in 0..N {
        let (mut u, mut v) = (a[p][k], a[q][k]);
        turn(&mut u, &mut v);
        (a[p][k], a[q][k]) = (u, v);
    }
}

/// The inverse of a symmetric positive definite matrix of up to 7 × 7, by Gauss and Jordan with pivots.
///
/// `None` where it is singular to working precision.
pub fn inverse<const N: usize>(mut a: [[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut b = [[0.0; N]; N];
    (0..N).for_each(|k| b[k][k] = 1.0);
    let largest = a.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
    for k in 0..N {
        let pivot = (k..N).max_by(|i, j| a[*i][k].abs().total_cmp(&a[*j][k].abs()))?;
        if !(a[pivot][k].abs() > 1e-13 * largest) {
            return None;
        }
        a.swap(k, pivot);
        b.swap(k, pivot);
        let scale = 1.0 / a[k][k];
        (a[k], b[k]) = (a[k].map(|v| v * scale), b[k].map(|v| v * scale));
        let (row_a, row_b) = (a[k], b[k]);
        for i in (0..N).filter(|i| *i != k) {
            let factor = a[i][k];
            for j in 0..N {
                a[i][j] -= factor * row_a[j];
                b[i][j] -= factor * row_b[j];
            }
        }
    }
    Some(b)
}

/// `[1 q] (Σ [1 p][1 p]ᵀ)⁻¹ [1 q]ᵀ`: how far the position of `q` leans on an affine fit to `points`.
pub fn affine_leverage(points: &[DVec3], q: DVec3) -> Option<f64> {
    let center = centroid(points);
    let extended = |p: DVec3| (p - center).extend(1.0);
    let sum = points.iter().fold(DMat4::ZERO, |sum, p| {
        let v = extended(*p);
        sum + DMat4::from_cols(v * v.x, v * v.y, v * v.z, v * v.w)
    });
    let v: DVec4 = extended(q);
    let leverage = v.dot(sum.inverse() * v);
    leverage.is_finite().then_some(leverage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Vec<DVec3>> {
        prop::collection::vec(prop::array::uniform3(-10.0f64..10.0).prop_map(DVec3::from), 4..12)
    }

    proptest! {
        #[test]
        fn exact_maps_are_found(
            moving in points(), axis in prop::array::uniform3(-1.0f64..1.0), angle in -3.1f64..3.1,
            scale in 0.1f64..5.0, shift in prop::array::uniform3(-1e4f64..1e4),
        ) {
            let axis = DVec3::from(axis);
            prop_assume!(axis.length() > 0.1 && extent_ratios(&moving)[1] > 0.05);
            let map = DAffine3::from_scale_rotation_translation(
                DVec3::splat(scale), DQuat::from_axis_angle(axis.normalize(), angle), shift.into());
            let fixed: Vec<_> = moving.iter().map(|p| map.transform_point3(*p)).collect();
            let worst = |fit: DAffine3| moving.iter().zip(&fixed)
                .map(|(m, f)| (fit.transform_point3(*m) - *f).length()).fold(0.0, f64::max);
            // Positions near 1e4 in f64 with a matrix inverse: 1e-7 leaves room.
            prop_assert!(worst(fit_similarity(&moving, &fixed, true).unwrap()) < 1e-7);
            prop_assert!(worst(fit_affine(&moving, &fixed).unwrap()) < 1e-6);
            let back: Vec<_> = moving.iter().map(|p| map.transform_vector3(*p) / scale).collect();
            let rigid = fit_similarity(&moving, &back, false).unwrap();
            prop_assert!((rigid.matrix3.determinant() - 1.0).abs() < 1e-9);
            prop_assert!(moving.iter().zip(&back).all(|(m, f)| (rigid.transform_point3(*m) - *f).length() < 1e-8));
        }

        #[test]
        fn mirrored_points_still_give_a_rotation(moving in points()) {
            let fixed: Vec<_> = moving.iter().map(|p| DVec3::new(-p.x, p.y, p.z)).collect();
            if let Some(fit) = fit_similarity(&moving, &fixed, false) {
                prop_assert!((fit.matrix3.determinant() - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn eigen_and_inverse_undo_the_matrix(entries in prop::array::uniform10(-5.0f64..5.0)) {
            let mut a = [[0.0; 4]; 4];
            let mut next = entries.into_iter();
            for i in 0..4 {
                for j in 0..=i {
                    a[i][j] = next.next().unwrap();
                    a[j][i] = a[i][j];
                }
            }
            let (values, vectors) = symmetric_eigen(a);
            for i in 0..4 {
                for j in 0..4 {
                    let back: f64 = (0..4).map(|k| vectors[i][k] * values[k] * vectors[j][k]).sum();
                    prop_assert!((back - a[i][j]).abs() < 1e-9);
                }
            }
            (0..4).for_each(|k| a[k][k] += 40.0);
            let b = inverse(a).unwrap();
            for i in 0..4 {
                for j in 0..4 {
                    let unit: f64 = (0..4).map(|k| a[i][k] * b[k][j]).sum();
                    prop_assert!((unit - f64::from(u8::from(i == j))).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn flat_sets_are_seen() {
        let line: Vec<_> = (0..5).map(|i| DVec3::new(1.0, 2.0, 3.0) * f64::from(i)).collect();
        assert!(extent_ratios(&line)[0] < 1e-6);
        let plane = [DVec3::ZERO, DVec3::X, DVec3::Y, DVec3::ONE.with_z(0.0)];
        assert!(extent_ratios(&plane)[0] > 0.5 && extent_ratios(&plane)[1] < 1e-6);
        assert!(plane_normal(&plane).z.abs() > 0.999);
        assert!(fit_affine(&plane, &plane).is_none());
        assert!(extent_ratios(&[DVec3::ONE; 3])[0].is_nan());
        assert_eq!(inverse([[0.0; 3]; 3]), None);
        assert!(fit_similarity(&[], &[], true).is_none());
    }
}

//! Surfaces of known shapes.

use super::attribute::{curvatures, distance_field, distances, lac, thickness};
use super::*;
use crate::base::Unit;
use crate::kernels::surface::manifold_problem;
use crate::volume::{ClassTable, Volume};
use ndarray::Array3;
use std::f64::consts::PI;

fn class(id: u16) -> Class {
    ClassTable::default().with_ids([id]).classes.remove(0)
}

fn make(labels: &Array3<u16>, id: u16, voxel: [f64; 3], origin: [f64; 3], params: &MeshParams) -> Mesh {
    mesh_class(&Progress::new(), &labels.view(), &class(id), voxel, origin, params).unwrap()
}

#[test]
fn spheres_keep_their_volume_within_1_percent_and_their_area_within_2() {
    for r in [10.2, 17.6] {
        let c = r + 3.0;
        let n = 2 * c as usize + 1;
        let labels = Array3::from_shape_fn((n, n, n), |(z, y, x)| {
            let d = [z, y, x].map(|i| (i as f64 - c).powi(2)).iter().sum::<f64>();
            u16::from(d < r * r) * 3
        });
        for iterations in [0, 10, 30] {
            let params = MeshParams { iterations, ..MeshParams::default() };
            let mesh = make(&labels, 3, [0.02; 3], [0.0; 3], &params);
            let r = r * 0.02;
            let area = mesh.area_um2() / (4.0 * PI * r * r) - 1.0;
            assert!(mesh.volume_error().abs() < 0.01, "{iterations}: {}", mesh.volume_error());
            assert!(area.abs() < 0.02, "{iterations}: {area}");
            assert_eq!(manifold_problem(mesh.vertices.len(), &mesh.triangles), None);
        }
    }
}

#[test]
fn a_torus_is_closed_and_has_one_hole() {
    let (big, small) = (20.0f64, 7.0f64);
    let labels = Array3::from_shape_fn((24, 64, 64), |(z, y, x)| {
        let (z, y, x) = (z as f64 - 11.5, y as f64 - 31.5, x as f64 - 31.5);
        u16::from((x.hypot(y) - big).hypot(z) < small)
    });
    let mesh = make(&labels, 1, [0.1; 3], [0.0; 3], &MeshParams::default());
    let (v, f) = (mesh.vertices.len() as i64, mesh.triangles.len() as i64);
    // Euler's number of a torus: V − E + F = 0 with E = 3 F / 2.
    assert_eq!(v - f / 2, 0);
    let volume = 2.0 * PI * PI * big * small * small * 1e-3;
    let area = 4.0 * PI * PI * big * small * 1e-2;
    assert!((mesh.volume_um3() / volume - 1.0).abs() < 0.01, "{}", mesh.volume_um3() / volume);
    assert!((mesh.area_um2() / area - 1.0).abs() < 0.02, "{}", mesh.area_um2() / area);
}

#[test]
fn vertices_are_world_positions_with_origin_and_voxel() {
    let mut labels = Array3::<u16>::zeros((6, 7, 8));
    labels[[2, 3, 4]] = 9;
    let params = MeshParams { iterations: 0, smoothing_voxels: 0.0, ..MeshParams::default() };
    let mesh = make(&labels, 9, [0.3, 0.2, 0.1], [30.0, 20.0, 10.0], &params);
    let center = [10.0 + 0.4, 20.0 + 0.6, 30.0 + 0.6];
    let half = [0.05, 0.1, 0.15];
    for a in 0..3 {
        let (lo, hi) = mesh
            .vertices
            .iter()
            .fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(v[a].into()), hi.max(v[a].into())));
        // f32 near 30 µm is good to 2e-6.
        assert!((f64::midpoint(lo, hi) - center[a]).abs() < 1e-5, "{lo} {hi}");
        // An octahedron has a sixth of the volume of its voxel: it is moved out as far as allowed.
        assert!((hi - lo - 3.0 * half[a]).abs() < 1e-5, "{lo} {hi}");
    }
    assert!(mesh.volume_um3() > 0.0);
}

#[test]
fn touching_classes_and_the_border_are_closed() {
    let labels = Array3::from_shape_fn((20, 20, 20), |(z, ..)| if z < 10 { 1 } else { 2 });
    for id in [1, 2] {
        let mesh = make(&labels, id, [1.0; 3], [0.0; 3], &MeshParams::default());
        assert_eq!(manifold_problem(mesh.vertices.len(), &mesh.triangles), None);
        assert!(mesh.volume_error().abs() < 0.01, "{}", mesh.volume_error());
    }
}

#[test]
fn empty_classes_bad_parameters_and_cancel_are_refused() {
    let labels = Array3::<u16>::zeros((4, 4, 4));
    let go = |progress: &Progress, params: &MeshParams| {
        mesh_class(progress, &labels.view(), &class(5), [1.0; 3], [0.0; 3], params).unwrap_err()
    };
    let progress = Progress::new();
    assert!(go(&progress, &MeshParams::default()).to_string().contains("class 5"));
    let bad = MeshParams { smoothing_voxels: f64::NAN, ..MeshParams::default() };
    assert!(matches!(go(&progress, &bad), MeshError::Parameter { .. }));
    progress.cancel();
    assert_eq!(go(&progress, &MeshParams::default()), MeshError::Cancelled(Cancelled));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let labels = Array3::from_shape_fn((40, 30, 30), |(z, y, x)| u16::from((z * y + x * 7) % 11 < 5));
    let on = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| make(&labels, 1, [0.1; 3], [0.0; 3], &MeshParams::default()))
    };
    assert_eq!(on(1), on(5));
}

/// A ball of class 1 in the middle of a cube of voxels.
fn ball(n: usize, radius: f64) -> Array3<u16> {
    let c = (n as f64 - 1.0) / 2.0;
    Array3::from_shape_fn((n, n, n), |(z, y, x)| {
        let d = [z, y, x].map(|i| (i as f64 - c).powi(2)).iter().sum::<f64>();
        u16::from(d < radius * radius)
    })
}

/// Mean and standard deviation.
fn spread(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let square = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}

#[test]
fn a_ball_of_voxels_has_the_curvature_of_its_radius_and_its_diameter_as_thickness() {
    let voxel = 0.05;
    for r in [12.3, 20.6] {
        let labels = ball(50, r);
        let mesh = make(&labels, 1, [voxel; 3], [3.0; 3], &MeshParams::default());
        let [mean, gaussian] = curvatures(&Progress::new(), &mesh).unwrap();
        let k = 1.0 / (r * voxel);
        let (h, spread_h) = spread(&mean.values);
        let (g, spread_g) = spread(&gaussian.values);
        assert!((h / k - 1.0).abs() < 0.05, "r {r}: mean curvature {h} for {k}");
        assert!((g / (k * k) - 1.0).abs() < 0.12, "r {r}: Gaussian curvature {g} for {}", k * k);
        // What is left of the steps of voxels.
        // The product of two noisy curvatures is the noisier.
        assert!(spread_h < 0.15 * k && spread_g < 0.5 * k * k, "r {r}: {spread_h} {spread_g}");
        let frame = Frame { voxel_um: [voxel; 3], origin_um: [3.0; 3] };
        let is_inside = |zyx: [usize; 3]| labels[zyx] == 1;
        let thick = thickness(&Progress::new(), &mesh, [50; 3], is_inside, frame).unwrap();
        let (t, spread_t) = spread(&thick);
        assert!((t - 2.0 * r * voxel).abs() < 0.5 * voxel, "r {r}: {t}");
        assert!(spread_t < 0.5 * voxel, "r {r}: {spread_t}");
    }
}

#[test]
fn a_plate_has_its_thickness_whatever_the_edges_of_voxels() {
    let labels = Array3::from_shape_fn((20, 30, 30), |(z, ..)| u16::from((6..11).contains(&z)));
    let frame = Frame { voxel_um: [0.08, 0.02, 0.02], origin_um: [0.0; 3] };
    let mesh = make(&labels, 1, frame.voxel_um, frame.origin_um, &MeshParams::default());
    let is_inside = |zyx: [usize; 3]| labels[zyx] == 1;
    let thick = thickness(&Progress::new(), &mesh, [20, 30, 30], is_inside, frame).unwrap();
    let in_the_middle = mesh
        .vertices
        .iter()
        .zip(&thick)
        .filter(|(v, _)| v[..2].iter().all(|c| (0.16..0.44).contains(c)) && (v[2] - 0.64).abs() > 0.1);
    let found: Vec<f32> = in_the_middle.map(|(_, t)| *t).collect();
    assert!(found.len() > 200);
    // Five voxels of 80 nm, to a fifth of the short edge.
    assert!(found.iter().all(|t| (t - 0.4).abs() < 0.004), "{:?}", spread(&found));
}

#[test]
fn distances_between_plates_and_balls_are_those_between_their_surfaces() {
    let voxel = 0.05;
    let frame = Frame { voxel_um: [voxel; 3], origin_um: [0.0; 3] };
    let labels = Array3::from_shape_fn((24, 20, 20), |(z, ..)| match z {
        4..8 => 1,
        14..18 => 2,
        18..20 => 3,
        _ => 0u16,
    });
    let field = distance_field(&Progress::new(), &labels.view(), |id| id == 2, frame).unwrap();
    let facing = |id: u16, z: f32| {
        let mesh = make(&labels, id, [voxel; 3], [0.0; 3], &MeshParams::default());
        let found = distances(&Progress::new(), &mesh, &field).unwrap();
        let all = mesh.vertices.iter().zip(found);
        let near =
            all.filter(|(v, _)| (v[2] - z).abs() < 0.03 && v[..2].iter().all(|c| (0.25..0.7).contains(c)));
        let values: Vec<f32> = near.map(|(_, d)| d).collect();
        assert!(!values.is_empty());
        spread(&values)
    };
    // The upper face of plate 1 lies between slices 7 and 8, plate 2 begins between 13 and 14: six voxels.
    let (apart, _) = facing(1, 7.5 * voxel as f32);
    assert!((apart - 6.0 * voxel).abs() < 0.1 * voxel, "{apart}");
    let (touching, _) = facing(3, 17.5 * voxel as f32);
    assert!(touching < 0.15 * voxel, "{touching}");
    let nowhere = distance_field(&Progress::new(), &labels.view(), |id| id == 9, frame).unwrap();
    let mesh = make(&labels, 1, [voxel; 3], [0.0; 3], &MeshParams::default());
    assert!(distances(&Progress::new(), &mesh, &nowhere).unwrap().iter().all(|d| d.is_nan()));
}

#[test]
fn lac_is_that_of_the_volume_at_the_surface_or_beside_it() {
    let (r, voxel) = (12.3, 0.05);
    let labels = ball(40, r);
    let mesh = make(&labels, 1, [voxel; 3], [0.0; 3], &MeshParams::default());
    let c = 19.5;
    // LAC that grows with the distance from the middle, in µm.
    let data = Array3::from_shape_fn((40, 40, 40), |(z, y, x)| {
        let d = [z, y, x].map(|i| (i as f64 - c).powi(2)).iter().sum::<f64>();
        (d.sqrt() * voxel) as f32
    });
    let volume = Volume::new(data, Some([voxel; 3]), Unit::PerUm);
    for offset in [0.0, 0.15, -0.15] {
        let found = lac(&Progress::new(), &mesh, &volume, glam::DAffine3::IDENTITY, offset).unwrap();
        let (mean, sd) = spread(&found);
        assert!((mean - (r * voxel + offset)).abs() < 0.25 * voxel, "{offset}: {mean}");
        assert!(sd < 0.3 * voxel, "{offset}: {sd}");
    }
    let far = glam::DAffine3::from_translation(glam::DVec3::new(50.0, 0.0, 0.0));
    assert!(lac(&Progress::new(), &mesh, &volume, far, 0.0).unwrap().iter().all(|v| v.is_nan()));
}

#[test]
fn objects_have_meshes_of_their_own_with_the_class_and_the_number() {
    let mut labels = Array3::<u16>::zeros((12, 12, 30));
    labels.slice_mut(ndarray::s![3..9, 3..9, 2..8]).fill(2);
    labels.slice_mut(ndarray::s![3..9, 3..9, 12..18]).fill(2);
    labels.slice_mut(ndarray::s![3..9, 3..9, 22..28]).fill(5);
    labels[[0, 0, 29]] = 5;
    let classes = ClassTable::default().with_ids([2, 5]).classes;
    let frame = Frame { voxel_um: [1.0; 3], origin_um: [0.0; 3] };
    let go = |min_voxels| {
        let params = MeshParams { min_voxels, ..MeshParams::default() };
        mesh_objects(&Progress::new(), &labels.view(), &classes, frame, &params).unwrap()
    };
    let meshes = go(2);
    let of: Vec<_> = meshes.iter().map(|mesh| (mesh.class, mesh.object.unwrap())).collect();
    assert_eq!(of, [(2, 2), (2, 3), (5, 4)], "a single voxel is left out and keeps its number");
    assert!(meshes.iter().all(|mesh| mesh.voxel_volume_um3 == 216.0));
    assert!(meshes[0].name.ends_with(" 2"), "{}", meshes[0].name);
    assert_ne!(meshes[0].color, meshes[1].color);
    assert_eq!(go(1).len(), 4);
    let other = Array3::<u32>::zeros((2, 2, 2));
    let params = MeshParams::default();
    let odd = mesh_regions(&Progress::new(), &other.view(), &labels.view(), &classes, frame, &params);
    assert!(odd.unwrap_err().to_string().contains("one grid"));
}
